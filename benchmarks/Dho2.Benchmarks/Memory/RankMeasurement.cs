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

/// <summary>What one stage's process needed, in bytes.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="Owned">The tensors that the rank holds after its steps: parameters, gradients, buffers, states, kept eigenvectors, the copy for products.</param>
/// <param name="Peak">The process's peak of resident memory over its baseline.</param>
internal sealed record RankMemory(int Stage, long Owned, long Peak)
{
    /// <summary>What came on top of the owned buffers at the peak: the batch, activations and temporaries, or the estimate's graphs and basis.</summary>
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
    public static int Run(string configuration, int stage, int divisor)
    {
        MemoryConfiguration chosen = MemoryConfiguration.Find(configuration);

        // The same run, small: libraries are loaded, code is compiled, pools and threads are there.
        Train(chosen, stage, Math.Max(divisor, chosen.Batch / 32));
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Trim(0);
        File.WriteAllText("/proc/self/clear_refs", "5");
        long baseline = Read("VmRSS:");
        long owned = Train(chosen, stage, divisor);
        Console.WriteLine(JsonSerializer.Serialize(new RankMemory(stage, owned, Read("VmHWM:") - baseline)));
        return 0;
    }

    /// <summary>Takes a step; where there is curvature two, each after an estimate: only then is all there that a run ever holds.</summary>
    /// <returns>Bytes of the tensors that the rank holds afterwards.</returns>
    private static long Train(MemoryConfiguration configuration, int stage, int divisor)
    {
        using var world = new StandInWorld(stage);
        using var trainer = new Trainer(configuration.Definition(), world, configuration.Options(divisor));
        world.Plan = trainer.Plan;
        using DisposeScope scope = torch.NewDisposeScope();
        int samples = trainer.Plan.Options.Batch;
        ModelDescription model = trainer.Description;
        Batch batch = new(
            stage == 0 ? [torch.randn([samples, .. model.Inputs[0].Dimensions!.Value.Select(d => d.Size)])] : [],
            stage == trainer.Plan.Stages.Count - 1 ? [torch.zeros([samples], torch.int64)] : [],
            samples);
        for (int step = 0; step < (configuration.HasCurvature ? 2 : 1); step++)
        {
            trainer.TrainStep(batch);
        }

        return OwnedTensors.BytesOf(trainer);
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint padding);

    private static long Read(string name) =>
        1024 * long.Parse(
            File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Trim().Split(' ')[0],
            CultureInfo.InvariantCulture);
}
