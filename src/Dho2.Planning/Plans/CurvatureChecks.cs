using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Judges whether the curvature that is wanted can be estimated: second derivatives, and the order of estimates.</summary>
internal static class CurvatureChecks
{
    // libtorch has a backward for these that cannot be differentiated itself.
    private static readonly HashSet<string> Once = new(StringComparer.Ordinal)
    {
        "EmbeddingBag", "embedding_bag", "CTCLoss", "ctc_loss", "grid_sample", "cdist", "pdist",
    };

    public static void Check(ModelDescription model, Plan plan, InferenceResult inference, List<PlanProblem> problems)
    {
        if (plan.Options.Curvature is not { } curvature || curvature.Rank + (long)curvature.Smallest <= 0)
        {
            return;
        }

        foreach (StagePlan stage in plan.Stages)
        {
            if (curvature.Scope == CurvatureScope.Global || stage.CurvatureRank + (long)curvature.Smallest > 0)
            {
                CheckOrder(curvature, stage, problems);
            }
        }

        // A product with any stage's block sweeps from there to the loss and back: what comes before the first stage that
        // has a block is not differentiated twice.
        int first = curvature.Scope == CurvatureScope.Global
            ? 0
            : plan.Stages.Where(s => s.CurvatureRank + (long)curvature.Smallest > 0).Select(s => s.Index).DefaultIfEmpty(plan.Stages.Count).Min();
        foreach (StagePlan stage in plan.Stages.Where(s => s.Index >= first))
        {
            foreach (int operation in stage.Operations.Where(o => LacksSecond(model, o, inference.Operations[o])))
            {
                problems.Add(new(
                    ProblemKind.NoSecondDerivative,
                    new PlanSite(SiteKind.Operation, operation),
                    OperationNames.Describe(model, operation),
                    curvature.Scope == CurvatureScope.Global ? "the model" : $"stage {first}"));
            }
        }
    }

    private static void CheckOrder(CurvatureOptions curvature, StagePlan stage, List<PlanProblem> problems)
    {
        long pairs = stage.CurvatureRank + (long)curvature.Smallest;
        if (curvature.Order >= pairs && curvature.Order < 2 * pairs
            && !problems.Any(p => p.Kind == ProblemKind.OrderSmall))
        {
            problems.Add(new(ProblemKind.OrderSmall, PlanSite.Model, curvature.Order, curvature.Order - pairs, pairs, 4 * pairs));
        }
    }

    private static bool LacksSecond(ModelDescription model, int operation, OperationFacts facts) =>
        facts.HasSecondDerivative == false
        || Once.Contains(OperationNames.Short(model.Operations[operation].Name))
        || (model.Operations[operation].Layer is >= 0 and var layer && LacksSecond(model.Layers[layer]));

    private static bool LacksSecond(LayerDescription layer) =>
        Once.Contains(OperationNames.Short(layer.Kind)) || (layer.Body is { } body && body.Layers.Any(LacksSecond));
}
