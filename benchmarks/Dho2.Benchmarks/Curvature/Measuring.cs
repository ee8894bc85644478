using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Benchmarks.Curvature;

/// <summary>What the tables of curvature share: ranks as threads, clocks, the environment.</summary>
internal static class Measuring
{
    /// <summary>Runs a body on as many ranks, each on a thread of its own with one native thread.</summary>
    public static void OnRanks(int size, Action<ICommunicator> body)
    {
        using var world = World.Join(TimeSpan.FromMinutes(10));
        IReadOnlyList<ICommunicator> ranks = world.Open(size);
        Exception? failure = null;
        Thread[] threads =
        [
            .. ranks.Select(rank => new Thread(() =>
            {
                try
                {
                    torch.set_num_threads(1);
                    body(rank);
                }
                catch (Exception e)
                {
                    Interlocked.CompareExchange(ref failure, e, null);
                    rank.Abort(e);
                }
            })),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        foreach (ICommunicator rank in ranks)
        {
            rank.Dispose();
        }

        if (failure is not null)
        {
            throw new InvalidOperationException("A rank failed.", failure);
        }
    }

    /// <summary>Seconds of processor time that this process has used: what other programs do hardly shows in it.</summary>
    public static double ProcessorSeconds()
    {
        const int ProcessCpuTime = 2;
        return OperatingSystem.IsLinux() && GetTime(ProcessCpuTime, out TimeSpec time) == 0
            ? time.Seconds + (time.Nanoseconds * 1e-9)
            : Environment.CpuUsage.TotalTime.TotalSeconds;
    }

    /// <summary>The middle one.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>Says where the numbers come from.</summary>
    public static void PrintEnvironment(string table, bool quick)
    {
        string load = File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Table {table}{(quick ? ", quick" : "")}: {RuntimeInformation.OSDescription}, {Environment.ProcessorCount} processors, load {load} at the start, .NET {Environment.Version}, libtorch on the CPU, one native thread a rank, float32."));
        Console.WriteLine();
    }

    /// <summary>A number with so many decimals, as everywhere.</summary>
    public static string Text(double value, int decimals = 2) => value.ToString("F" + decimals, CultureInfo.InvariantCulture);

    [DllImport("libc", EntryPoint = "clock_gettime")]
    private static extern int GetTime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
