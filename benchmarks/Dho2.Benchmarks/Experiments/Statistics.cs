using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Benchmarks.Experiments;

/// <summary>A geometric mean with its 95 % interval.</summary>
/// <param name="Value">The mean.</param>
/// <param name="Low">The interval's lower end; NaN with fewer than two numbers.</param>
/// <param name="High">Its upper end.</param>
/// <param name="Count">How many numbers it rests on.</param>
internal readonly record struct GeometricMean(double Value, double Low, double High, int Count)
{
    // Two-sided 95 % quantiles of Student's t for 1 to 9 degrees of freedom.
    private static readonly double[] StudentT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

    /// <summary>The geometric mean of positive numbers; the interval is Student's t on the logarithms.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There are more than ten numbers, for which no quantile is known here.</exception>
    public static GeometricMean Of(IReadOnlyCollection<double> values)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(values.Count, StudentT.Length + 1);
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
        double half = StudentT[logs.Length - 2] * deviation / Math.Sqrt(logs.Length);
        return new(Math.Exp(mean), Math.Exp(mean - half), Math.Exp(mean + half), logs.Length);
    }
}

/// <summary>
/// How many times fewer steps runs need than a reference, seed by seed, to the loss that the reference has after a share
/// of its budget.
/// </summary>
/// <param name="Mean">The geometric mean of the ratios over seeds.</param>
/// <param name="Never">
/// How many of them never reach the loss. They enter the mean as if they reached it with their last step, so that the
/// mean is then an upper bound.
/// </param>
internal readonly record struct StepRatio(GeometricMean Mean, int Never)
{
    /// <summary>Compares the runs with the reference of the same seed; runs without one do not count.</summary>
    public static StepRatio Of(IReadOnlyCollection<RunResult> reference, IReadOnlyCollection<RunResult> runs, double budget)
    {
        List<double> ratios = [];
        int never = 0;
        foreach (RunResult run in runs)
        {
            if (reference.FirstOrDefault(r => r.Settings.Seed == run.Settings.Seed) is { } partner)
            {
                double threshold = partner.BestWithin(budget);
                double needed = partner.StepsTo(threshold)!.Value;
                double? steps = run.StepsTo(threshold);
                never += steps is null ? 1 : 0;

                // A run that diverged has measured fewer steps than its budget; the reference's budget stands for it.
                ratios.Add(needed / (steps ?? Math.Round(run.Settings.Budget * partner.Steps[^1])));
            }
        }

        return new StepRatio(GeometricMean.Of(ratios), never);
    }
}

/// <summary>What curvature costs, in gradients of the training batch per step, each factor measured.</summary>
/// <param name="Products">Products of an estimate (N), the mean over estimates.</param>
/// <param name="Update">Extra time of an update over the base's, in gradients (t_V / t_grad).</param>
/// <param name="Product">Time of a product in gradients of the curvature batch (c_p).</param>
/// <param name="Kappa">Cost of a step in gradients: <c>1 + t_V / t_grad + N c_p (B_c / B) / every</c>.</param>
internal readonly record struct StepCost(double Products, double Update, double Product, double Kappa)
{
    /// <param name="products">Products of an estimate (N).</param>
    /// <param name="update">Extra time of an update over the base's, in gradients.</param>
    /// <param name="product">Time of a product in gradients of the curvature batch.</param>
    /// <param name="batchRatio">Samples of the curvature batch over those of the training batch (B_c / B).</param>
    /// <param name="every">Steps between estimates; infinite where there is one only.</param>
    public static StepCost Of(double products, double update, double product, double batchRatio, double every) =>
        new(products, update, product, 1 + update + (products * product * batchRatio / every));
}
