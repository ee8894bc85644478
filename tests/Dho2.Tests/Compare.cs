using System;
using System.Collections.Generic;

namespace Dho2.Tests;

/// <summary>Comparisons of sequences that name the element that differs most.</summary>
internal static class Compare
{
    /// <summary>Absolute differences.</summary>
    public static void Near(IReadOnlyList<double> expected, IReadOnlyList<double> actual, double tolerance) =>
        Check(expected, actual, tolerance, _ => 1);

    /// <summary>Differences relative to each expected element.</summary>
    public static void NearRelative(IReadOnlyList<double> expected, IReadOnlyList<double> actual, double tolerance) =>
        Check(expected, actual, tolerance, Math.Abs);

    private static void Check(IReadOnlyList<double> expected, IReadOnlyList<double> actual, double tolerance, Func<double, double> size)
    {
        Assert.Equal(expected.Count, actual.Count);
        int worst = 0;
        double difference = 0;
        for (int i = 0; i < expected.Count; i++)
        {
            double here = Math.Abs(expected[i] - actual[i]) / Math.Max(size(expected[i]), double.Epsilon);
            if (!(here <= difference))
            {
                (worst, difference) = (i, here);
            }
        }

        Assert.True(
            difference <= tolerance,
            $"Element {worst} of {expected.Count}: expected {(expected.Count == 0 ? 0 : expected[worst]):R}, got {(expected.Count == 0 ? 0 : actual[worst]):R}; off by {difference:E2}, allowed {tolerance:E2}.");
    }
}
