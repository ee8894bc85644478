using System;
using System.Collections.Generic;
using System.Threading;

namespace Dho2.Communication;

/// <summary>The first failure among all groups that were opened or split from one another: it ends the waiting in all of them.</summary>
internal sealed class SharedFailure
{
    private readonly List<InProcessGroup> groups = [];
    private readonly CancellationTokenSource raised = new();
    private Exception? cause;

    /// <summary>Cancelled with the first failure.</summary>
    public CancellationToken Raised => raised.Token;

    /// <summary>The first failure, or null.</summary>
    public Exception? Cause => Volatile.Read(ref cause);

    /// <summary>Wakes this group, too, when a failure comes.</summary>
    public void Watch(InProcessGroup group)
    {
        lock (groups)
        {
            groups.Add(group);
        }
    }

    /// <summary>Forgets a group that all its ranks have left.</summary>
    public void Forget(InProcessGroup group)
    {
        lock (groups)
        {
            groups.Remove(group);
        }
    }

    /// <summary>Records the failure, unless there was one before, and wakes every waiting rank.</summary>
    public void Raise(Exception failure)
    {
        if (Interlocked.CompareExchange(ref cause, failure, null) is not null)
        {
            return;
        }

        lock (groups)
        {
            foreach (InProcessGroup group in groups)
            {
                group.WakeAll();
            }
        }

        raised.Cancel();
    }
}
