using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// A model in evaluation order as blocks that cannot be cut, each with at least one layer, and the cuts between them with
/// everything that is live there: a value that skips several blocks is carried, and paid for, by each cut on its way. Where
/// there are very many blocks, neighbours are joined, because a search looks at every run of them.
/// </summary>
internal sealed class BlockChain
{
    /// <summary>The most blocks of a chain whose layers state no stages.</summary>
    public const int MostBlocks = 128;

    private readonly int inputs;
    private readonly int[] last;

    private BlockChain(IReadOnlyList<Block> blocks, IReadOnlyList<long> cuts, bool isKnown, bool isJoined, int inputs, int[] last)
    {
        IsJoined = isJoined;
        this.inputs = inputs;
        this.last = last;
        Blocks = blocks;
        Cuts = cuts;
        IsKnown = isKnown;
    }

    /// <summary>The blocks.</summary>
    public IReadOnlyList<Block> Blocks { get; }

    /// <summary>Picoseconds to exchange what crosses after each block but the last.</summary>
    public IReadOnlyList<long> Cuts { get; }

    /// <summary>Whether the time of every operation is known; where not, blocks count alike.</summary>
    public bool IsKnown { get; }

    /// <summary>Whether there were so many blocks that neighbours were joined: the search is not exact then.</summary>
    public bool IsJoined { get; }

    /// <summary>Cuts a model into its blocks.</summary>
    /// <param name="model">The model; its indices are consistent.</param>
    /// <param name="inference">What is known of its shapes.</param>
    /// <param name="profile">The device that times are for.</param>
    /// <param name="samples">Samples of a micro-batch.</param>
    public static BlockChain Of(ModelDescription model, InferenceResult inference, DeviceProfile profile, int samples)
    {
        int count = model.Operations.Count;
        int inputs = model.Inputs.Count;
        List<int>[] uses = Enumerable.Range(0, count).Select(o => ValueUses.Of(model, o)).ToArray();
        int[] last = LastUses(model, uses);
        bool[] isForbidden = Forbidden(model, last);

        // Bytes that are live before each operation; a tensor that is made and used later, or an input not yet used up.
        var live = new (long Forward, long Backward)[count + 1];
        for (int value = 0; value < inputs + count; value++)
        {
            InferredValue inferred = inference.Values[value];
            (long forward, long backward) = OperationTimes.BytesOf(inferred.Type, inferred.Differentiable, samples);
            for (int at = value < inputs ? 1 : value - inputs + 1; at <= Math.Min(last[value], count); at++)
            {
                live[at] = (SafeInteger.Add(live[at].Forward, forward) ?? long.MaxValue, SafeInteger.Add(live[at].Backward, backward) ?? long.MaxValue);
            }
        }

        List<int> starts = StartsOf(model, isForbidden, live);
        long?[] times = Enumerable.Range(0, count).Select(o => OperationTimes.ForwardOf(inference.Operations[o], profile, samples)).ToArray();
        bool isKnown = times.All(time => time is not null);
        var blocks = new List<Block>();
        for (int b = 0; b < starts.Count; b++)
        {
            int end = b + 1 < starts.Count ? starts[b + 1] : count;
            int[] operations = Enumerable.Range(starts[b], end - starts[b]).ToArray();
            blocks.Add(new(
                operations,
                operations.Select(o => model.Operations[o].Layer).Where(layer => layer >= 0).Distinct().ToArray(),
                isKnown ? operations.Aggregate(0L, (sum, o) => SafeInteger.Add(sum, times[o]!.Value) ?? long.MaxValue / 8) : 1));
        }

        bool isJoined = blocks.Count > MostBlocks;
        blocks = isJoined ? Joined(model, blocks) : blocks;
        return new(
            blocks,
            blocks.Skip(1).Select(block => isKnown ? OperationTimes.ExchangeOf([live[block.Operations[0]]], profile) : 0).ToList(),
            isKnown,
            isJoined,
            inputs,
            last);
    }

    /// <summary>The values that are there before an operation, and used by it or a later one.</summary>
    public IReadOnlyList<int> LiveBefore(int operation) =>
        Enumerable.Range(0, inputs + operation).Where(value => last[value] >= operation).ToList();

