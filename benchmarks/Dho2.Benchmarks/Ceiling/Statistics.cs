using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>A geometric mean with its 95 % interval.</summary>
internal readonly record struct GeometricMean(double Value, double Low, double High, int Count)
{
    // Two-sided 95 % quantiles of Student's t for 1 to 9 degrees of freedom.
    private static readonly double[] StudentT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

    /// <summary>The geometric mean of positive numbers; the interval is Student's t on the logarithms.</summary>
    public static GeometricMean Of(IReadOnlyCollection<double> values)
    {
        if (values.Count == 0)
        {
            return new(double.NaN, double.NaN, double.NaN, 0);
        }

        double[] logs = values.Select(value => Math.Log(value)).ToArray();
        double mean = logs.Average();
        if (logs.Length == 1)
        {
            return new(Math.Exp(mean), double.NaN, double.NaN, 1);
        }

        double deviation = Math.Sqrt(logs.Sum(x => (x - mean) * (x - mean)) / (logs.Length - 1));
        double t = logs.Length - 1 <= StudentT.Length ? StudentT[logs.Length - 2] : 1.96;
        double half = t * deviation / Math.Sqrt(logs.Length);
        return new(Math.Exp(mean), Math.Exp(mean - half), Math.Exp(mean + half), logs.Length);
    }
}
