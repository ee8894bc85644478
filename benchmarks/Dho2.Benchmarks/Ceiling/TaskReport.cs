using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dho2;
using Dho2.Benchmarks.Experiments;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>The runs of one base: tuned alone, and with curvature in every varied setting; as many seeds as were made.</summary>
internal sealed record BaseReport(RunSettings Tuned, RunSettings Hybrid)
{
    private static readonly string[] Order =
    [
        "centre", "every 25", "every 400", "once", "k = 5", "k = 20", "curvature batch 64", "curvature batch 1024", "c_max = 1", "Gauss-Newton",
        "alpha = 0", "base at lr x scale", "base at the hybrid's lr", "random V", "tolerance 1e-3", "tolerance 1e-5", "base, half the steps",
        "centre, half the steps", Experiment.Plain, .. new[]
        {
            "every 25", "once", "k = 5", "k = 20", "curvature batch 64", "curvature batch 1024", "Gauss-Newton", "alpha = 0.1", "alpha = 0", "random V",
        }.Select(change => $"{Experiment.Plain}, {change}"),
    ];

    private readonly List<(string Name, List<RunResult> Runs)> varied = [];

    /// <summary>The base optimizer.</summary>
    public BaseKind Kind => Tuned.Base;

    /// <summary>The tuned base's runs.</summary>
    public List<RunResult> Alone { get; } = [];

    /// <summary>The settings with at least one run, in the order of the experiment.</summary>
    public IEnumerable<(string Name, List<RunResult> Runs)> Varied => varied.Where(v => v.Runs.Count > 0).OrderBy(v => Array.IndexOf(Order, v.Name));

    /// <summary>The runs of the setting that a setting differs from in one thing; none for a setting that is such a one itself, or the base.</summary>
    public IReadOnlyList<RunResult> Unvaried(string name)
    {
        string reference = name.StartsWith(Experiment.Plain, StringComparison.Ordinal) ? Experiment.Plain : "centre";
        return name == reference || name.EndsWith("half the steps", StringComparison.Ordinal) ? [] : varied.Find(v => v.Name == reference).Runs ?? [];
    }

    /// <summary>Adds runs of a setting.</summary>
    public void Add(string name, IEnumerable<RunResult> runs)
    {
        List<RunResult>? found = varied.Find(v => v.Name == name).Runs;
        if (found is null)
        {
            varied.Add((name, found = []));
        }

        found.AddRange(runs);
    }
}

