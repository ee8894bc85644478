using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Benchmarks.Communication;

/// <summary>
/// Latency and bandwidth between two ranks of the world that this was started in: threads without a launcher, processes
/// with <c>mpirun -n 2</c> or torchrun's variables. Between processes, calls of ours and raw calls of what lies under them, on
/// the same buffers, take turns, each first in every other round. Then what a training step spends on it; with four ranks that alone.
/// </summary>
internal static class CommunicationTable
{
    private const int Rounds = 15;

    public static int Run(bool quick)
    {
        torch.set_num_threads(1);
        using World world = World.Join();
        if (world.Size is not (null or 2 or 4))
        {
            throw new ArgumentException($"The table is about two ranks, a step's also about four; the launcher has started {world.Size}.");
        }

        try
        {
            if (world.Size != 4)
            {
                RunPair(world, quick);
            }

            StepTrafficTable.Run(world, quick);
            return 0;
        }
        catch (Exception failure) when (world.Size is not null)
        {
            return world.Report(failure);
        }
    }

    private static void RunPair(World world, bool quick)
    {
        IReadOnlyList<ICommunicator> ranks = world.Open(2);
        long[] sizes = quick ? [8, 1 << 16, 1 << 20, 1 << 22, 1 << 24] : [8, 1 << 10, 1 << 16, 1 << 20, 1 << 22, 1 << 24, 1 << 26];
        var lines = new List<string>();
        Exception? failure = null;
        Thread[] threads = [.. ranks.Select(rank => new Thread(() =>
        {
            try
            {
                torch.set_num_threads(1);
                Measure(rank, sizes, quick, lines);
            }
            catch (Exception e)
            {
                failure ??= e;
                rank.Abort(e);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        if (failure is not null)
        {
            throw new CommunicationException($"The table was not completed: {failure.Message}", failure);
        }

        if (world.IsLeader)
        {
            Console.WriteLine($"{world.Transport}; {Environment.ProcessorCount} processors; median of {Rounds} turns; one way");
            Console.WriteLine();
            Console.WriteLine("| bytes | send, µs | raw, µs | GB/s | raw GB/s | ours / raw bandwidth | all-reduce, µs | raw, µs | ours / raw |");
            Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
            lines.ForEach(Console.WriteLine);
            Console.WriteLine();
            Console.WriteLine("Target: at least 0.95 of raw MPI's bandwidth above 1 MB; in one process a hand-over without a copy, whatever the size.");
            Console.WriteLine();
        }

        foreach (ICommunicator rank in ranks)
        {
            rank.Dispose();
        }
    }

    private static void Measure(ICommunicator rank, long[] sizes, bool quick, List<string> lines)
    {
        int other = 1 - rank.Rank;
        using RawTransport? library = RawTransport.Open(rank);
        foreach (long bytes in sizes)
        {
            using torch.Tensor tensor = torch.zeros(Math.Max(1, bytes / sizeof(float)), torch.float32);
            using torch.Tensor received = torch.zeros_like(tensor);
            int turns = (int)Math.Clamp((quick ? 1L << 25 : 1L << 27) / (bytes + 4096), 4, 2000);
            var sent = new List<double>();
            var raw = new List<double>();
            var reduced = new List<double>();
            var rawReduced = new List<double>();
            Action[] messages =
            [
                () => sent.Add(Time(rank, turns, () => PingPong(rank, tensor, other)) / 2),
                () => raw.Add(Time(rank, turns, () => library!.PingPong(tensor, received, other)) / 2),
            ];
            Action[] reductions =
            [
                () => reduced.Add(Time(rank, turns, () => rank.AllReduce(tensor))),
                () => rawReduced.Add(Time(rank, turns, () => library!.AllReduce(tensor))),
            ];
            for (int round = 0; round < Rounds; round++)
            {
                // Each finds in the processor's cache what the one before it has left there: neither always follows the same.
                TakeTurns(messages, library is not null, round);
                TakeTurns(reductions, library is { CanReduce: true }, round);
            }

            if (rank.Rank == 0)
            {
                double ours = Median(sent), theirs = Median(raw), all = Median(reduced), theirAll = Median(rawReduced);
                string Cell(double value, string format) => double.IsNaN(value) ? "-" : value.ToString(format, CultureInfo.InvariantCulture);
                lines.Add(
                    $"| {bytes.ToString("#,0", CultureInfo.InvariantCulture)} | {Cell(ours, "0.0")} | {Cell(theirs, "0.0")} | {Cell(bytes / ours / 1000, "0.00")} | {Cell(bytes / theirs / 1000, "0.00")} | {Cell(theirs / ours, "0.00")} | {Cell(all, "0.0")} | {Cell(theirAll, "0.0")} | {Cell(theirAll / all, "0.00")} |");
            }
        }
    }

    /// <summary>Ours and theirs, in this order and, every other round, the other.</summary>
    private static void TakeTurns(Action[] oursAndTheirs, bool haveTheirs, int round)
    {
        for (int i = 0; i < oursAndTheirs.Length; i++)
        {
            int which = (round + i) % 2;
            if (which == 0 || haveTheirs)
            {
                oursAndTheirs[which]();
            }
        }
    }

    private static void PingPong(ICommunicator rank, torch.Tensor tensor, int other)
    {
        if (rank.Rank == 0)
        {
            rank.Send(tensor, other);
            rank.Receive(other).Dispose();
        }
        else
        {
            rank.Receive(other).Dispose();
            rank.Send(tensor, other);
        }
    }

    private static double Time(ICommunicator rank, int turns, Action action)
    {
        action();
        rank.Barrier();
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < turns; i++)
        {
            action();
        }

        return Stopwatch.GetElapsedTime(start).TotalMicroseconds / turns;
    }

    private static double Median(List<double> values) => values.Count == 0 ? double.NaN : values.Order().ElementAt(values.Count / 2);
}
