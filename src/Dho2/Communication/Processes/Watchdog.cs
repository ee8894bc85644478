using System;
using System.Threading;

namespace Dho2.Communication;

/// <summary>
/// Bounds a native call that offers no way to bound it: if it lasts too long, an action is taken on another thread, such as
/// to end the process.
/// </summary>
internal sealed class Watchdog : IDisposable
{
    private readonly Timer timer;

    public Watchdog(TimeSpan limit, Action bark) => timer = new Timer(_ => bark(), null, limit, Timeout.InfiniteTimeSpan);

    public void Dispose() => timer.Dispose();
}
