using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Consecutive elements of a stage's flat gradient that are reduced in one call.</summary>
/// <param name="FirstParameter">The first of its parameters.</param>
/// <param name="Parameters">The number of its parameters.</param>
/// <param name="Start">Its first element.</param>
/// <param name="Length">The number of its elements.</param>
public readonly record struct GradientBucket(int FirstParameter, int Parameters, long Start, long Length)
{
    /// <summary>
    /// Divides a stage's parameters into buckets of about equal size, the last parameters first: a backward finishes their
    /// gradients first.
    /// </summary>
    /// <param name="counts">Elements of each parameter.</param>
    /// <param name="buckets">Buckets wanted; at least 1. There are never more than parameters.</param>
    public static IReadOnlyList<GradientBucket> Split(IReadOnlyList<long> counts, int buckets)
    {
        if (buckets < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(buckets), buckets, "There is at least one bucket.");
        }

        long total = counts.Sum();
        var result = new List<GradientBucket>();
        long end = total;
        int last = counts.Count;
        long length = 0;
        for (int i = counts.Count - 1; i >= 0; i--)
        {
            length += counts[i];
            bool isFull = length * buckets >= total && result.Count < buckets - 1;
            if (isFull || i == 0)
            {
                result.Add(new(i, last - i, end - length, length));
                end -= length;
                last = i;
                length = 0;
            }
        }

        return result.Count == 0 ? [new(0, 0, 0, 0)] : result;
    }
}
