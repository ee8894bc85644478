using System;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// The time of a training step by a plan's own prices: each stage's work on a micro-batch with what it exchanges, laid out by
/// the schedule, and then the reduction over replicas. Prices are the device's peaks, so that a forecast compares plans and
/// says little about seconds.
/// </summary>
/// <param name="Costs">The time of each stage's work on one micro-batch, exchange included.</param>
/// <param name="Simulation">The step of one pipeline.</param>
/// <param name="Reduction">
/// Picoseconds for the slowest rank's reduction of gradients over the replicas, or of ADMM's round shared out over the steps of
/// a period.
/// </param>
public sealed record StepForecast(ScheduleCosts Costs, ScheduleSimulation Simulation, long Reduction)
{
    /// <summary>Picoseconds of a whole step.</summary>
    public long Time => SafeInteger.Add(Simulation.Makespan, Reduction) ?? long.MaxValue;

    /// <summary>Forecasts a plan's step; null where the work of an operation or the size of a parameter is not known.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="model">The model that it was made for.</param>
    /// <param name="prices">What work and messages cost; null for the plan's own device.</param>
    public static StepForecast? Of(Plan plan, ModelDescription model, DeviceProfile? prices = null)
    {
        InferenceResult inference = ShapeInference.Infer(model with { Options = plan.Options });
        DeviceProfile profile = prices ?? plan.Options.Profile;
        return StageTimes.Of(plan, model, inference, profile) is { } costs && ReductionOf(plan, profile) is { } reduction
            ? new(costs, ScheduleSimulator.Run(plan.Schedule, costs), reduction)
            : null;
    }

    /// <summary>
    /// Picoseconds for the slowest rank's reduction; null where the size of a parameter is not known.
    /// </summary>
    internal static long? ReductionOf(Plan plan, DeviceProfile profile)
    {
        if (plan.Options.Replicas <= 1)
        {
            return 0;
        }

        var traffic = new TrafficModel(plan);
        bool isPeriodic = plan.Options.Admm is { Rule: AdmmRule.Consensus };
        long slowest = 0;
        for (int rank = 0; rank < plan.Layout.Ranks; rank++)
        {
            StepTraffic step = traffic.Step(rank, new StepFacts(plan.MicroBatches, EndsPeriod: isPeriodic));
            if (SafeInteger.Add(step.Gradients, step.Round) is not { } bytes)
            {
                return null;
            }

            slowest = Math.Max(slowest, profile.SendTimeOf(isPeriodic ? bytes / Math.Max(1, plan.Options.Admm!.Period) : bytes));
        }

        return slowest;
    }
}
