using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Which stages recompute their activations: where that is asked for, and saves anything.</summary>
internal static class Recomputation
{
    /// <summary>Whether each stage does.</summary>
    /// <param name="model">The model, with a stage for every layer.</param>
    /// <param name="options">The options in force.</param>
    /// <param name="stages">The number of stages.</param>
    /// <param name="run">The schedule's step.</param>
    public static bool[] Of(ModelDescription model, ModelOptions options, int stages, ScheduleSimulation run)
    {
        var recomputed = new bool[stages];
        if (IsAskedFor(model, options))
        {
            for (int stage = 0; stage < stages; stage++)
            {
                recomputed[stage] = IsAskedFor(options, stage, model.Layers.Where(layer => layer.Stage == stage)) && Saves(options, stages, stage, run);
            }
        }

        return recomputed;
    }

    /// <summary>Whether any stage is asked to.</summary>
    public static bool IsAskedFor(ModelDescription model, ModelOptions options) =>
        options.Recompute is { All: true } or { Stages.Count: > 0 } || LayersCount(model, options);

    /// <summary>Whether layers say that theirs does.</summary>
    public static bool LayersCount(ModelDescription model, ModelOptions options) =>
        options.Recompute is not { OverridesLayers: true } && model.Layers.Any(layer => layer.Recomputes);

    /// <summary>Whether a stage of some layers is asked to.</summary>
    public static bool IsAskedFor(ModelOptions options, int stage, IEnumerable<LayerDescription> layers) =>
        options.Recompute is { All: true }
        || (options.Recompute is { } stated && stated.Stages.Contains(stage))
        || (options.Recompute is not { OverridesLayers: true } && layers.Any(layer => layer.Recomputes));

    /// <summary>
    /// Whether a stage has less in memory that way. One micro-batch has all its activations at its backward in any case: there
    /// must be others, of this stage or of another on its rank.
    /// </summary>
    public static bool Saves(ModelOptions options, int stages, int stage, ScheduleSimulation run) =>
        run.MaxInFlight[stage] > 1 || StageLayout.Of(options.Schedule, stages, options.StagesPerRank).StagesPerRank > 1;
}

/// <summary>Which runs of blocks would recompute their activations as stages.</summary>
internal sealed class BlockRecomputation
{
    private readonly ModelDescription model;
    private readonly ModelOptions options;
    private readonly BlockChain chain;
    private readonly int stages;
    private readonly bool isAskedFor;
    private readonly Lazy<ScheduleSimulation> run;

    /// <param name="model">The model.</param>
    /// <param name="options">Its options.</param>
    /// <param name="chain">Its blocks.</param>
    /// <param name="stages">The number of stages.</param>
    public BlockRecomputation(ModelDescription model, ModelOptions options, BlockChain chain, int stages)
    {
        this.model = model;
        this.options = options;
        this.chain = chain;
        this.stages = stages;
        isAskedFor = Recomputation.IsAskedFor(model, options);
        DependsOnLayers = Recomputation.LayersCount(model, options);
        run = new(() => ScheduleSimulator.Run(
            ScheduleBuilder.Build(options.Schedule, stages, MicroBatches.Split(options.Batch, options.MicroBatches).Count, options.StagesPerRank),
            ScheduleCosts.Uniform(stages, 1, 2)));
    }

    /// <summary>The step of the schedule on so many stages.</summary>
    public ScheduleSimulation Run => run.Value;

    /// <summary>Whether it depends on what layers a run holds: one that holds more may then need less.</summary>
    public bool DependsOnLayers { get; }

    /// <summary>Whether a stage of the blocks from the first index up to, but not with, the second recomputes.</summary>
    public bool Holds(int stage, int start, int end) =>
        isAskedFor
        && Recomputation.IsAskedFor(options, stage, chain.Blocks.Skip(start).Take(end - start).SelectMany(block => block.Layers).Select(layer => model.Layers[layer]))
        && Recomputation.Saves(options, stages, stage, Run);
}
