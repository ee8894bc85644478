using System;
using System.Diagnostics;
using System.Threading;

namespace Dho2.Communication;

/// <summary>
/// What one rank did and when, over stretches of a run that somebody chooses, up to a fixed number of notes: their memory is
/// allocated once. Written by the rank's own thread; what is complete can be read by any.
/// </summary>
/// <param name="capacity">The most notes.</param>
internal sealed class ActivityTrace(int capacity)
{
    private readonly TracedState[] states = new TracedState[capacity];
    private int complete;
    private bool isOn;
    private RankState? under;
    private long since;

    /// <summary>Whether there were more notes than there was room for.</summary>
    public bool IsFull { get; private set; }

    /// <summary>Whether notes are kept now.</summary>
    public bool IsOn => isOn;

    /// <summary>What is over, in order.</summary>
    public ReadOnlySpan<TracedState> Complete => states.AsSpan(0, Volatile.Read(ref complete));

    /// <summary>Keeps notes from now on.</summary>
    public void Begin() => isOn = true;

    /// <summary>What the rank was at is over, and what comes is not kept.</summary>
    public void End()
    {
        Close(Stopwatch.GetTimestamp());
        isOn = false;
    }

    /// <summary>The rank does something else.</summary>
    public void Enter(RankState state)
    {
        if (isOn)
        {
            long now = Stopwatch.GetTimestamp();
            Close(now);
            (under, since) = (state, now);
        }
    }

    private void Close(long now)
    {
        if (under is not { } state)
        {
            return;
        }

        if (complete < states.Length)
        {
            states[complete] = new TracedState(state, since, now);
            Volatile.Write(ref complete, complete + 1);
        }
        else
        {
            IsFull = true;
        }

        under = null;
    }
}

/// <summary>Something that a rank did.</summary>
/// <param name="State">What.</param>
/// <param name="Start">When it began, as <see cref="Stopwatch.GetTimestamp"/> has it.</param>
/// <param name="End">When it was over.</param>
internal readonly record struct TracedState(RankState State, long Start, long End);
