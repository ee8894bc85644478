using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text.Json;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;

namespace Dho2.Benchmarks.Memory;

/// <summary>What one stage was planned to need and what its process needed, in bytes.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="PlannedOwned">Parameters, gradients, buffers, optimizer state, kept eigenvectors and the twin for products.</param>
/// <param name="Owned">The tensors that the rank holds after its steps.</param>
/// <param name="PlannedRest">What comes on top at the peak: activations and temporaries, or the estimate's graphs and basis.</param>
/// <param name="Peak">The process's peak of resident memory over its baseline.</param>
/// <param name="PlannedPeak">The plan's peak.</param>
/// <param name="Terms">The plan's terms.</param>
internal sealed record RankMemory(
    int Stage, long PlannedOwned, long Owned, long PlannedRest, long Peak, long PlannedPeak, Dictionary<string, long> Terms)
{
    /// <summary>What came on top of the owned buffers.</summary>
    public long Rest => Peak - Owned;
}

/// <summary>Builds one stage in this process, runs its instructions with a stand-in for the neighbours, and reads the kernel's count of its memory.</summary>
internal static partial class RankMeasurement
{
    /// <summary>What the measuring process is started with, so that freed memory goes back to the system at once.</summary>
    public static IReadOnlyDictionary<string, string> Environment { get; } = new Dictionary<string, string>
    {
        ["MALLOC_ARENA_MAX"] = "1",
        ["MALLOC_MMAP_THRESHOLD_"] = "65536",
        ["MALLOC_TRIM_THRESHOLD_"] = "131072",
        ["MALLOC_TOP_PAD_"] = "0",
        ["DOTNET_gcConcurrent"] = "0",
        ["DOTNET_TieredPGO"] = "0",
    };

    /// <summary>Measures one stage and prints the result as a line of JSON.</summary>
    public static int Run(int configuration, int stage, int divisor)
    {
        MemoryConfiguration chosen = MemoryConfiguration.All[configuration];

        // The same run, small: libraries are loaded, code is compiled, pools and threads are there.
        Train(chosen, stage, Math.Max(divisor, chosen.Batch / 32), out _);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Trim(0);
        File.WriteAllText("/proc/self/clear_refs", "5");
        long baseline = Read("VmRSS:");
        RankMemory memory = Train(chosen, stage, divisor, out StagePlan plan);
        memory = memory with { Peak = Read("VmHWM:") - baseline };
        Console.WriteLine(JsonSerializer.Serialize(memory));
        return 0;
    }

    private static RankMemory Train(MemoryConfiguration configuration, int stage, int divisor, out StagePlan plan)
    {
        PipelineDefinition definition = configuration.Definition();
        using var world = new StandInWorld(stage);
        using var trainer = new Trainer(definition, world, configuration.Options(divisor));
        world.Plan = trainer.Plan;
        plan = trainer.Plan.Stages[stage];
        using DisposeScope scope = torch.NewDisposeScope();
        int samples = trainer.Plan.Options.Batch;
        ModelDescription model = trainer.Description;
        Batch batch = new(
            stage == 0 ? [torch.randn([samples, .. model.Inputs[0].Dimensions!.Value.Select(d => d.Size)])] : [],
            stage == trainer.Plan.Stages.Count - 1 ? [torch.zeros([samples], torch.int64)] : [],
            samples);
        for (int step = 0; step < 2; step++)
        {
            trainer.TrainStep(batch);
        }

        long BytesOf(params MemoryKind[] kinds) =>
            trainer.Plan.Stages[stage].Memory.Where(t => kinds.Contains(t.Kind)).Sum(t => t.Bytes ?? throw new InvalidOperationException($"{t.Kind} of stage {stage} is not known."));

        long owned = BytesOf(MemoryKind.Parameters, MemoryKind.Gradients, MemoryKind.Optimizer, MemoryKind.Curvature, MemoryKind.Admm);
        return new(
            stage,
            owned,
            OwnedTensors.BytesOf(trainer),
            plan.PeakBytes!.Value - owned,
            0,
            plan.PeakBytes.Value,
            plan.Memory.ToDictionary(t => t.Kind.ToString(), t => t.Bytes ?? -1));
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint padding);

    private static long Read(string name) =>
        1024 * long.Parse(
            File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Trim().Split(' ')[0],
            CultureInfo.InvariantCulture);
}
