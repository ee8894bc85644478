using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Planning;

namespace Dho2;

/// <summary>Measures how a run is doing, on the leading rank's thread.</summary>
/// <param name="setup">The run.</param>
/// <param name="ranks">This process's ranks that train.</param>
/// <param name="memory">Resident memory since before they were built.</param>
internal sealed class ProgressMeter(TrainingSetup setup, IReadOnlyList<TrainingRank> ranks, ResidentMemory memory)
{
    private const int MostEigenvalues = 3;

    // Reading it takes about as long as a small step.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lazy<double> plannedIdle = new(() => BubbleOf(setup));
    private readonly long plannedBytes = ranks.SelectMany(rank => setup.Layout.StagesAt(rank.Stage)).Sum(stage => setup.Plan.Stages[stage].KnownBytes);
    private readonly Dictionary<int, IReadOnlyList<double>> eigenvalues = [];
    private long sampled;
    private long resident;
    private double idleSum;
    private int idleSteps;
    private double? idle;
    private double? cost;
    private CurvatureCompared? comparison;

    /// <summary>The leading rank has done a step.</summary>
    /// <param name="remaining">Time until the last one.</param>
    public TrainingStatus Measure(TimeSpan remaining)
    {
        idleSum += ranks[0].Idle;
        idleSteps++;
        if (sampled == 0 || Stopwatch.GetElapsedTime(sampled) > Interval)
        {
            sampled = Stopwatch.GetTimestamp();
            resident = Math.Max(0, memory.Sample().Resident - memory.Baseline);
            (idle, idleSum, idleSteps) = (idleSum / idleSteps, 0, 0);
        }

        return new TrainingStatus(remaining)
        {
            Idle = setup.Plan.Layout.Ranks > 1 ? idle : null,
            PlannedIdle = plannedIdle.Value,
            ResidentBytes = resident,
            PlannedBytes = plannedBytes,
            Eigenvalues = [.. eigenvalues.Values.SelectMany(values => values).OrderDescending().Take(MostEigenvalues)],
            CurvatureCost = cost,
            Comparison = comparison,
        };
    }

    /// <summary>An estimate has taken force.</summary>
    public void Add(CurvatureRefreshed refreshed)
    {
        const int whole = -1;
        cost = refreshed.CostFactor;
        if (refreshed.Estimate.Eigenvalues.Count > 0)
        {
            eigenvalues[refreshed.Stage ?? whole] = refreshed.Estimate.Eigenvalues;
        }
    }

    /// <summary>A trial of curvature is over.</summary>
    public void Add(CurvatureCompared compared) => comparison = compared;

    // By the plan's prices; where the work of an operation is not known, with stages of equal cost.
    private static double BubbleOf(TrainingSetup setup) =>
        StepForecast.Of(setup.Plan, setup.Description)?.Simulation.BubbleFraction
        ?? ScheduleSimulator.Run(setup.Plan.Schedule, ScheduleCosts.OfEqualStages(setup.Plan)).BubbleFraction;
}
