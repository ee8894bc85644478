using System;
using System.Collections.Concurrent;
using System.Diagnostics;

namespace Dho2.Communication;

/// <summary>What a process that is one rank of a world knows of the others, beside the groups that it works in.</summary>
internal abstract class HostRuntime : IDisposable
{
    private readonly ConcurrentDictionary<int, GroupFailure> failures = new();
    private readonly ConcurrentDictionary<int, bool> gone = new();
    private readonly ConcurrentDictionary<int, long> leftAt = new();

    /// <summary>This process's rank.</summary>
    public abstract int Rank { get; }

    /// <summary>The number of processes.</summary>
    public abstract int Size { get; }

    /// <summary>How the processes are connected, for people.</summary>
    public abstract string Name { get; }

    /// <summary>The last failure, unless all ranks have begun something new since; null if there was none.</summary>
    public GroupFailure? Broken { get; set; }

    /// <summary>The rank whose failure was reported to the user; -1 before.</summary>
    public int ReportedBy { get; private set; } = -1;

    /// <summary>The failure that opened groups of this number share.</summary>
    public GroupFailure FailureOf(int group) => failures.GetOrAdd(group, id => new GroupFailure(this, id));

    /// <summary>The group of all processes that the world itself uses.</summary>
    public abstract HostCommunicator CreateLobby(ProcessWorld world, TimeSpan timeout);

    /// <summary>Tells all other processes something. Does not wait, and does not fail where a process has died.</summary>
    public abstract void Announce(ControlKind kind, int group, string text);

    /// <summary>Whether a process has said that it ends after a failure.</summary>
    public bool HasGone(int rank) => gone.ContainsKey(rank);

    /// <summary>Whether a process has left the world, some time ago.</summary>
    public bool HasLeft(int rank) => leftAt.TryGetValue(rank, out long since) && Stopwatch.GetElapsedTime(since) > TimeSpan.FromSeconds(1);

    /// <summary>Whether the connection itself tells that a process has died.</summary>
    public virtual bool HasBroken(int rank) => false;

    /// <summary>Waits, for a while, until what was announced is on its way.</summary>
    public abstract void Flush(TimeSpan limit);

    /// <summary>Ends the connections, after all processes have come to an end together.</summary>
    public abstract void EndTogether();

    /// <summary>Ends all processes of the job at once, this one in any case.</summary>
    public abstract void Abort(int status);

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>Whether a process has said that it leaves the world, however short ago.</summary>
    protected bool IsLeaving(int rank) => leftAt.ContainsKey(rank);

    /// <summary>Takes in what another process has announced.</summary>
    protected void Hear(ControlMessage message)
    {
        switch (message.Kind)
        {
            case ControlKind.Abort:
                FailureOf(message.Group).RaiseRemote(message.Origin, message.Text);
                break;
            case ControlKind.Reported:
                ReportedBy = message.Origin;
                break;
            case ControlKind.Gone:
                gone.TryAdd(message.Origin, true);
                break;
            case ControlKind.Leaving:
                leftAt[message.Origin] = Stopwatch.GetTimestamp();
                break;
        }
    }
}
