using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Dho2.Planning;

/// <summary>
/// Chooses stages: for layers that leave theirs to the planner, and, for comparison, for a whole model. Only the attributes'
/// numbers count, never a run's, because code is generated from the result.
/// </summary>
public static class StageChooser
{
    // Enough for the classes that an editor has open; a class that is being typed would fill any number.
    private const int Capacity = 64;

    // More stages than this are never proposed by themselves.
    private const int MostStages = 64;

    private static readonly ContentCache<(ModelDescription Model, bool All), PartitionProposal?> Cache = new(Capacity);

    /// <summary>The best partition of all layers into as many stages as the model has, whatever stages they state.</summary>
    /// <param name="model">The model; its indices must be consistent.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <returns>The partition; null where the model cannot be cut into so many stages, or its work is not known.</returns>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public static PartitionProposal? Propose(ModelDescription model, CancellationToken cancellation = default)
    {
        // Without the stages that layers state, so that moving a layer does not start the search again.
        ModelDescription bare = model with
        {
            Options = model.Options with { Stages = model.Options.Stages > 0 ? model.Options.Stages : NumberedOf(model) },
            Layers = model.Layers.Select(layer => layer with { Stage = null, StageIsAutomatic = false }).ToEquatableArray(),
        };
        return Cache.Get((bare, true), () => Search(bare, ShapeInference.Infer(bare, cancellation), all: true, cancellation));
    }

    /// <summary>The model with a stage for every layer that left it to the planner; the model itself where none did.</summary>
    internal static ModelDescription Fill(ModelDescription model, InferenceResult inference, CancellationToken cancellation)
    {
        if (!model.Layers.Any(layer => layer.StageIsAutomatic))
        {
            return model;
        }

        PartitionProposal? found = Cache.Get((model, false), () => Search(model, inference, all: false, cancellation));
        return model with
        {
            Layers = model.Layers
                .Select((layer, i) => layer.StageIsAutomatic ? layer with { Stage = found?.Stages[i] ?? Nearest(model, i) } : layer)
                .ToEquatableArray(),
        };
    }

    /// <summary>As many stages as layers are numbered for; 0 where none is.</summary>
    private static int NumberedOf(ModelDescription model) => model.Layers.Select(layer => layer.Stage ?? -1).DefaultIfEmpty(-1).Max() + 1;

    private static PartitionProposal? Search(ModelDescription model, InferenceResult inference, bool all, CancellationToken cancellation)
    {
        ModelOptions options = OptionChecks.Clamp(model.Options);
        int samples = MicroBatches.Split(options.Batch, options.MicroBatches)[0];
        BlockChain chain = BlockChain.Of(model, inference, options.Profile, samples);
        if (chain.Blocks.Count == 0 || (all && !chain.IsKnown))
        {
            return null;
        }

        var pins = new StagePins(model, chain, all);
        var contents = new Dictionary<(int Start, int End), StageContents>();
        int stages = options.Stages > 0 ? options.Stages : NumberedOf(model);
        if (stages > 0)
        {
            return Split(stages, withMemory: true) ?? Split(stages, withMemory: false);
        }

        // Nothing says how many: the fewest whose memory fits, or two where no device is stated.
        if (options.DeviceMemory is null)
        {
            return Split(Math.Min(2, chain.Blocks.Count), withMemory: false);
        }

        for (stages = 1; stages <= Math.Min(MostStages, chain.Blocks.Count); stages++)
        {
            if (Split(stages, withMemory: true) is { } fits)
            {
                return fits;
            }
        }

        return Split(Math.Min(MostStages, chain.Blocks.Count), withMemory: false);

        PartitionProposal? Split(int count, bool withMemory)
        {
            var recomputation = new BlockRecomputation(model, options, chain, count);
            var memory = withMemory ? new BlockMemory(model, options, inference, chain, count, recomputation, contents) : null;
            int[]? starts = Partitioner.Split(
                chain,
                count,
                (stage, start, end) => pins.Allow(stage, start, end) && (memory is null || memory.Fits(stage, start, end)),
                recomputation.Holds,
                cancellation);
            return starts is null ? null : ProposalOf(model, chain, starts, recomputation);
        }
    }

    private static PartitionProposal ProposalOf(ModelDescription model, BlockChain chain, int[] starts, BlockRecomputation recomputation)
    {
        var stages = new int?[model.Layers.Count];
        long slowest = 0;
        for (int stage = 0; stage < starts.Length; stage++)
        {
            int end = stage + 1 < starts.Length ? starts[stage + 1] : chain.Blocks.Count;
            slowest = Math.Max(slowest, Partitioner.TimeOf(chain, starts[stage], end, recomputation.Holds(stage, starts[stage], end)));
            foreach (int layer in chain.Blocks.Skip(starts[stage]).Take(end - starts[stage]).SelectMany(block => block.Layers))
            {
                stages[layer] = stage;
            }
        }

        // A layer that is not used goes with the one before it.
        int before = 0;
        for (int layer = 0; layer < stages.Length; layer++)
        {
            stages[layer] = before = stages[layer] ?? before;
        }

        return new(stages.Select(stage => stage!.Value).ToEquatableArray(), starts.Length, slowest);
    }

    /// <summary>Where no partition is possible, the stage of the nearest numbered layer before, so that what is wrong can be said.</summary>
    private static int Nearest(ModelDescription model, int layer) =>
        model.Layers.Take(layer).Reverse().Select(other => other.Stage).FirstOrDefault(stage => stage >= 0) ?? 0;
}

/// <summary>A partition that the planner found.</summary>
/// <param name="Stages">The stage of each layer.</param>
/// <param name="Count">The number of stages.</param>
/// <param name="Slowest">Picoseconds that the slowest stage works on one micro-batch, by the device's profile.</param>
public sealed record PartitionProposal(EquatableArray<int> Stages, int Count, long Slowest);

/// <summary>The stages that layers state themselves: a partition must leave them there.</summary>
internal sealed class StagePins
{
    private readonly int[] least;
    private readonly int[] most;

    public StagePins(ModelDescription model, BlockChain chain, bool ignore)
    {
        int[][] stated = chain.Blocks
            .Select(block => block.Layers.Select(layer => model.Layers[layer].Stage).OfType<int>().ToArray())
            .ToArray();
        least = stated.Select(stages => ignore ? 0 : stages.DefaultIfEmpty(0).Max()).ToArray();
        most = stated.Select(stages => ignore ? int.MaxValue : stages.DefaultIfEmpty(int.MaxValue).Min()).ToArray();
    }

    /// <summary>Whether a stage may hold the blocks from the first index up to, but not with, the second.</summary>
    public bool Allow(int stage, int start, int end)
    {
        for (int block = start; block < end; block++)
        {
            if (stage < least[block] || stage > most[block])
            {
                return false;
            }
        }

        return true;
    }
}
