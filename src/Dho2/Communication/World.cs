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

    /// <summary>The number of ranks that the launcher has started; null where ranks are threads, as many as a run needs.</summary>
    public virtual int? Size => null;

    /// <summary>Whether rank 0 lives in this process: the one that prints.</summary>
    public virtual bool IsLeader => true;

    /// <summary>How the last run with the same progress folder ended, if not well; known to the leader only.</summary>
    public virtual string? PreviousFailure => null;

    /// <summary>How ranks are connected, for people.</summary>
    public virtual string Transport => "threads of one process";

    /// <summary>
    /// Joins the world that this process was started in: by the variables of <c>mpirun</c>, <c>srun</c> or
    /// <c>torchrun</c>; without a launcher, ranks are threads of this process.
    /// </summary>
    /// <param name="options">Timeout, reductions, progress files; null for what the environment says, or the defaults.</param>
    /// <exception cref="CommunicationException">The launcher's variables or library are not what they should be, or not all ranks came.</exception>
    public static World Join(WorldOptions? options = null)
    {
        options = (options ?? new WorldOptions()).Resolve();
        Launcher launcher = Launcher.Detect();
        return launcher.Kind switch
        {
            LauncherKind.Mpi or LauncherKind.Torchrun => ProcessWorld.Join(launcher, options),
            _ => new InProcessWorld(options),
        };
    }

    /// <summary>Joins the world that this process was started in.</summary>
    /// <param name="timeout">How long any call may wait for its peers; null means the environment's, or <see cref="DefaultTimeout"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is not positive.</exception>
    /// <exception cref="CommunicationException">The launcher's variables or library are not what they should be, or not all ranks came.</exception>
    public static World Join(TimeSpan? timeout) => Join(new WorldOptions { Timeout = timeout });

    /// <summary>
    /// Opens a new group of <paramref name="size"/> ranks and returns the communicators of those that live in this
    /// process, in rank order. Each belongs to one thread at a time; the caller disposes them. Where ranks are processes, all
    /// of them call this in step.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The size is below 1.</exception>
    /// <exception cref="ArgumentException">The launcher has started another number of ranks.</exception>
    public abstract IReadOnlyList<ICommunicator> Open(int size);

    /// <summary>
    /// Tells the user of a failure that ends this process's work: on the error stream, in one line, from one of the job's
    /// ranks, with what is known of all others. The other ranks end without words. Call it while the world is joined.
    /// </summary>
    /// <param name="failure">What was thrown.</param>
    /// <returns>The exit status for this process, not 0.</returns>
    public virtual int Report(Exception failure)
    {
        Console.Error.WriteLine(failure.Message);
        return 1;
    }

    /// <summary>Leaves the world. Communicators that are still open stay usable where ranks are threads.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>How many of a group's ranks run on this machine, and share its processors.</summary>
    internal virtual int RanksOnThisMachine(int size) => size;

    /// <summary>Releases what the transport holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
