using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Benchmarks.Memory;

/// <summary>
/// Bytes of the fullest rank at 1, 2, 4 and 8 ranks. What there is at the edges of a stage does not become less with their
/// number: the batch's inputs and targets, gradients of cuts, and what came over the cut for each micro-batch in flight, which
/// the stage before keeps as well; where graphs of second order are kept, also the gradients of both cuts, and tangents that
/// wait. The rest should fall as 1 / ranks.
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
        Console.WriteLine("| model, ranks | owned, all ranks, MiB | fullest rank, MiB | planned | x ranks / one rank's | edges | the rest, at most | x ranks / one rank's | target |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        double peak = 0;
        double whole = 0;
        foreach (MemoryConfiguration configuration in MemoryConfiguration.OnDevices.Where(c => options.Only is null || c.Name.Contains(options.Only, StringComparison.Ordinal)))
        {
            Plan plan = configuration.Plan(options.Divisor);
            var traffic = new TrafficModel(plan);
            List<Share> shares = [];
            long incoming = 0;
            foreach (StagePlan stage in plan.Stages)
            {
                if (options.IsPlanShown)
                {
                    Console.WriteLine($"{configuration.Name}, stage {stage.Index}: {MemoryTable.MiB(stage.PeakBytes!.Value)}, {string.Join(", ", stage.PeakTerms.Select(term => $"{PlanReport.NameOf(term.Kind)} {MemoryTable.MiB(term.Bytes ?? 0)}"))}");
                }

                // A stage sends what crosses the cut after it and the gradients of what crossed the cut before it.
                long outgoing = traffic.Cuts(stage.Index, plan.MicroBatches)!.Value - incoming;
                if (measured.Of(configuration, stage.Index, options.Divisor) is { } memory)
                {
                    int waiting = Math.Min(plan.MicroBatches.Count, plan.Stages.Count - stage.Index);
                    long kept = configuration.HasCurvature ? (2 * incoming) + outgoing + (incoming / plan.MicroBatches.Count * waiting) : incoming;
                    shares.Add(new(stage, memory, kept));
                }

                incoming = outgoing;
            }

            if (shares.Count == plan.Stages.Count)
            {
                Share fullest = shares.MaxBy(share => share.Memory.Peak)!;
                Share largest = shares.MaxBy(share => share.Rest)!;
                peak = shares.Count == 1 ? fullest.Memory.Peak : peak;
                whole = shares.Count == 1 ? largest.Rest : whole;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"| {configuration.Name} | {MemoryTable.MiB(shares.Sum(share => share.Memory.Owned))} | {MemoryTable.MiB(fullest.Memory.Peak)} | {MemoryTable.MiB(fullest.Plan.PeakBytes!.Value)} | {fullest.Memory.Peak * shares.Count / peak:0.000} | {MemoryTable.MiB(largest.Edges)} | {MemoryTable.MiB(largest.Rest)} | {largest.Rest * shares.Count / whole:0.000} | 1.05 |"));
            }
        }

        return 0;
    }

    private sealed record Share(StagePlan Plan, RankMemory Memory, long Kept)
    {
        public long Edges { get; } = Kept + Plan.PeakTerms.Where(term => term.Kind == MemoryKind.Boundary).Sum(term => term.Bytes ?? 0);

        public long Rest => Memory.Peak - Edges;
    }
}
