using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using Dho2.Benchmarks.Curvature;
using Dho2.Checkpoints;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Checkpoints;

/// <summary>
/// What checkpoints cost: saving against a raw write of the same bytes, loading against a raw read, the step that an
/// asynchronous save takes its snapshot in against a copy of the state, and memory beyond the state itself.
/// </summary>
internal static class CheckpointTable
{
    /// <summary>Prints the table.</summary>
    /// <param name="quick">Whether three turns are enough.</param>
    /// <param name="folder">Where to write; null for the folder of temporary files.</param>
    public static int Run(bool quick, string? folder)
    {
        Measuring.PrintEnvironment("checkpoint", quick);
        int rounds = quick ? 3 : 9;
        string root = Path.Combine(folder ?? Path.GetTempPath(), $"dho2-checkpoint-table-{Environment.ProcessId}");
        Directory.CreateDirectory(root);
        try
        {
            Measure(root, rounds);
            return 0;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static void Measure(string root, int rounds)
    {
        using World world = World.Join();
        using Trainer trainer = Create(world);
        Train(trainer, 5);
        string path = "";
        (long Peak, long Left)? saveMemory = ResidentMemory.Of(() => path = trainer.Save(Path.Combine(root, "first")));

        using World otherWorld = World.Join();
        using Trainer other = Create(otherWorld);
        (long Peak, long Left)? loadMemory = ResidentMemory.Of(() => other.Load(path));
        (List<double> held, (long Peak, long Left)? snapshotMemory) = Snapshots(Path.Combine(root, "beside"), rounds);

        using StoredBytes raw = StoredBytes.Of(path);
        List<double> saves = [], writes = [], loads = [], reads = [], copies = [];
        for (int round = 0; round < rounds; round++)
        {
            string saved = Path.Combine(root, $"save-{round}"), written = Path.Combine(root, $"raw-{round}");
            saves.Add(Milliseconds(() => trainer.Save(saved)));
            writes.Add(Milliseconds(() => raw.Write(written)));
            Directory.Delete(saved, recursive: true);
            Directory.Delete(written, recursive: true);
            loads.Add(Milliseconds(() => other.Load(path)));
            reads.Add(Milliseconds(raw.Read));
            copies.Add(Milliseconds(raw.Copy));
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"State of {raw.Total / 1e6:0.0} MB in {trainer.Plan.Stages.Count} stages, each a thread; medians of {rounds} turns, which take turns with the alternative."));
        Console.WriteLine();
        Console.WriteLine("| what | ms | alternative | its ms | ratio | range of the ratio | target |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        Row("save, until it is on the disk", saves, "raw write and flush of the same bytes", writes, "at most 1.25");
        Row("load, checksums included", loads, "raw read of the same bytes into new memory", reads, "");
        Row("asynchronous save: training stands still", held, "copy of the state in memory", copies, "at most 1");
        Console.WriteLine();
        Console.WriteLine("| what | memory at its peak, MB | of which stays, MB | peak / state | peak less what stays / state | target |");
        Console.WriteLine("|---|---|---|---|---|---|");
        MemoryRow("save", saveMemory, raw.Total, "no copy");
        MemoryRow("load into a new trainer", loadMemory, raw.Total, "no copy beside what stays: the eigenvectors");
        MemoryRow("asynchronous save", snapshotMemory, raw.Total, "one copy, which stays");
    }

    private static Trainer Create(World world, int epochs = 1, CheckpointOptions? checkpoints = null) => CheckpointNet.CreateTrainer(world, new TrainingOptions
    {
        LearningRate = 1e-4,
        Epochs = epochs,
        ThreadsPerRank = 1,
        Seed = 1,

        // Eigenvectors are wanted here, whether they are any good or not.
        Estimation = new LanczosSettings { MaxOrder = 9, CertificateProducts = 0 },
        Checkpoints = checkpoints,
        Overrides = checkpoints is null ? null : new PlanOverrides { Curvature = new CurvatureOptions(8, 0, int.MaxValue, 1, 0, 0.01, 1, CurvatureScope.Global) },
    });

    private static void Train(Trainer trainer, int steps)
    {
        using DisposeScope scope = NewDisposeScope();
        var batch = new Batch([randn(32, 1024)], [randint(0, 10, [32], ScalarType.Int64)]);
        for (int step = 0; step < steps; step++)
        {
            trainer.TrainStep(batch);
        }
    }

    // An epoch is a step here, and each is saved. The first allocates the copy, which later ones overwrite.
    private static (List<double> Held, (long Peak, long Left)? Memory) Snapshots(string folder, int rounds)
    {
        using Tensor inputs = randn(32, 1024), labels = randint(0, 10, [32], ScalarType.Int64);
        using var data = new TensorDataset(inputs, labels);
        List<double> Run(int epochs)
        {
            using World world = World.Join();
            using Trainer trainer = Create(world, epochs, new CheckpointOptions { Folder = folder + epochs, Keep = 1 });
            var held = new List<double>();
            trainer.CheckpointSaved += saved => held.Add(saved.Held.TotalMilliseconds);
            trainer.Fit(data);
            return held;
        }

        List<double> times = Run(rounds + 1);

        // What a first save adds to a run whose training has reached its peak, and which is freed with the trainer.
        using World alone = World.Join();
        using Trainer one = Create(alone, 1, new CheckpointOptions { Folder = folder + "memory", Keep = 1 });
        Train(one, 1);
        (long Peak, long Left)? memory = ResidentMemory.Of(() => one.Fit(data));
        return (times[1..], memory);
    }

    private static double Milliseconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private static void Row(string what, List<double> ours, string alternative, List<double> theirs, string target)
    {
        double[] ratios = [.. ours.Zip(theirs, (o, t) => o / t)];
        Console.WriteLine(
            $"| {what} | {Measuring.Text(Measuring.Median(ours), 0)} | {alternative} | {Measuring.Text(Measuring.Median(theirs), 0)} | {Measuring.Text(Measuring.Median(ratios))} | {Measuring.Text(ratios.Min())} to {Measuring.Text(ratios.Max())} | {target} |");
    }

    private static void MemoryRow(string what, (long Peak, long Left)? memory, long state, string target)
    {
        string cells = memory is { } m
            ? $"{Measuring.Text(m.Peak / 1e6, 1)} | {Measuring.Text(m.Left / 1e6, 1)} | {Measuring.Text((double)m.Peak / state)} | {Measuring.Text((double)(m.Peak - m.Left) / state)}"
            : "not counted here | | | ";
        Console.WriteLine($"| {what} | {cells} | {target} |");
    }
}
