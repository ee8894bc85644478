using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Analyzers;

/// <summary>Finds the changes that would cure a problem of the partition.</summary>
internal static class ChangeAdvice
{
    private const string StageKey = "stage";

    /// <summary>The changes; none where none is sure to help.</summary>
    public static IReadOnlyList<SourceChange> For(PlanProblem problem, ModelDescription model, Placement placement) => problem.Kind switch
    {
        ProblemKind.LayerWithoutStage => [Put(problem.Site.Index, Neighbour(model, problem.Site.Index), model, placement)],
        ProblemKind.LaterStageFeedsEarlier when model.Operations[problem.Site.Index].Layer is >= 0 and var layer =>
            [Put(layer, int.Parse(problem.Arguments[3], CultureInfo.InvariantCulture), model, placement)],
        ProblemKind.OrderSmall when placement.Attribute("Curvature") is { } curvature =>
            [new("order", $"Use an order of {problem.Arguments[3]}", [new SourceEdit(curvature, "Order", int.Parse(problem.Arguments[3], CultureInfo.InvariantCulture))])],
        ProblemKind.StageGap or ProblemKind.StageOutOfRange => [Renumber(model, placement)],
        _ => [],
    };

    /// <summary>The change that puts a layer on a stage.</summary>
    public static SourceChange Put(int layer, int stage, ModelDescription model, Placement placement) =>
        new(StageKey, $"Put '{model.Layers[layer].Name}' on stage {stage}", [new SourceEdit(placement.Layer(layer), "Stage", stage)]);

    /// <summary>The stage of the nearest layer before, else of the nearest after, else the first.</summary>
    private static int Neighbour(ModelDescription model, int layer) =>
        model.Layers.Take(layer).Reverse().Concat(model.Layers.Skip(layer + 1)).Select(other => other.Stage).FirstOrDefault(stage => stage >= 0) ?? 0;

    private static SourceChange Renumber(ModelDescription model, Placement placement)
    {
        List<int> stages = model.Layers.Select(layer => layer.Stage).OfType<int>().Distinct().OrderBy(stage => stage).ToList();
        return new(
            StageKey,
            "Number the stages without gaps",
            Enumerable.Range(0, model.Layers.Count)
                .Where(i => model.Layers[i].Stage is { } stage && stages.IndexOf(stage) != stage)
                .Select(i => new SourceEdit(placement.Layer(i), "Stage", stages.IndexOf(model.Layers[i].Stage!.Value)))
                .ToImmutableArray());
    }
}
