using System;
using System.Text.Json.Serialization;

namespace Dho2.Benchmarks.Experiments;

/// <summary>What one run came to.</summary>
/// <param name="Settings">The run's settings.</param>
/// <param name="Steps">The steps after which the loss was measured, 0 first.</param>
/// <param name="Losses">The loss on the fixed evaluation samples of the training set.</param>
/// <param name="TestLoss">The loss on the test set at the end.</param>
/// <param name="TestAccuracy">The accuracy on the test set at the end; null where the task has none.</param>
/// <param name="Products">Products of each estimate.</param>
/// <param name="Unconverged">Estimates that ended before their pairs met the tolerance.</param>
/// <param name="Scales">The raise of the base rate after each estimate.</param>
/// <param name="First">The largest eigenvalue of each estimate.</param>
/// <param name="Last">The smallest kept of the largest eigenvalues of each estimate.</param>
/// <param name="Seconds">Time of the whole run, estimates included.</param>
/// <param name="ProcessorSeconds">Processor time of the whole run.</param>
internal sealed record RunResult(
    RunSettings Settings,
    int[] Steps,
    double[] Losses,
    double TestLoss,
    double? TestAccuracy,
    int[] Products,
    int Unconverged,
    double[] Scales,
    double[] First,
    double[] Last,
    double Seconds,
    double ProcessorSeconds)
{
    /// <summary>Whether the run ended with a loss that is a number.</summary>
    [JsonIgnore]
    public bool Finite => double.IsFinite(Losses[^1]);

    /// <summary>The steps before which estimates were made; null in results of the time before this was kept.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int[]? Refreshes { get; init; }

    /// <summary>The first step, interpolated between measurements, at which the loss is at most <paramref name="threshold"/>; null if it never is.</summary>
    public double? StepsTo(double threshold)
    {
        for (int i = 0; i < Losses.Length; i++)
        {
            if (Losses[i] <= threshold)
            {
                if (i == 0)
                {
                    return 0;
                }

                double share = (Losses[i - 1] - threshold) / (Losses[i - 1] - Losses[i]);
                return Steps[i - 1] + (share * (Steps[i] - Steps[i - 1]));
            }
        }

        return null;
    }

    /// <summary>The lowest loss measured within the first share of the steps; losses that are not numbers do not count.</summary>
    public double BestWithin(double share)
    {
        double best = double.PositiveInfinity;
        for (int i = 0; i < Steps.Length && Steps[i] <= share * Steps[^1]; i++)
        {
            best = double.IsFinite(Losses[i]) ? Math.Min(best, Losses[i]) : best;
        }

        return best;
    }
}
