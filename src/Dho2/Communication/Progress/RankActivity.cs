using System;
using System.Globalization;
using System.Threading;

namespace Dho2.Communication;

/// <summary>
/// What one rank is at, for the messages of failures and for its progress file. Written by the rank's own thread, read by
/// any.
/// </summary>
public sealed class RankActivity
{
    private readonly Lock gate = new();
    private readonly ProgressFile? file;
    private RankState? current;

    /// <summary>Creates an activity that is noted nowhere else.</summary>
    public RankActivity()
    {
    }

    internal RankActivity(ProgressFile? file) => this.file = file;

    /// <summary>What the rank does now; null before its first note.</summary>
    public RankState? Current
    {
        get
        {
            lock (gate)
            {
                return current;
            }
        }
    }

    /// <summary>Keeps what the rank does with its times, while it is asked to; null, the default, for nothing of the kind.</summary>
    internal ActivityTrace? Trace { get; set; }

    /// <summary>Notes what the rank does from now on.</summary>
    /// <param name="doing">What it does, such as an instruction's name.</param>
    /// <param name="stage">Its stage; -1 where there is none.</param>
    /// <param name="step">The step, counted from 0; -1 where there is none.</param>
    /// <param name="microBatch">The micro-batch; -1 where there is none.</param>
    public void Enter(string doing, int stage = -1, long step = -1, int microBatch = -1)
    {
        var state = new RankState(doing, stage, step, microBatch, DateTime.UtcNow);
        lock (gate)
        {
            current = state;
        }

        file?.Write("running", state);
        Trace?.Enter(state);
    }

    /// <summary>Notes that the rank has ended, for better or worse.</summary>
    internal void End(bool well) => file?.Write(well ? "ended" : "failed", Current ?? new("start", -1, -1, -1, DateTime.UtcNow));
}

/// <summary>What a rank is at.</summary>
/// <param name="Doing">What it does.</param>
/// <param name="Stage">Its stage; -1 where there is none.</param>
/// <param name="Step">The step, counted from 0; -1 where there is none.</param>
/// <param name="MicroBatch">The micro-batch; -1 where there is none.</param>
/// <param name="Since">Since when, in UTC.</param>
public readonly record struct RankState(string Doing, int Stage, long Step, int MicroBatch, DateTime Since)
{
    /// <summary>The state without its time.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{(Stage < 0 ? "" : $"stage {Stage}, ")}{(Step < 0 ? "" : $"step {Step}, ")}{(MicroBatch < 0 ? "" : $"micro-batch {MicroBatch}, ")}{Doing}");
}
