using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Analyzers;

/// <summary>Finds the changes of stages that would cure a problem.</summary>
internal static class StageAdvice
{
    /// <summary>The moves to offer, best first; none where no single one is sure to help.</summary>
    public static IReadOnlyList<StageMove> For(PlanProblem problem, ModelDescription model, Placement placement)
    {
        StageMove Move(int layer, int stage) => new(placement.Layer(layer), model.Layers[layer].Name, stage);

        return problem.Kind switch
        {
            ProblemKind.LayerWithoutStage => [Move(problem.Site.Index, Neighbour(model, problem.Site.Index))],
            ProblemKind.LaterStageFeedsEarlier when model.Operations[problem.Site.Index].Layer is >= 0 and var layer =>
                [Move(layer, int.Parse(problem.Arguments[3], CultureInfo.InvariantCulture))],
            _ => [],
        };
    }

    /// <summary>The stage of the nearest layer before, else of the nearest after, else the first.</summary>
    private static int Neighbour(ModelDescription model, int layer) =>
        model.Layers.Take(layer).Reverse().Concat(model.Layers.Skip(layer + 1)).Select(other => other.Stage).FirstOrDefault(stage => stage >= 0) ?? 0;
}
