using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Whether runs of blocks fit the device as stages: the memory model on what a stage of these blocks would hold.</summary>
internal sealed class BlockMemory
{
    private readonly ModelDescription model;
    private readonly ModelOptions options;
    private readonly InferenceResult inference;
    private readonly InferenceResult products;
    private readonly BlockChain chain;
    private readonly int stages;
    private readonly int perRank;
    private readonly MemoryModel memory;
    private readonly BlockRecomputation recomputation;
    private readonly long? modelSize;

    // For each stage, by end: the latest start of a run up to there or less that does not fit.
    private readonly Dictionary<int, int[]> latestTooLarge = [];
    private readonly Dictionary<(int Start, int End), StageContents> contents;

    /// <param name="model">The model.</param>
    /// <param name="options">Its options.</param>
    /// <param name="inference">What is known of its shapes.</param>
    /// <param name="chain">Its blocks.</param>
    /// <param name="stages">The number of stages.</param>
    /// <param name="recomputation">Which runs of blocks recompute their activations.</param>
    /// <param name="contents">What runs of blocks hold, as far as it was found for another number of stages.</param>
    public BlockMemory(
        ModelDescription model,
        ModelOptions options,
        InferenceResult inference,
        BlockChain chain,
        int stages,
        BlockRecomputation recomputation,
        Dictionary<(int Start, int End), StageContents> contents)
    {
        this.contents = contents;
        this.model = model;
        this.options = options;
        this.inference = inference;
        this.chain = chain;
        this.stages = stages;
        this.recomputation = recomputation;
        perRank = StageLayout.Of(options.Schedule, stages, options.StagesPerRank).StagesPerRank;
        EquatableArray<int> microBatches = MicroBatches.Split(options.Batch, options.MicroBatches);
        memory = new MemoryModel(
            model,
            options,
            inference,
            products = MemoryModel.InferenceOfProducts(model, options, inference),
            microBatches,
            recomputation.Run);
        modelSize = MemoryModel.Sum(chain.Blocks.SelectMany(block => block.Layers).Distinct().Select(CountOf));
    }

    /// <summary>
    /// Whether a stage of the blocks fits its device; what cannot be known counts as nothing. In a long chain, what holds all
    /// of a run that does not fit does not either: only what crosses its ends could be less.
    /// </summary>
    public bool Fits(int stage, int start, int end)
    {
        if (!chain.IsJoined || recomputation.DependsOnLayers)
        {
            return IsHeld(stage, start, end);
        }

        if (!latestTooLarge.TryGetValue(stage, out int[]? latest))
        {
            latestTooLarge[stage] = latest = [.. Enumerable.Repeat(-1, chain.Blocks.Count + 1)];
        }

        if (start <= latest[end])
        {
            return false;
        }

        if (IsHeld(stage, start, end))
        {
            return true;
        }

        for (int later = end; later < latest.Length; later++)
        {
            latest[later] = Math.Max(latest[later], start);
        }

        return false;
    }

    private bool IsHeld(int stage, int start, int end)
    {
        if (!contents.TryGetValue((start, end), out StageContents? held))
        {
            contents[(start, end)] = held = ContentsOf(start, end);
        }

        long device = held.Layers.Select(layer => model.Layers[layer].DeviceMemory).Min() ?? options.DeviceMemory ?? long.MaxValue;
        return new StagePlan(stage, default, default, null, 0, null, memory.Of(held with { Index = stage, Stages = stages, Recomputes = recomputation.Holds(stage, start, end) }, modelSize)).KnownBytes
            <= device / perRank;
    }

    private StageContents ContentsOf(int start, int end)
    {
        Block[] blocks = chain.Blocks.Skip(start).Take(end - start).ToArray();
        int[] operations = blocks.SelectMany(block => block.Operations).ToArray();
        int[] layers = blocks.SelectMany(block => block.Layers).Distinct().ToArray();
        int rank = options.Curvature is not { Rank: var wanted } curvature || wanted == 0 ? 0
            : curvature.Scope == CurvatureScope.Global ? Math.Max(wanted, model.Layers.Max(l => l.CurvatureRank) ?? 0)
            : layers.Max(l => model.Layers[l].CurvatureRank) ?? wanted;
        IReadOnlyList<int> incoming = ValuesAt(operations[0]);
        IReadOnlyList<int> outgoing = ValuesAt(operations[operations.Length - 1] + 1);
        return new(
            Index: 0,
            stages,
            layers,
            rank,
            MemoryModel.Sum(layers.Select(CountOf)),
            Activations(inference),
            ReferenceEquals(products, inference) ? null : Activations(products),
            incoming,
            outgoing,
            end < chain.Blocks.Count && ThirdDerivatives.AreKnown(model, operations))
        {
            MayWorkInPlace = InPlaceOperations.MayBeAmong(model, operations),
        };

        StageActivations Activations(InferenceResult inferred) =>
            StageActivations.Of(operations, model, inferred, incoming, outgoing, start == 0, end == chain.Blocks.Count);
    }

    private long? CountOf(int layer) =>
        inference.Layers[layer].Parameters is { } parameters ? MemoryModel.Sum(parameters.Select(p => (long?)p.Count)) : null;

    /// <summary>The values that live across a cut before an operation.</summary>
    private IReadOnlyList<int> ValuesAt(int operation) =>
        operation == 0 || operation >= model.Operations.Count ? [] : chain.LiveBefore(operation);
}
