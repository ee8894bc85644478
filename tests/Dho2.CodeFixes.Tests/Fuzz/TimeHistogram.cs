using System;
using System.Globalization;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>How long something took, of any number of times: in steps of a tenth, from a hundredth of a millisecond up.</summary>
internal sealed class TimeHistogram
{
    private const double First = 0.01;
    private const double Step = 1.1;

    private readonly int[] counts = new int[256];
    private int count;
    private double sum;
    private double most;

    /// <summary>Takes down a time.</summary>
    /// <param name="milliseconds">Milliseconds.</param>
    public void Add(double milliseconds)
    {
        count++;
        sum += milliseconds;
        most = Math.Max(most, milliseconds);
        counts[Math.Clamp((int)Math.Ceiling(Math.Log(Math.Max(milliseconds, First) / First, Step)), 0, counts.Length - 1)]++;
    }

    /// <summary>Mean, quantiles and maximum in one line.</summary>
    /// <param name="name">What took so long.</param>
    public string Describe(string name) => string.Create(
        CultureInfo.InvariantCulture,
        $"{name,-12} ms: mean {sum / Math.Max(1, count):0.0}, median {At(0.5):0.0}, 95 % {At(0.95):0.0}, 99.9 % {At(0.999):0.0}, most {most:0.0}");

    /// <summary>What so large a share of the times do not exceed, to a tenth.</summary>
    private double At(double share)
    {
        long left = (long)Math.Ceiling(count * share);
        for (int i = 0; i < counts.Length; i++)
        {
            left -= counts[i];
            if (left <= 0)
            {
                return Math.Min(most, First * Math.Pow(Step, i));
            }
        }

        return most;
    }
}
