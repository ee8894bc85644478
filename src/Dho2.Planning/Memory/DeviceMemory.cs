using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>The memory of the devices that hold the stages.</summary>
public static class DeviceMemory
{
    /// <summary>Bytes of a stage's device: the smallest that its layers' classes state, else the model's; null where not stated.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="model">The model.</param>
    /// <param name="options">The options of the plan.</param>
    public static long? Of(StagePlan stage, ModelDescription model, ModelOptions options) =>
        stage.Layers.Select(layer => model.Layers[layer].DeviceMemory).Min() ?? options.DeviceMemory;

    /// <summary>The other stages that are on a stage's device: those of its rank, where stages are interleaved.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="stages">All stages.</param>
    /// <param name="options">The options of the plan.</param>
    internal static IEnumerable<StagePlan> Beside(StagePlan stage, IReadOnlyList<StagePlan> stages, ModelOptions options)
    {
        StageLayout layout = StageLayout.Of(options.Schedule, stages.Count, options.StagesPerRank);
        return layout.StagesOf(layout.RankOf(stage.Index)).Where(other => other != stage.Index).Select(other => stages[other]);
    }

    /// <summary>Bytes of a stage's device that the other stages on it leave to it, below 0 where they need more; null where not stated.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="stages">All stages.</param>
    /// <param name="model">The model.</param>
    /// <param name="options">The options of the plan.</param>
    /// <param name="bytes">What each stage needs.</param>
    internal static long? LeftFor(
        StagePlan stage, IReadOnlyList<StagePlan> stages, ModelDescription model, ModelOptions options, Func<StagePlan, long> bytes)
    {
        long? device = Of(stage, model, options);
        foreach (StagePlan other in Beside(stage, stages, options))
        {
            // One device holds them all: the smallest that any of them states.
            device = Of(other, model, options) is { } stated && !(device < stated) ? stated : device;
        }

        return Beside(stage, stages, options).Aggregate(
            device, (left, other) => left is null ? null : SafeInteger.Add(left, -bytes(other)) ?? long.MinValue);
    }
}