/// <summary>What the runs of a task come to: ratios of steps, costs, and plots.</summary>
internal sealed record TaskReport(string Task, int Batch, int Steps, IReadOnlyList<BaseReport> Bases, MeasuredCosts? Costs)
{
    private static readonly double[] Budgets = [0.5, 0.75, 1];
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>Writes the tables in Markdown.</summary>
    public void Write(TextWriter writer)
    {
        foreach (BaseReport report in Bases)
        {
            writer.WriteLine();
            writer.WriteLine(Invariant(
                $"**{Task}, {Name(report.Kind)}**: base alone {Rate(report.Tuned)}; hybrid {Rate(report.Hybrid)}, alpha {report.Hybrid.Curvature!.Alpha:g3}; {Steps} steps of {Batch} samples; the base ends at loss {Mean(report.Alone.Select(run => run.BestWithin(1))):0.0000}, test {Metric(report.Alone)}."));
            writer.WriteLine();
            writer.WriteLine("| setting | seeds | rho at 50 % | rho at 75 % | rho at 100 % | loss / base's | loss / unvaried | test | lambda_1 | scale | N | t_V / t_grad | c_p | kappa | rho / kappa |");
            writer.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
            foreach ((string name, List<RunResult> runs) in report.Varied)
            {
                StepRatio[] ratios = [.. Budgets.Select(budget => StepRatio.Of(report.Alone, runs, budget))];
                writer.WriteLine(Invariant(
                    $"| {name} | {runs.Count} | {string.Join(" | ", ratios.Select(Format))} | {LossRatio(report.Alone, runs)} | {LossRatio(report.Unvaried(name), runs)} | {Metric(runs)} | {Factors(runs, ratios[^1])} |"));
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
            let rho = StepRatio.Of(report.Alone, varied.Runs, budget)
            select new
            {
                Base = report.Kind.ToString(),
                Setting = varied.Name,
                Budget = budget,
                Rho = Round(rho.Mean.Value),
                Low = Round(rho.Mean.Low),
                High = Round(rho.Mean.High),
                Seeds = rho.Mean.Count,
                rho.Never,
            };
        File.WriteAllText(Path.Combine(folder, $"ceiling-{Task}.json"), JsonSerializer.Serialize(numbers, Json) + "\n");
        foreach (BaseReport report in Bases.Where(report => report.Alone.Count > 0))
        {
            CeilingPlots.Save(report, Task, Path.Combine(folder, $"ceiling-{Task}-{report.Kind.ToString().ToLowerInvariant()}"));
        }
    }

    /// <summary>The last columns: what the curvature was, and what it cost.</summary>
    private string Factors(List<RunResult> runs, StepRatio rho)
    {
        RunSettings settings = runs[0].Settings;
        if (settings.Curvature is null)
        {
            return "| | | | | | ";
        }

        double[] products = [.. runs.SelectMany(run => run.Products).Select(n => (double)n)];
        string open = runs.Any(run => run.Unconverged > 0) ? Invariant($" ({runs.Sum(run => run.Unconverged)} of {products.Length} at the limit)") : "";
        string curvature = Invariant(
            $"{Mean(runs.SelectMany(run => run.First)):g3} | {Mean(runs.SelectMany(run => run.Scales)):0.00} | {Mean(products):0}{open}");
        if (Costs is null)
        {
            return $"{curvature} | | | | ";
        }

        StepCost cost = Costs.Of(Mean(products), settings, Batch);
        return Invariant($"{curvature} | {cost.Update:0.00} | {cost.Product:0.00} | {cost.Kappa:0.00} | {rho.Mean.Value / cost.Kappa:0.00}");
    }

    // The lowest loss over that of the other runs, seed by seed: it varies less over seeds than a ratio of steps.
    private static string LossRatio(IReadOnlyList<RunResult> reference, List<RunResult> runs)
    {
        GeometricMean mean = GeometricMean.Of(
            [.. from run in runs from partner in reference where partner.Settings.Seed == run.Settings.Seed select run.BestWithin(1) / partner.BestWithin(1)]);
        return mean.Count == 0 ? "" : mean.Count < 2 ? Invariant($"{mean.Value:0.000}") : Invariant($"{mean.Value:0.000} ({mean.Low:0.000} to {mean.High:0.000})");
    }

    private static string Format(StepRatio ratio)
    {
        if (ratio.Mean.Count == 0)
        {
            return "";
        }

        string bound = ratio.Never == 0 ? "" : "at most ";
        string interval = ratio.Mean.Count < 2 ? "" : Invariant($" ({ratio.Mean.Low:0.00} to {ratio.Mean.High:0.00})");
        string never = ratio.Never == 0 ? "" : Invariant($", {ratio.Never} of {ratio.Mean.Count} never");
        return Invariant($"{bound}{ratio.Mean.Value:0.00}{interval}{never}");
    }

    private static string Metric(IReadOnlyCollection<RunResult> runs) => runs.FirstOrDefault()?.TestAccuracy is null
        ? Invariant($"loss {Mean(runs.Select(run => run.TestLoss)):0.0000}")
        : Invariant($"{100 * Mean(runs.Select(run => run.TestAccuracy!.Value)):0.0} %");

    private static string Rate(RunSettings settings) => Invariant($"lr {settings.LearningRate:g3} {(settings.Cosine ? "cosine" : "constant")}");

    private static string Name(BaseKind kind) => kind == BaseKind.HeavyBall ? "heavy-ball" : kind.ToString();

    private static double Mean(IEnumerable<double> values) => values.DefaultIfEmpty(double.NaN).Average();

    private static double Round(double value) => double.IsFinite(value) ? Math.Round(value, 4) : value;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
