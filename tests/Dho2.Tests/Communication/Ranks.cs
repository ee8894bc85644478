using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Tests.Communication;

/// <summary>Runs one body per rank, each on a thread of its own.</summary>
internal static class Ranks
{
    /// <summary>What is put round each rank's communicator.</summary>
    public static Func<ICommunicator, ICommunicator> Wrap { get; set; } = communicator => communicator;

    /// <summary>A timeout that is soon over, but not before ranks that do come have come.</summary>
    public static TimeSpan ShortTimeout { get; } = TimeSpan.FromMilliseconds(150);

    /// <summary>How often something quick is repeated.</summary>
    public static int ManyTurns => 5000;

    /// <summary>Runs the body on every rank and rethrows the failure that came first.</summary>
    public static void Run(int size, Action<ICommunicator> body, TimeSpan? timeout = null)
    {
        Exception?[] failures = RunAll(size, body, timeout);
        if (failures.FirstOrDefault(f => f is not null and not CommunicationException) is { } primary)
        {
            throw new InvalidOperationException("A rank failed.", primary);
        }

        if (failures.FirstOrDefault(f => f is not null) is { } secondary)
        {
            throw new InvalidOperationException("A rank failed.", secondary);
        }
    }

    /// <summary>Runs the body on every rank; a rank that throws aborts the others. Returns what each threw, or null.</summary>
    public static Exception?[] RunAll(int size, Action<ICommunicator> body, TimeSpan? timeout = null)
    {
        using var world = World.Join(timeout);
        IReadOnlyList<ICommunicator> communicators = [.. world.Open(size).Select(Wrap)];
        var failures = new Exception?[size];
        Thread[] threads =
        [
            .. communicators.Select(communicator => new Thread(() =>
            {
                try
                {
                    // A new thread takes over the process's setting only with its first parallel region, after some kernels have run.
                    torch.set_num_threads(1);
                    body(communicator);
                }
                catch (Exception e)
                {
                    failures[communicator.Rank] = e;
                    communicator.Abort(e);
                }
            })),
        ];
        Array.ForEach(threads, t => t.Start());
        Assert.All(threads, t => Assert.True(t.Join(TimeSpan.FromMinutes(5)), "A rank hangs."));
        foreach (ICommunicator communicator in communicators)
        {
            communicator.Dispose();
        }

        return failures;
    }
}
