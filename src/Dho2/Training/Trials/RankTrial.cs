using System;
using System.Collections.Generic;
using Dho2.Communication;
using Dho2.Planning;

namespace Dho2;

/// <summary>
/// One rank's part in trials of curvature: when one is made, and what came of it. Runs on the rank's own thread, on all ranks in
/// step; losses are the same on all of them, times are the leader's.
/// </summary>
/// <param name="setup">The run; it has a curvature and a trial.</param>
/// <param name="rank">The rank; stays the caller's.</param>
internal sealed class RankTrial(TrainingSetup setup, TrainingRank rank)
{
    private readonly CurvatureTrial options = setup.Options.CurvatureTrial!;
    private readonly CurvatureOptions curvature = setup.Curvature!;
    private long estimates;
    private long? snapshot;
    private StepSeries? alone;
    private StepSeries curved = new();
    private long firstStep;
    private double estimateSeconds;

    /// <summary>The steps that are trained both ways.</summary>
    public int Steps => options.StepsFor(curvature.Every);

    /// <summary>A call of <c>Fit</c> begins.</summary>
    public void BeginFit() => (snapshot, alone) = (null, null);

    /// <summary>Whether a trial is to be made before the next step.</summary>
    /// <param name="refreshes">What has taken force before it; the same on every rank.</param>
    /// <param name="remaining">Steps that the call has left.</param>
    public bool IsDue(IReadOnlyList<CurvatureRefreshed> refreshes, long remaining)
    {
        if (refreshes.Count == 0)
        {
            return false;
        }

        // Under ADMM, and where estimates take longer than a period, there are more steps between two than were asked for.
        long distance = snapshot is { } last ? refreshes[0].SnapshotStep - last : curvature.Every;
        snapshot = refreshes[0].SnapshotStep;
        estimates++;
        if (alone is not null || remaining < Steps || !options.IsAfter(estimates))
        {
            return false;
        }

        estimateSeconds = rank.Cost.LastEstimate.TotalSeconds / distance;
        return true;
    }

    /// <summary>The base's steps are done, and the rank is put back to where it was.</summary>
    /// <param name="series">What they came to.</param>
    public void Begin(StepSeries series) => (alone, curved, firstStep) = (series, new StepSeries(), rank.Steps + 1);

    /// <summary>The rank has done a step of the run's own course.</summary>
    /// <returns>The comparison, if it was the trial's last; what it says of times counts on the leader alone.</returns>
    public CurvatureCompared? AfterStep(StepResult result)
    {
        if (alone is null)
        {
            return null;
        }

        curved.Add(result.Loss, rank.Cost.LastStep);
        if (curved.Count < Steps)
        {
            return null;
        }

        CurvatureCompared compared = PairedSteps.Compare(firstStep, alone, curved, estimateSeconds);
        alone = null;
        if (options.WhenItDoesNotPay == UnpaidCurvature.Drop && rank.LeaderSays(compared.IsUnpaid))
        {
            rank.DropCurvature();
            compared = compared with { Dropped = true };
        }

        return compared;
    }
}
