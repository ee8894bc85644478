using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Records;

namespace Dho2.Cli.Tests;

/// <summary>The record of a run that never was: two stages in two processes, with curvature and rounds of ADMM.</summary>
internal static class SampleRecord
{
    public const int Steps = 200;

    private const double MiB = 1 << 20;

    public static DateTimeOffset Start { get; } = DateTimeOffset.UnixEpoch.AddDays(10_000);

    /// <summary>Writes it.</summary>
    /// <param name="folder">The folder; made if it does not exist.</param>
    public static void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        Manifest().Write(folder);
        for (int rank = 0; rank < 2; rank++)
        {
            using RecordFile file = RecordFile.Append(Path.Combine(folder, RecordFile.NameOf(rank)));
            foreach (RecordEntry entry in Entries(rank))
            {
                file.Add(entry);
            }

            file.Flush();
            Trace(rank).Write(Path.Combine(folder, ChromeTrace.NameOf(rank)));
        }
    }

    private static RecordManifest Manifest() => new()
    {
        Model = "Tests.Sample<T>",
        Started = Start,
        Versions = new Dictionary<string, string> { ["dho2"] = "0.1.0" },
        Plan = new StoredPlan("abc", 2, 1, ""),
        Configuration = new Dictionary<string, string> { ["learning_rate"] = "0.05" },
        Transport = "TCP",
        Stages = [Stage(0), Stage(1)],
        Ranks = [new(0, true, 0, [0]), new(1, true, 0, [1])],
    };

    private static RecordedStage Stage(int index) => new(
        index,
        ["fc"],
        1000,
        2,
        [
            new("Parameters", "parameters and buffers", (long)(20 * MiB), true, true),
            new("Activations", "activations in flight", (long)(40 * MiB), true, false),
            new("Tomorrow's", "what a later version has", index == 0 ? (long)MiB : null, index == 0, false),
        ],
        index == 0 ? (long)(61 * MiB) : null,
        (long)((index == 0 ? 61 : 60) * MiB),
        null);

    private static IEnumerable<RecordEntry> Entries(int rank)
    {
        yield return new StartEntry(0, 0, Start, "abc", null, 100 + rank, "host");
        for (int step = 1; step <= Steps && rank == 0; step++)
        {
            if (step % 50 == 1)
            {
                yield return new EstimateEntry(step, step - 0.5, null, "Converged", [-0.5, 2, 10 + step], [0.1, 0.2, 1], 12, 1.5);
            }

            yield return new StepEntry(step, step, ((step - 1) / 100) + 1, 3 * Math.Exp(-step / 40.0), 1 + (step % 7), 0.05, 64);
            if (step % 10 == 0)
            {
                yield return new RoundEntry(step, step, 5.0 / step, 2.0 / step, 0.1, step < 50 ? double.PositiveInfinity : 0.4);
            }

            if (step == 150)
            {
                yield return new TrialEntry(step, step, 50, 1.1, 1.54, "DoesNotPay", true);
            }

            if (step % 100 == 0)
            {
                yield return new EpochEntry(step, step, step / 100, 0.5, 0.6, 0.9 + (step / 10_000.0));
            }
        }

        yield return new RankEntry(Steps, Steps, 1000, 990, (long)(19 * MiB), new ProcessMemory((long)(100 * MiB), (long)(150 * MiB), (long)(170 * MiB)));
        yield return new EndEntry(Steps, Steps, null);
    }

    // Step 3 plain, step 51 with an estimate; the second process's clock begins a second later.
    private static ChromeTrace Trace(int rank) => new(
        "Tests.Sample<T>",
        Start.AddSeconds(rank),
        new Dictionary<int, string> { [rank] = $"rank {rank}: stage {rank}" },
        [.. new long[] { 3, 51 }.SelectMany(step => Step(rank, step))],
        Truncated: false);

    private static IEnumerable<TraceSpan> Step(int rank, long step)
    {
        double time = (2e6 * step) - (1e6 * rank);
        (string Name, string Category, double Length)[] parts =
        [
            ("reading data", TraceCategory.Data, 500),
            .. step == 51 ? [("upward sweep of the curvature", TraceCategory.Curvature, 40_000), ("downward sweep of the curvature", TraceCategory.Curvature, 60_000)] : Array.Empty<(string, string, double)>(),
            .. Enumerable.Range(0, 4).SelectMany(_ => new[] { ("ReceiveActivation", TraceCategory.Receive, 1000.0), ("Forward", TraceCategory.Forward, 10_000), ("Backward", TraceCategory.Backward, 20_000) }),
            ("norm and loss", TraceCategory.Reduce, 2000),
            ("optimizer step", TraceCategory.Update, 700),
        ];
        int microBatch = 0;
        foreach ((string name, string category, double length) in parts)
        {
            yield return new TraceSpan(rank, name, category, time, length, rank, step, category == TraceCategory.Forward ? microBatch++ : -1);
            time += length;
        }
    }
}
