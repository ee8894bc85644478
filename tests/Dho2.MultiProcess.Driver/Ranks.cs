using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using Dho2.MultiProcess.Driver;
using TorchSharp;

namespace Dho2.Tests.Communication;

/// <summary>Runs one body per rank, each in a process of its own: the same door as that of tests whose ranks are threads.</summary>
internal static class Ranks
{
    private static int runs;

    /// <summary>A timeout that is soon over, but not before ranks that do come have come.</summary>
    public static TimeSpan ShortTimeout { get; } = TimeSpan.FromSeconds(1);

    /// <summary>How often something quick is repeated; more processes than cores wait for one another's turn.</summary>
    public static int ManyTurns => 300;

    /// <summary>Runs the body on every rank and rethrows the failure that came first.</summary>
    public static void Run(int size, Action<ICommunicator> body, TimeSpan? timeout = null)
    {
        Exception?[] failures = RunAll(size, body, timeout);
        if ((failures.FirstOrDefault(f => f is not null and not CommunicationException) ?? failures.FirstOrDefault(f => f is not null)) is { } primary)
        {
            throw new InvalidOperationException($"A rank failed: {primary.Message}", primary);
        }
    }

    /// <summary>Runs the body on the first ranks of the world; the others look on. Returns what each threw, or null, the same on all ranks.</summary>
    public static Exception?[] RunAll(int size, Action<ICommunicator> body, TimeSpan? timeout = null)
    {
        ProcessWorld world = ContractRun.World;
        if (size > world.Size)
        {
            throw new WorldTooSmallException();
        }

        int run = ++runs;
        ICommunicator all = world.Open(world.Size!.Value, timeout ?? world.Timeout)[0];
        int rank = all.Rank;
        Exception? failure = null;
        ICommunicator? first = null;
        try
        {
            first = all.Split(rank < size ? 0 : 1, rank);

            // Outside of the group: a body may abort it at once, while a slower rank would still be about its split.
            Meet(run, rank, world.Size!.Value);
            if (rank < size)
            {
                body(first);
            }
        }
        catch (Exception e)
        {
            failure = e;
            all.Abort(e);
        }

        File.WriteAllText(
            FileOf(run, rank), failure is null ? string.Empty : $"{failure.GetType().Name}\0{failure.Message}\0{failure.InnerException?.Message}");

        // Once all are here, all have written.
        world.Open(world.Size!.Value)[0].Dispose();
        Exception?[] failures = [.. Enumerable.Range(0, size).Select(r => Read(FileOf(run, r)))];
        first?.Dispose();
        all.Dispose();
        return failures;
    }

    private static void Meet(int run, int rank, int size)
    {
        File.WriteAllText(FileOf(run, rank) + ".here", string.Empty);
        while (Enumerable.Range(0, size).Any(r => !File.Exists(FileOf(run, r) + ".here")))
        {
            Thread.Sleep(1);
        }
    }

    private static string FileOf(int run, int rank) => Path.Combine(ContractRun.Folder, $"run-{run}-{rank}");

    private static Exception? Read(string file) => File.ReadAllText(file).Split('\0') switch
    {
        [nameof(CommunicationException), string message, ""] => new CommunicationException(message),
        [nameof(CommunicationException), string message, string inner] => new CommunicationException(message, new RemoteRankException(-1, inner)),
        [string type, string message, _] => new InvalidOperationException($"{type}: {message}"),
        _ => null,
    };
}

/// <summary>A test wants more ranks than were started.</summary>
internal sealed class WorldTooSmallException : Exception;
