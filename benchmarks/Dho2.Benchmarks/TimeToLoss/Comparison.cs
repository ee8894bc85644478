using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.Experiments;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// A method against a reference of the same seeds, to the loss that the reference has after a share of its budget. A run that
/// never gets there counts as if it did with its last step, so that means over such are upper bounds of the speed-up.
/// </summary>
/// <param name="Steps">How many times fewer steps.</param>
/// <param name="Cost">How many times dearer a step, estimates until then included, in line with training.</param>
/// <param name="SpeedUp">The quotient: how many times less time.</param>
/// <param name="SpeedUpBeside">The same where estimates are made beside training and only their use costs time.</param>
/// <param name="Never">Runs that never get there.</param>
internal sealed record Comparison(GeometricMean Steps, GeometricMean Cost, GeometricMean SpeedUp, GeometricMean SpeedUpBeside, int Never)
{
    /// <summary>Compares; runs without a partner do not count.</summary>
    /// <param name="reference">The reference's runs.</param>
    /// <param name="runs">The method's runs.</param>
    /// <param name="budget">The share of the reference's budget.</param>
    /// <param name="costs">The costs; without them only steps are compared.</param>
    public static Comparison Of(IReadOnlyList<RunResult> reference, IReadOnlyList<RunResult> runs, double budget, MethodCosts? costs)
    {
        List<double> steps = [], cost = [], inLine = [], beside = [];
        int never = 0;
        foreach (RunResult run in runs)
        {
            if (reference.FirstOrDefault(r => r.Settings.Seed == run.Settings.Seed) is not { } partner)
            {
                continue;
            }

            double threshold = partner.BestWithin(budget);
            double needed = partner.StepsTo(threshold)!.Value;
            double? reached = run.StepsTo(threshold);
            never += reached is null ? 1 : 0;
            double taken = reached ?? partner.Steps[^1];
            steps.Add(needed / taken);
            if (costs is not null)
            {
                double time = costs.TimeTo(partner, needed);
                double own = costs.TimeTo(run, taken);
                cost.Add(own / taken / (time / needed));
                inLine.Add(time / own);
                beside.Add(time / (own - costs.Estimates(run, taken)));
            }
        }

        return new(GeometricMean.Of(steps), GeometricMean.Of(cost), GeometricMean.Of(inLine), GeometricMean.Of(beside), never);
    }
}