    /// <summary>Neighbours joined to runs of about the same time; what states another stage stays apart.</summary>
    private static List<Block> Joined(ModelDescription model, List<Block> blocks)
    {
        // Two neighbouring runs take more than a share together, so that there are at most twice as many as shares.
        decimal share = blocks.Sum(block => (decimal)block.Forward) * 2 / MostBlocks;
        var joined = new List<Block>();
        for (int first = 0, next; first < blocks.Count; first = next)
        {
            decimal time = blocks[first].Forward;
            for (next = first + 1; next < blocks.Count && (time += blocks[next].Forward) <= share && HaveSameStage(blocks[next - 1], blocks[next]); next++)
            {
            }

            Block[] run = [.. blocks.Skip(first).Take(next - first)];
            joined.Add(new(
                [.. run.SelectMany(block => block.Operations)],
                [.. run.SelectMany(block => block.Layers).Distinct()],
                run.Aggregate(0L, (sum, block) => SafeInteger.Add(sum, block.Forward) ?? long.MaxValue / 8)));
        }

        return joined;

        bool HaveSameStage(Block one, Block other) =>
            one.Layers.Concat(other.Layers).Select(layer => model.Layers[layer].Stage).Distinct().Count() == 1;
    }

    /// <summary>The position of the last operation that uses each value; one after the end for results.</summary>
    private static int[] LastUses(ModelDescription model, List<int>[] uses)
    {
        int[] last = Enumerable.Repeat(-1, model.Inputs.Count + uses.Length).ToArray();
        for (int o = 0; o < uses.Length; o++)
        {
            foreach (int value in uses[o])
            {
                last[value] = o;
            }
        }

        foreach (int value in model.Results)
        {
            last[value] = uses.Length;
        }

        return last;
    }

    /// <summary>Where no cut may be: before an operation within a whole statement, between two uses of a layer, or where something lives that cannot cross.</summary>
    private static bool[] Forbidden(ModelDescription model, int[] last)
    {
        var isForbidden = new bool[model.Operations.Count + 1];
        var layers = new Dictionary<int, int>();
        var statements = new Dictionary<int, int>();
        for (int o = 0; o < model.Operations.Count; o++)
        {
            Operation operation = model.Operations[o];
            if (operation.Layer >= 0)
            {
                Forbid(layers, operation.Layer, o);
            }

            if (operation.Statement >= 0 && !model.Statements[operation.Statement].Pieces)
            {
                Forbid(statements, operation.Statement, o);
            }

            if (!CutBuilder.CanCross(operation.TypeName))
            {
                for (int at = o + 1; at <= Math.Min(last[model.Inputs.Count + o], model.Operations.Count); at++)
                {
                    isForbidden[at] = true;
                }
            }
        }

        return isForbidden;

        void Forbid(Dictionary<int, int> firsts, int key, int operation)
        {
            if (!firsts.TryGetValue(key, out int first))
            {
                firsts[key] = operation;
                return;
            }

            for (int at = first + 1; at <= operation; at++)
            {
                isForbidden[at] = true;
            }
        }
    }

    /// <summary>The first operation of each block: between two layers the cut with the fewest bytes, the latest of several, as operations stay with what they work on.</summary>
    private static List<int> StartsOf(ModelDescription model, bool[] isForbidden, (long Forward, long Backward)[] live)
    {
        int[] anchors = Enumerable.Range(0, model.Operations.Count).Where(o => model.Operations[o].Layer >= 0).ToArray();
        var starts = new List<int>();
        for (int a = 0; a < anchors.Length; a++)
        {
            if (a == 0)
            {
                starts.Add(0);
                continue;
            }

            int best = -1;
            for (int at = anchors[a - 1] + 1; at <= anchors[a]; at++)
            {
                if (!isForbidden[at] && (best < 0 || live[at].Forward <= live[best].Forward))
                {
                    best = at;
                }
            }

            if (best >= 0)
            {
                starts.Add(best);
            }
        }

        return starts;
    }
}

/// <summary>Neighbouring operations that stay together.</summary>
/// <param name="Operations">The operations.</param>
/// <param name="Layers">Their layers.</param>
/// <param name="Forward">Picoseconds of their forward on one micro-batch.</param>
internal sealed record Block(int[] Operations, int[] Layers, long Forward);
