using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Dho2;
using Dho2.Benchmarks.Experiments;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>The tables and plots of one task.</summary>
internal sealed record TimeToLossReport(TrainingTask Task, TaskResults Results, MethodCosts? Costs)
{
    private static readonly double[] Budgets = [0.5, 0.75, 1];

    /// <summary>Writes the tables in Markdown.</summary>
    public void Write(TextWriter writer)
    {
        writer.WriteLine();
        writer.WriteLine(Invariant($"### {Task.Name}: {Task.Steps} steps of {Task.Batch} samples"));
        WriteMethods(writer);
        WriteAgainst(writer, BaseKind.HeavyBall);
        WriteAgainst(writer, BaseKind.Adam);
    }

    /// <summary>Saves tables and plots.</summary>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        using (StreamWriter table = new(Path.Combine(folder, $"time-to-loss-{Task.Name}.md")))
        {
            table.NewLine = "\n";
            Write(table);
        }

        TimeToLossPlots.Save(Task.Name, Results, Costs, Path.Combine(folder, $"time-to-loss-{Task.Name}"));
    }

    private void WriteMethods(TextWriter writer)
    {
        writer.WriteLine();
        writer.WriteLine("| method | tuned | seeds | loss at the end | test | ms a step | products an estimate | ms an estimate |");
        writer.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (MethodRuns method in Results.Methods.Where(m => m.Runs.Count > 0))
        {
            double[] products = [.. method.Runs.SelectMany(run => run.Products).Select(n => (double)n)];
            string step = Costs is null ? "" : Invariant($"{Costs.Step(method.Settings):0.0}");
            string estimate = products.Length == 0 || Costs is null ? "" : Invariant($"{products.Average() * Costs.Product(method.Settings):0}");
            writer.WriteLine(Invariant(
                $"| {FullName(method)} | {Tuned(method.Settings)} | {method.Runs.Count} | {Losses(method.Runs)} | {Metric(method.Runs)} | {step} | {(products.Length == 0 ? "" : Invariant($"{products.Average():0}"))} | {estimate} |"));
        }
    }

    // The hybrids of this base, its controls, and all methods that are not hybrids.
    private void WriteAgainst(TextWriter writer, BaseKind kind)
    {
        if (Results.Base(kind) is not { } reference)
        {
            return;
        }

        writer.WriteLine();
        writer.WriteLine(Invariant($"Against {TaskResults.NameOf(kind)} ({Tuned(reference.Settings)}), whose loss at 50, 75 and 100 % of its steps is {string.Join(", ", Budgets.Select(b => Median(reference.Runs.Select(r => r.BestWithin(b))).ToString("0.000", CultureInfo.InvariantCulture)))} (medians):"));
        writer.WriteLine();
        writer.WriteLine("| method | steps 50 % | steps 75 % | steps 100 % | cost of a step | speed-up 50 % | speed-up 75 % | speed-up 100 % | beside: cost | beside: speed-up 100 % | beside: busy |");
        writer.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (MethodRuns method in Results.Methods.Where(m => m.Runs.Count > 0 && (m.HybridOf is null || m.HybridOf == kind)))
        {
            Comparison[] all = [.. Budgets.Select(budget => Comparison.Of(reference.Runs, method.Runs, budget, Costs))];
            writer.WriteLine(
                $"| {FullName(method)} | {string.Join(" | ", all.Select(c => Format(c.Steps, c.Never)))} | {Cost(all[^1].Cost)} | {string.Join(" | ", all.Select(c => Format(c.SpeedUp, c.Never)))} | {Beside(method, reference, all[^1])} |");
        }
    }

    private string Beside(MethodRuns method, MethodRuns reference, Comparison whole)
    {
        if (Costs is null || method.HybridOf is null || method.Settings.Curvature is not { } curvature)
        {
            return " | | ";
        }

        // An estimate over the time of the steps until the next one is due: above 1, one rank for estimates falls behind.
        double estimate = method.Runs.SelectMany(run => run.Products).Average() * Costs.Product(method.Settings);
        double step = Costs.Step(method.Settings);
        string busy = curvature.Every == int.MaxValue ? "" : Invariant($"{100 * estimate / (curvature.Every * step):0} %");
        return Invariant($"{step / Costs.Step(reference.Settings):0.00} | {Format(whole.SpeedUpBeside, whole.Never)} | {busy}");
    }

    private static string FullName(MethodRuns method) => method.HybridOf is { } kind ? $"{TaskResults.NameOf(kind)} hybrid, {method.Name}" : method.Name;

    private static string Tuned(RunSettings settings)
    {
        string rest = settings.Preconditioner is { } preconditioner ? Invariant($", damping {preconditioner.Damping:g3}")
            : settings.Curvature is { Kind: not SubspaceKind.ScaleOnly } curvature ? Invariant($", alpha {curvature.Alpha:g3}") : "";
        return Invariant($"lr {settings.LearningRate:g3} {(settings.Cosine ? "cosine" : "constant")}{rest}");
    }

    private static string Losses(IReadOnlyList<RunResult> runs)
    {
        int diverged = runs.Count(run => !run.Finite);
        return Invariant($"{Median(runs.Select(run => run.BestWithin(1))):0.0000}") + (diverged == 0 ? "" : $" ({diverged} diverged)");
    }

    private static string Metric(IReadOnlyList<RunResult> runs) => runs[0].TestAccuracy is null
        ? Invariant($"loss {Median(runs.Select(run => run.TestLoss)):0.0000}")
        : Invariant($"{100 * Median(runs.Select(run => run.TestAccuracy!.Value)):0.0} %");

    private static string Cost(GeometricMean mean) => mean.Count == 0 ? "" : Invariant($"{mean.Value:0.00}");

    private static string Format(GeometricMean mean, int never)
    {
        if (mean.Count == 0)
        {
            return "";
        }

        if (never == mean.Count)
        {
            return "never";
        }

        string interval = mean.Count < 2 ? "" : Invariant($" ({mean.Low:0.00} to {mean.High:0.00})");
        return Invariant($"{(never == 0 ? "" : "at most ")}{mean.Value:0.00}{interval}{(never == 0 ? "" : $", {never} of {mean.Count} never")}");
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
