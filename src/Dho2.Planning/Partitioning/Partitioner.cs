using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Dho2.Planning;

/// <summary>
/// Splits a chain of blocks into stages so that the slowest takes the least time, by dynamic programming over the cuts
/// (PipeDream, Narayanan et al. 2019, section 3.1, for devices alike): exact among partitions into runs of neighbouring
/// blocks. Equal times are decided by the least exchange, and then by the earliest cut.
/// </summary>
internal static class Partitioner
{
    /// <summary>Finds the best partition.</summary>
    /// <param name="chain">The blocks.</param>
    /// <param name="stages">The stages; each gets at least one block.</param>
    /// <param name="mayHold">Whether a stage may hold the blocks from the first index up to, but not with, the second.</param>
    /// <param name="recomputes">Whether a stage of these blocks runs its forward twice; null where none does.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <returns>The first block of each stage; null where there is no partition that is allowed.</returns>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public static int[]? Split(BlockChain chain, int stages, Func<int, int, int, bool> mayHold, Func<int, int, int, bool>? recomputes = null, CancellationToken cancellation = default)
    {
        int count = chain.Blocks.Count;
        if (stages < 1 || stages > count)
        {
            return null;
        }

        long[] upTo = ForwardsUpTo(chain);
        var best = new (long Slowest, long Exchange, int Start)?[stages + 1, count + 1];
        best[0, 0] = (0, 0, 0);
        var candidates = new List<(long Slowest, long Exchange, int Start)>();
        for (int stage = 1; stage <= stages; stage++)
        {
            for (int end = stage; end <= count - (stages - stage); end++)
            {
                cancellation.ThrowIfCancellationRequested();
                candidates.Clear();
                for (int start = stage - 1; start < end; start++)
                {
                    if (best[stage - 1, start] is { } before)
                    {
                        candidates.Add((
                            Math.Max(before.Slowest, ExchangeOf(chain, start, end) + (WalksOf(recomputes?.Invoke(stage - 1, start, end) == true) * (upTo[end] - upTo[start]))),
                            before.Exchange + (end < count ? chain.Cuts[end - 1] : 0),
                            start));
                    }
                }

                best[stage, end] = FirstAllowed(candidates, start => mayHold(stage - 1, start, end));
            }
        }

        if (best[stages, count] is null)
        {
            return null;
        }

        var starts = new int[stages];
        for (int stage = stages, end = count; stage > 0; stage--)
        {
            end = starts[stage - 1] = best[stage, end]!.Value.Start;
        }

        return starts;
    }

    /// <summary>Picoseconds that a stage of some blocks works on a micro-batch, exchange included.</summary>
    public static long TimeOf(BlockChain chain, int start, int end, bool recomputes = false)
    {
        long time = ExchangeOf(chain, start, end);
        for (int block = start; block < end; block++)
        {
            time += WalksOf(recomputes) * chain.Blocks[block].Forward;
        }

        return time;
    }

    /// <summary>How many forwards a micro-batch takes as long as.</summary>
    private static long WalksOf(bool recomputes) => (recomputes ? 2 : 1) + OperationTimes.BackwardFactor;

    private static long ExchangeOf(BlockChain chain, int start, int end) =>
        (start > 0 ? chain.Cuts[start - 1] : 0) + (end < chain.Blocks.Count ? chain.Cuts[end - 1] : 0);

    private static long[] ForwardsUpTo(BlockChain chain)
    {
        var times = new long[chain.Blocks.Count + 1];
        for (int block = 0; block < chain.Blocks.Count; block++)
        {
            times[block + 1] = times[block] + chain.Blocks[block].Forward;
        }

        return times;
    }

    /// <summary>
    /// The best candidate that is allowed: whether it is, which takes the longest to find out, is asked of as few as need be.
    /// </summary>
    private static (long Slowest, long Exchange, int Start)? FirstAllowed(
        List<(long Slowest, long Exchange, int Start)> candidates, Func<int, bool> isAllowed)
    {
        if (candidates.Count == 0)
        {
            return null;
        }

        (long Slowest, long Exchange, int Start) first = candidates.Min();
        if (isAllowed(first.Start))
        {
            return first;
        }

        candidates.Sort();
        foreach ((long Slowest, long Exchange, int Start) candidate in candidates.Skip(1))
        {
            if (isAllowed(candidate.Start))
            {
                return candidate;
            }
        }

        return null;
    }
}
