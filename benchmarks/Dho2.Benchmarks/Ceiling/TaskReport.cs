using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using Dho2;
using ScottPlot;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>The runs of one base: tuned alone, and with curvature in every varied setting.</summary>
internal sealed record BaseReport(
    BaseKind Kind, RunSettings Tuned, RunSettings Hybrid, RunResult[] Alone, IReadOnlyList<(string Name, RunResult[] Runs)> Varied);

/// <summary>What the runs of a task come to: ratios of steps, costs, and plots.</summary>
internal sealed record TaskReport(string Task, int Batch, int Steps, IReadOnlyList<BaseReport> Bases)
{
    private static readonly double[] Budgets = [0.5, 0.75, 1];

    /// <summary>Writes the table in Markdown.</summary>
    public void Write(TextWriter writer)
    {
        foreach (BaseReport report in Bases)
        {
            double gradient = report.Alone.Average(run => run.GradientSeconds);
            double update = report.Alone.Average(run => run.UpdateSeconds);
            writer.WriteLine();
            writer.WriteLine(Invariant(
                $"### {Task}, {report.Kind}: lr {report.Tuned.LearningRate:g4} {Schedule(report.Tuned)}; hybrid lr {report.Hybrid.LearningRate:g4}, alpha {report.Hybrid.Curvature!.Alpha:g3}; {report.Alone.Length} seeds, {Steps} steps of {Batch}"));
            writer.WriteLine();
            writer.WriteLine("| setting | rho at 50 % | rho at 75 % | rho at 100 % | test metric (base) | scale | N | t_V / t_grad | c_p | kappa |");
            writer.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
            foreach ((string name, RunResult[] runs) in report.Varied)
            {
                IEnumerable<string> rho = Budgets.Select(budget => Format(Rho(report.Alone, runs, budget), runs.Length));
                Costs costs = Costs.Of(runs, gradient, update, Batch, Steps);
                writer.WriteLine(Invariant(
                    $"| {name} | {string.Join(" | ", rho)} | {Metric(runs)} ({Metric(report.Alone)}) | {runs.SelectMany(r => r.Scales).DefaultIfEmpty(1).Average():0.00} | {costs.Products:0.0} | {costs.Update:0.00} | {costs.Product:0.00} | {costs.Kappa:0.00} |"));
            }
        }
    }

    /// <summary>Saves table, numbers and plots.</summary>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        using (StreamWriter table = new(Path.Combine(folder, $"ceiling-{Task}.md")))
        {
            table.NewLine = "\n";
            Write(table);
        }

        var numbers =
            from report in Bases
            from varied in report.Varied
            from budget in Budgets
            let rho = Rho(report.Alone, varied.Runs, budget)
            select new { Task, Base = report.Kind.ToString(), Setting = varied.Name, Budget = budget, Rho = rho.Value, rho.Low, rho.High, Reached = rho.Count, Seeds = varied.Runs.Length };
        JsonSerializerOptions json = new() { WriteIndented = true, NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals };
        File.WriteAllText(Path.Combine(folder, $"ceiling-{Task}.json"), JsonSerializer.Serialize(numbers, json) + "\n");
        foreach (BaseReport report in Bases)
        {
            Curves(report).SavePng(Path.Combine(folder, $"ceiling-{Task}-{report.Kind.ToString().ToLowerInvariant()}.png"), 900, 540);
        }
    }

    /// <summary>Steps of the base alone over steps of the hybrid to the loss that the base has after a share of its budget; runs that never reach it do not enter the mean, and lower its count.</summary>
    private static GeometricMean Rho(RunResult[] alone, RunResult[] runs, double budget)
    {
        List<double> ratios = [];
        foreach ((RunResult reference, RunResult run) in alone.Zip(runs))
        {
            double threshold = reference.BestWithin(budget);
            if (run.StepsTo(threshold) is { } steps)
            {
                ratios.Add(reference.StepsTo(threshold)!.Value / steps);
            }
        }

        return GeometricMean.Of(ratios);
    }

    private Plot Curves(BaseReport report)
    {
        Plot plot = new();
        void Add(string name, RunResult[] runs, float width)
        {
            RunResult[] whole = [.. runs.Where(run => run.Steps.Length == runs.Max(r => r.Steps.Length))];
            double[] steps = [.. whole[0].Steps.Select(step => (double)step)];
            double[] logs = [.. steps.Select((_, i) => Math.Log10(Math.Max(1e-12, Math.Exp(whole.Average(run => Math.Log(run.Losses[i]))))))];
            var line = plot.Add.ScatterLine(steps, logs);
            line.LegendText = name;
            line.LineWidth = width;
        }

        Add($"{report.Kind} alone", report.Alone, 4);
        foreach ((string name, RunResult[] runs) in report.Varied)
        {
            Add(name, runs, name == "centre" ? 3 : 1);
        }

        plot.Title($"{Task}: training loss, geometric mean over {report.Alone.Length} seeds");
        plot.XLabel("steps");
        plot.YLabel("log10 of the loss");
        plot.ShowLegend(Alignment.UpperRight);
        return plot;
    }

    private static string Format(GeometricMean mean, int runs)
    {
        string failures = mean.Count < runs ? $", {runs - mean.Count} of {runs} never" : "";
        return mean.Count switch
        {
            0 => "never",
            1 => Invariant($"{mean.Value:0.00}{failures}"),
            _ => Invariant($"{mean.Value:0.00} ({mean.Low:0.00} to {mean.High:0.00}{failures})"),
        };
    }

    private static string Metric(RunResult[] runs) =>
        runs[0].TestAccuracy is null
            ? runs.Average(run => run.TestLoss).ToString("0.0000", CultureInfo.InvariantCulture)
            : runs.Average(run => run.TestAccuracy!.Value).ToString("0.000", CultureInfo.InvariantCulture);

    private static string Schedule(RunSettings settings) => settings.Cosine ? "cosine" : "constant";

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}

/// <summary>What curvature costs, in gradients of the training batch per step.</summary>
/// <param name="Products">Products of an estimate (N).</param>
/// <param name="Update">Extra time of an update over the base's, in gradients (t_V / t_grad).</param>
/// <param name="Product">Time of a product in gradients of the curvature batch (c_p).</param>
/// <param name="Kappa">Cost of a step relative to the base's gradient: <c>1 + t_V / t_grad + N c_p (B_c / B) / every</c>.</param>
internal readonly record struct Costs(double Products, double Update, double Product, double Kappa)
{
    public static Costs Of(RunResult[] runs, double gradientSeconds, double updateSeconds, int batch, int steps)
    {
        CurvatureSettings curvature = runs[0].Settings.Curvature!;
        double products = runs.SelectMany(run => run.Products).DefaultIfEmpty(0).Average();
        double update = Math.Max(0, (runs.Average(run => run.UpdateSeconds) - updateSeconds) / gradientSeconds);
        double product = runs.Average(run => run.ProductSeconds / Math.Max(1e-9, run.CurvatureGradientSeconds));
        double estimates = runs.Average(run => run.Products.Length) / steps;
        return new(products, update, product, 1 + update + (products * product * curvature.Batch / batch * estimates));
    }
}
