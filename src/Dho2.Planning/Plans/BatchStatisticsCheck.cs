using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Says where statistics over a batch become statistics over a micro-batch.</summary>
internal static class BatchStatisticsCheck
{
    public static void Check(ModelDescription model, Plan plan, List<PlanProblem> problems)
    {
        if (plan.MicroBatches.Count < 2)
        {
            return;
        }

        for (int i = 0; i < model.Layers.Count; i++)
        {
            if (FirstOf(model.Layers[i], "") is { } name)
            {
                problems.Add(new(
                    ProblemKind.BatchStatisticsPerMicroBatch, new PlanSite(SiteKind.Layer, i), name, plan.MicroBatches.Min(), plan.Options.Batch));
            }
        }
    }

    /// <summary>The first batch normalisation in a layer; null where there is none.</summary>
    private static string? FirstOf(LayerDescription layer, string prefix) =>
        OperationNames.Short(layer.Kind) is "BatchNorm1d" or "BatchNorm2d" or "BatchNorm3d"
            ? prefix + layer.Name
            : layer.Body?.Layers.Select(child => FirstOf(child, prefix + layer.Name + ".")).FirstOrDefault(name => name is not null);
}
