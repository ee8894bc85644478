using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Benchmarks.Memory;

/// <summary>
/// Bytes of the fullest rank at 1, 2, 4 and 8 ranks. What there is at the edges of a stage does not become less with their
/// number: the batch's inputs and targets, and gradients of cuts. The rest should fall as 1 / ranks.
/// </summary>
internal static class DeviceTable
{
    /// <summary>Measures and prints the table.</summary>
    /// <param name="options">What to measure.</param>
    public static int Run(MemoryTableOptions options)
    {
        var measured = new MeasuredMemory(options.Results, options.IsStored);
        Console.WriteLine($"Peak resident memory of each rank over a baseline, Adam, eight micro-batches in flight; batches / {options.Divisor}; one process for each stage, one thread; {System.Environment.OSVersion}, .NET {System.Environment.Version}");
        Console.WriteLine();
        Console.WriteLine("| model, ranks | owned, all ranks, MiB | fullest rank, MiB | planned | edges, planned | the rest | x ranks / one rank's | target |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|");
        double whole = 0;
        foreach (MemoryConfiguration configuration in MemoryConfiguration.OnDevices.Where(c => options.Only is null || c.Name.Contains(options.Only, StringComparison.Ordinal)))
        {
            Plan plan = configuration.Plan(options.Divisor);
            List<Share> shares = [];
            foreach (StagePlan stage in plan.Stages)
            {
                if (options.IsPlanShown)
                {
                    Console.WriteLine($"{configuration.Name}, stage {stage.Index}: {MemoryTable.MiB(stage.PeakBytes!.Value)}, {string.Join(", ", stage.PeakTerms.Select(term => $"{PlanReport.NameOf(term.Kind)} {MemoryTable.MiB(term.Bytes ?? 0)}"))}");
                }

                if (measured.Of(configuration, stage.Index, options.Divisor) is { } memory)
                {
                    shares.Add(new(stage, memory));
                }
            }

            if (shares.Count == plan.Stages.Count)
            {
                Share fullest = shares.MaxBy(share => share.Memory.Peak)!;
                long rest = shares.Max(share => share.Rest);
                whole = shares.Count == 1 ? rest : whole;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"| {configuration.Name} | {MemoryTable.MiB(shares.Sum(share => share.Memory.Owned))} | {MemoryTable.MiB(fullest.Memory.Peak)} | {MemoryTable.MiB(fullest.Plan.PeakBytes!.Value)} | {MemoryTable.MiB(fullest.Edges)} | {MemoryTable.MiB(rest)} | {rest * shares.Count / whole:0.000} | 1.05 |"));
            }
        }

        return 0;
    }

    private sealed record Share(StagePlan Plan, RankMemory Memory)
    {
        public long Edges { get; } = Plan.PeakTerms.Where(term => term.Kind == MemoryKind.Boundary).Sum(term => term.Bytes ?? 0);

        public long Rest => Memory.Peak - Edges;
    }
}
