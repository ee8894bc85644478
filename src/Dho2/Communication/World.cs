using System;
using System.Collections.Generic;
using Dho2.Communication;

namespace Dho2;

/// <summary>All ranks that take part in a run, of which some live in this process.</summary>
public abstract class World : IDisposable
{
    /// <summary>Creates a world.</summary>
    /// <param name="timeout">How long any call of its communicators may wait for its peers.</param>
    protected World(TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        Timeout = timeout;
    }

    /// <summary>The timeout where none is given: one minute.</summary>
    public static TimeSpan DefaultTimeout { get; } = TimeSpan.FromSeconds(60);

    /// <summary>How long any call of its communicators may wait for its peers.</summary>
    public TimeSpan Timeout { get; }

    /// <summary>Joins the world that this process was started in: without a launcher, ranks are threads of this process.</summary>
    /// <param name="timeout">How long any call may wait for its peers; null means <see cref="DefaultTimeout"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is not positive.</exception>
    public static World Join(TimeSpan? timeout = null) => new InProcessWorld(timeout ?? DefaultTimeout);

    /// <summary>
    /// Opens a new group of <paramref name="size"/> ranks and returns the communicators of those that live in this
    /// process, in rank order. Each belongs to one thread at a time; the caller disposes them.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The size is below 1.</exception>
    public abstract IReadOnlyList<ICommunicator> Open(int size);

    /// <summary>Leaves the world. Communicators that are still open stay usable.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases what the transport holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
