using System;
using System.Threading;

namespace Dho2.Communication;

/// <summary>
/// The first failure among all groups that were opened or split from one another, in whichever process: it ends the waiting
/// in all of them.
/// </summary>
/// <param name="runtime">Tells the other processes.</param>
/// <param name="id">Names the opened group and all that was split from it; the same in all processes.</param>
internal sealed class GroupFailure(HostRuntime runtime, int id)
{
    private readonly CancellationTokenSource raised = new();
    private Exception? cause;

    /// <summary>The first failure that this process has heard of, or null.</summary>
    public Exception? Cause => Volatile.Read(ref cause);

    /// <summary>Cancelled with the first failure.</summary>
    public CancellationToken Raised => raised.Token;

    /// <summary>The lowest rank of another process that has claimed to be the origin; the size of the world if none has.</summary>
    public int Rival { get; private set; } = int.MaxValue;

    /// <summary>Records a failure of this process, unless there was one before, and tells all others.</summary>
    public void Raise(Exception failure)
    {
        if (Interlocked.CompareExchange(ref cause, failure, null) is null)
        {
            runtime.Broken = this;
            runtime.Announce(ControlKind.Abort, id, failure.Message);
            raised.Cancel();
        }
    }

    /// <summary>Records a failure that another process tells of.</summary>
    public void RaiseRemote(int origin, string text)
    {
        Rival = Math.Min(Rival, origin);
        if (Interlocked.CompareExchange(ref cause, new RemoteRankException(origin, text), null) is null)
        {
            runtime.Broken = this;
            raised.Cancel();
        }
    }
}
