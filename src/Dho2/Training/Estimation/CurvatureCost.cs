using System;

namespace Dho2;

/// <summary>
/// What curvature costs one rank in time, by the rank's own clock: its estimates, and what an update takes longer with eigenpairs
/// in force than it took without.
/// </summary>
/// <param name="clock">The clock.</param>
internal sealed class CurvatureCost(TimeProvider clock)
{
    // In the first updates, code is compiled and memory is touched for the first time.
    private const int WarmUp = 2;

    private long stepStart;
    private TimeSpan excluded;
    private TimeSpan total;
    private TimeSpan estimates;
    private TimeSpan underWay;
    private TimeSpan inStep;
    private (TimeSpan Time, long Count) with;
    private (TimeSpan Time, long Count) without;
    private int updates;

    /// <summary>The time, as <see cref="TimeSince"/> takes it.</summary>
    public long Now => clock.GetTimestamp();

    /// <summary>The last step's time, without what was done for estimates in it.</summary>
    public TimeSpan LastStep { get; private set; }

    /// <summary>What the last estimate that took force has taken, from its start on.</summary>
    public TimeSpan LastEstimate { get; private set; }

    /// <summary>
    /// The time of all training steps so far, over what they would have taken without curvature; at least 1. What the update
    /// takes longer is part of it once updates without eigenpairs were seen too.
    /// </summary>
    public double Factor
    {
        get
        {
            TimeSpan all = total + (stepStart == 0 ? TimeSpan.Zero : TimeSince(stepStart) - excluded);
            TimeSpan longer = with.Count > 0 && without.Count > 0 ? with.Time - (without.Time * ((double)with.Count / without.Count)) : TimeSpan.Zero;
            TimeSpan rest = all - estimates - (longer > TimeSpan.Zero ? longer : TimeSpan.Zero);
            return rest > TimeSpan.Zero ? all / rest : 1;
        }
    }

    /// <summary>The time since another.</summary>
    public TimeSpan TimeSince(long start) => clock.GetElapsedTime(start, clock.GetTimestamp());

    /// <summary>A training step begins.</summary>
    public void BeginStep() => (stepStart, excluded, inStep) = (Now, TimeSpan.Zero, TimeSpan.Zero);

    /// <summary>So much of the present step belongs to something else.</summary>
    public void Exclude(TimeSpan time) => excluded += time;

    /// <summary>Something was done for an estimate.</summary>
    /// <param name="start">Since when.</param>
    /// <param name="tookForce">Whether an estimate took force by it.</param>
    public void Estimated(long start, bool tookForce = false)
    {
        TimeSpan time = TimeSince(start);
        estimates += time;
        inStep += time;
        underWay += time;
        if (tookForce)
        {
            (LastEstimate, underWay) = (underWay, TimeSpan.Zero);
        }
    }

    /// <summary>The parameters were updated.</summary>
    /// <param name="start">Since when.</param>
    /// <param name="withSubspace">Whether eigenpairs were in force.</param>
    public void Updated(long start, bool withSubspace)
    {
        TimeSpan time = TimeSince(start);
        if (++updates <= WarmUp)
        {
            return;
        }

        if (withSubspace)
        {
            with = (with.Time + time, with.Count + 1);
        }
        else
        {
            without = (without.Time + time, without.Count + 1);
        }
    }

    /// <summary>A training step is complete.</summary>
    public void EndStep()
    {
        if (stepStart == 0)
        {
            return;
        }

        TimeSpan time = TimeSince(stepStart) - excluded;
        total += time;
        LastStep = time - inStep;
        stepStart = 0;
    }
}
