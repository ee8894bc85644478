using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Analyzers;

/// <summary>Finds the change of stages that would cure a problem.</summary>
internal static class StageAdvice
{
    /// <summary>The change; null where none is sure to help.</summary>
    public static StageChange? For(PlanProblem problem, ModelDescription model, Placement placement) => problem.Kind switch
    {
        ProblemKind.LayerWithoutStage => Put(problem.Site.Index, Neighbour(model, problem.Site.Index), model, placement),
        ProblemKind.LaterStageFeedsEarlier when model.Operations[problem.Site.Index].Layer is >= 0 and var layer =>
            Put(layer, int.Parse(problem.Arguments[3], CultureInfo.InvariantCulture), model, placement),
        ProblemKind.StageGap or ProblemKind.StageOutOfRange => Renumber(model, placement),
        _ => null,
    };

    private static StageChange Put(int layer, int stage, ModelDescription model, Placement placement) =>
        new($"Put '{model.Layers[layer].Name}' on stage {stage}", [new StageMove(placement.Layer(layer), stage)]);

    /// <summary>The stage of the nearest layer before, else of the nearest after, else the first.</summary>
    private static int Neighbour(ModelDescription model, int layer) =>
        model.Layers.Take(layer).Reverse().Concat(model.Layers.Skip(layer + 1)).Select(other => other.Stage).FirstOrDefault(stage => stage >= 0) ?? 0;

    private static StageChange Renumber(ModelDescription model, Placement placement)
    {
        List<int> stages = model.Layers.Select(layer => layer.Stage).OfType<int>().Distinct().OrderBy(stage => stage).ToList();
        return new(
            "Number the stages without gaps",
            Enumerable.Range(0, model.Layers.Count)
                .Where(i => model.Layers[i].Stage is { } stage && stages.IndexOf(stage) != stage)
                .Select(i => new StageMove(placement.Layer(i), stages.IndexOf(model.Layers[i].Stage!.Value)))
                .ToImmutableArray());
    }
}
