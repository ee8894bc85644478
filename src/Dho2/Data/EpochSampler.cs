using System;
using System.Collections.Generic;
using System.Globalization;
using Dho2.Pipelines;
using Dho2.Planning;

namespace Dho2.Data;

/// <summary>
/// Deals the samples of a data set out to steps and replicas. Every epoch is a permutation that depends on seed and epoch
/// alone; each sample is dealt once, and the last step takes what is left.
/// </summary>
public sealed class EpochSampler
{
    private readonly long count;
    private readonly int batch;
    private readonly int replicas;
    private readonly long seed;

    /// <summary>Creates a sampler.</summary>
    /// <param name="count">Samples of the data set; at least 1.</param>
    /// <param name="batch">Samples per step and replica; at least 1.</param>
    /// <param name="replicas">Replicas; at least 1.</param>
    /// <param name="seed">The run's seed.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1.</exception>
    public EpochSampler(long count, int batch, int replicas, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        this.count = count;
        this.batch = batch;
        this.replicas = replicas;
        this.seed = seed;
    }

    /// <summary>The number of steps in an epoch.</summary>
    public long StepsPerEpoch => StepsFrom(0);

    /// <summary>The number of steps in what is left of an epoch.</summary>
    /// <param name="dealt">Samples that were dealt before.</param>
    public long StepsFrom(long dealt) => (count - dealt + ((long)batch * replicas) - 1) / ((long)batch * replicas);

    /// <summary>The steps of one epoch: for each step, the sample indices of each replica.</summary>
    /// <param name="epoch">The epoch.</param>
    /// <param name="dealt">Samples that were dealt before, in a run that goes on in mid-epoch: in steps of whatever size.</param>
    public IEnumerable<long[][]> Shuffled(int epoch, long dealt = 0) => Deal(Permutation(epoch), dealt);

    /// <summary>The data set once in its own order, dealt out likewise.</summary>
    public IEnumerable<long[][]> InOrder() => Deal(Identity(), 0);

    private long[] Identity()
    {
        long[] order = new long[count];
        for (long i = 0; i < count; i++)
        {
            order[i] = i;
        }

        return order;
    }

    // Fisher and Yates, driven by SplitMix64: the same on every host and framework version.
    private long[] Permutation(int epoch)
    {
        ulong state = (ulong)StageContext.SeedOf(seed, "epoch " + epoch.ToString(CultureInfo.InvariantCulture));
        long[] order = Identity();
        for (long i = count - 1; i > 0; i--)
        {
            state = unchecked(state + 0x9E3779B97F4A7C15UL);
            ulong word = state;
            word = unchecked((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9UL);
            word = unchecked((word ^ (word >> 27)) * 0x94D049BB133111EBUL);
            word ^= word >> 31;
            long j = (long)Math.BigMul(word, (ulong)(i + 1), out _);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }

    private IEnumerable<long[][]> Deal(long[] order, long dealtBefore)
    {
        long perStep = (long)batch * replicas;
        for (long start = dealtBefore; start < count; start += perStep)
        {
            int samples = (int)Math.Min(perStep, count - start);
            int[] shares = [.. MicroBatches.Split(samples, replicas)];
            long[][] dealt = new long[replicas][];
            long at = start;
            for (int replica = 0; replica < replicas; replica++)
            {
                int share = replica < shares.Length ? shares[replica] : 0;
                dealt[replica] = order.AsSpan((int)at, share).ToArray();
                at += share;
            }

            yield return dealt;
        }
    }
}
