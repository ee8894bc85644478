using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;

namespace Dho2.Benchmarks.Memory;

/// <summary>Compares the memory that plans foretell with what processes need: one process for each stage of each configuration.</summary>
internal static class MemoryTable
{
    /// <summary>Measures and prints the table.</summary>
    /// <param name="quick">Whether batches are an eighth, which shows the same with peaks of some hundred mebibytes.</param>
    /// <param name="only">Only configurations whose name contains this; null for all.</param>
    /// <param name="json">A file for all numbers; null for none.</param>
    public static int Run(bool quick, string? only, string? json, int divisor = 0)
    {
        divisor = divisor > 0 ? divisor : quick ? 8 : 1;
        Console.WriteLine($"Peak resident memory over a baseline against the plan; batches / {divisor}; one process for each stage, one thread; {System.Environment.OSVersion}, .NET {System.Environment.Version}");
        Console.WriteLine("owned: buffers of the stage; rest: activations, temporaries and second-order graphs on top of them at the peak\n");
        Console.WriteLine("| configuration | held out | stage | owned MiB | planned | rest MiB | planned | error % | peak MiB | planned | error % |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
        var all = new List<(MemoryConfiguration Configuration, RankMemory Memory)>();
        for (int i = 0; i < MemoryConfiguration.All.Count; i++)
        {
            MemoryConfiguration configuration = MemoryConfiguration.All[i];
            if (only is not null && !configuration.Name.Contains(only, StringComparison.Ordinal))
            {
                continue;
            }

            for (int stage = 0; stage < configuration.Definition().Stages.Count; stage++)
            {
                RankMemory memory = Measure(i, stage, divisor);
                all.Add((configuration, memory));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"| {configuration.Name} | {(configuration.IsHeldOut ? "yes" : "")} | {stage} | {MiB(memory.Owned)} | {MiB(memory.PlannedOwned)} | {MiB(memory.Rest)} | {MiB(memory.PlannedRest)} | {Error(memory.PlannedRest, memory.Rest):+0.0;-0.0} | {MiB(memory.Peak)} | {MiB(memory.PlannedPeak)} | {Error(memory.PlannedPeak, memory.Peak):+0.0;-0.0} |"));
            }
        }

        foreach (bool heldOut in new[] { false, true })
        {
            Summarise(heldOut ? "held out" : "fitted", all.Where(x => x.Configuration.IsHeldOut == heldOut).Select(x => x.Memory).ToList());
        }

        if (json is not null)
        {
            File.WriteAllText(json, JsonSerializer.Serialize(all.Select(x => new { x.Configuration.Name, x.Configuration.IsHeldOut, x.Memory }), new JsonSerializerOptions { WriteIndented = true }));
        }

        return 0;
    }

    private static void Summarise(string which, List<RankMemory> memories)
    {
        if (memories.Count == 0)
        {
            return;
        }

        double[] totals = [.. memories.Select(m => Error(m.PlannedPeak, m.Peak))];
        double[] rests = [.. memories.Select(m => Error(m.PlannedRest, m.Rest))];
        double[] sizes = [.. totals.Select(Math.Abs).Order()];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\n{which} ({memories.Count} stages): total off by {sizes.Average():0.0} % in the mean, 95th percentile {sizes[(int)Math.Ceiling(0.95 * sizes.Length) - 1]:0.0} %, largest under-estimate {Math.Max(0, -totals.Min()):0.0} % (targets: 5 %, shown, 5 %); rest off by {rests.Max(Math.Abs):0.0} % at most (target 10 %); owned buffers exact: {memories.Count(m => m.Owned == m.PlannedOwned)} of {memories.Count}"));
    }

    private static RankMemory Measure(int configuration, int stage, int divisor)
    {
        var start = new ProcessStartInfo(System.Environment.ProcessPath!, ["memory", "--rank", Text(configuration), Text(stage), Text(divisor)])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        foreach ((string name, string value) in RankMeasurement.Environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? JsonSerializer.Deserialize<RankMemory>(output.Trim().Split('\n')[^1])!
            : throw new InvalidOperationException($"Stage {stage} of '{MemoryConfiguration.All[configuration].Name}' ended with status {process.ExitCode}: {output}");
    }

    /// <summary>How far a plan is off, in per cent of what was measured; negative where it promised too little.</summary>
    private static double Error(long planned, long measured) => 100.0 * (planned - measured) / Math.Max(1, measured);

    private static string MiB(long bytes) => (bytes / 1048576.0).ToString("0.0", CultureInfo.InvariantCulture);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
