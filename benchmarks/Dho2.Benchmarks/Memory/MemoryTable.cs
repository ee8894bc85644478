using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Benchmarks.Memory;

/// <summary>Compares the memory that plans foretell with what processes need: one process for each stage of each configuration.</summary>
internal static class MemoryTable
{
    internal static readonly MemoryKind[] OwnedKinds =
        [MemoryKind.Parameters, MemoryKind.Gradients, MemoryKind.Optimizer, MemoryKind.Curvature, MemoryKind.Copy, MemoryKind.Admm];

    private const long LargePeak = 1L << 30;

    /// <summary>Measures and prints the table.</summary>
    /// <param name="options">What to measure.</param>
    public static int Run(MemoryTableOptions options)
    {
        int divisor = options.Divisor;
        var measured = new MeasuredMemory(options.Results, options.IsStored);
        Console.WriteLine($"Peak resident memory over a baseline against the plan; batches / {divisor}; one process for each stage, one thread; {System.Environment.OSVersion}, .NET {System.Environment.Version}");
        Console.WriteLine("owned: buffers of the stage; rest: the batch, activations, temporaries and second-order graphs on top of them at the peak\n");
        Console.WriteLine("| configuration | held out | stage | owned MiB | planned | rest MiB | planned | error % | peak MiB | planned | error % |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
        List<Row> rows = [];
        foreach (MemoryConfiguration configuration in MemoryConfiguration.All.Where(configuration => options.Only is null || configuration.Name.Contains(options.Only, StringComparison.Ordinal)))
        {
            foreach (StagePlan stage in configuration.Plan(divisor).Stages)
            {
                if (options.IsPlanShown)
                {
                    Console.WriteLine($"{configuration.Name}, stage {stage.Index}: {string.Join(", ", stage.PeakTerms.Select(term => $"{PlanReport.NameOf(term.Kind)} {MiB(term.Bytes ?? 0)}"))}");
                }

                if (measured.Of(configuration, stage.Index, divisor) is { } memory)
                {
                    rows.Add(new(configuration, stage, memory));
                    Console.WriteLine(rows[^1].ToString());
                }
            }
        }

        foreach (bool isHeldOut in new[] { false, true })
        {
            string which = isHeldOut ? "held out" : "fitted";
            Row[] half = [.. rows.Where(row => row.Configuration.IsHeldOut == isHeldOut)];
            Summarise(which, half);

            // In a small process the mebibytes count that it needs whatever the model is.
            Summarise(which + ", peaks of at least 1 GiB", [.. half.Where(row => row.Memory.Peak >= LargePeak)]);
        }

        return 0;
    }

    private static void Summarise(string which, Row[] rows)
    {
        if (rows.Length == 0)
        {
            return;
        }

        double[] totals = [.. rows.Select(row => row.PeakError)];
        double[] sizes = [.. totals.Select(Math.Abs).Order()];
        double[] rests = [.. rows.Select(row => Math.Abs(row.RestError)).Order()];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\n{which} ({rows.Length} stages): total off by {sizes.Average():0.0} % in the mean (target 5), 95th percentile {At95(sizes):0.0} %, largest under-estimate {Math.Max(0, -totals.Min()):0.0} % (target 5); rest off by {rests.Average():0.0} % in the mean, 95th percentile {At95(rests):0.0} %, at most {rests[^1]:0.0} % (target 10); owned buffers exact: {rows.Count(row => row.Memory.Owned == row.PlannedOwned)} of {rows.Length}"));
    }

    private static double At95(double[] sorted) => sorted[(int)Math.Ceiling(0.95 * sorted.Length) - 1];

    internal static string MiB(long bytes) => (bytes / 1048576.0).ToString("0.0", CultureInfo.InvariantCulture);

    /// <summary>One stage: what was planned, and what was measured.</summary>
    private sealed record Row(MemoryConfiguration Configuration, StagePlan Plan, RankMemory Memory)
    {
        public long PlannedOwned { get; } = Plan.Memory.Where(term => OwnedKinds.Contains(term.Kind)).Sum(term => term.Bytes!.Value);

        public long PlannedRest => Plan.PeakBytes!.Value - PlannedOwned;

        public double RestError => Error(PlannedRest, Memory.Rest);

        public double PeakError => Error(Plan.PeakBytes!.Value, Memory.Peak);

        public override string ToString() => string.Create(CultureInfo.InvariantCulture,
            $"| {Configuration.Name} | {(Configuration.IsHeldOut ? "yes" : "")} | {Memory.Stage} | {MiB(Memory.Owned)} | {MiB(PlannedOwned)} | {MiB(Memory.Rest)} | {MiB(PlannedRest)} | {RestError:+0.0;-0.0;0.0} | {MiB(Memory.Peak)} | {MiB(Plan.PeakBytes!.Value)} | {PeakError:+0.0;-0.0;0.0} |");

        /// <summary>How far a plan is off, in per cent of what was measured; negative where it promised too little.</summary>
        private static double Error(long planned, long measured) => 100.0 * (planned - measured) / Math.Max(1, measured);
    }
}

/// <summary>What the memory table measures.</summary>
/// <param name="Divisor">What batches are divided by.</param>
/// <param name="Only">Only configurations whose name contains this; null for all.</param>
/// <param name="Results">A file of measured numbers, which are not measured again; null for none.</param>
/// <param name="IsStored">Whether nothing is measured, and only what is stored is shown.</param>
/// <param name="IsPlanShown">Whether the plans' terms are shown.</param>
internal sealed record MemoryTableOptions(int Divisor, string? Only, string? Results, bool IsStored, bool IsPlanShown);
