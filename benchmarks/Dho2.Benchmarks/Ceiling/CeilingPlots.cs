using System;
using System.Collections.Generic;
using System.Linq;
using Dho2;
using Dho2.Benchmarks.Experiments;
using ScottPlot;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>The plots of one base: losses over steps, and the ratio of steps of every setting with its interval.</summary>
internal static class CeilingPlots
{
    private static readonly string[] ShownCurves =
    [
        "centre", "once", "every 25", "base at lr x scale", Experiment.Plain, $"{Experiment.Plain}, every 25", $"{Experiment.Plain}, random V",
    ];

    /// <summary>Saves both as PNG files.</summary>
    /// <param name="report">The runs.</param>
    /// <param name="task">The task's name.</param>
    /// <param name="path">The files' common beginning.</param>
    public static void Save(BaseReport report, string task, string path)
    {
        Losses(report, task).SavePng(path + "-loss.png", 900, 540);
        Ratios(report, task).SavePng(path + "-rho.png", 900, 540);
    }

    private static Plot Losses(BaseReport report, string task)
    {
        List<(string, double[], double[], float)> curves = [];
        void Add(string name, IReadOnlyCollection<RunResult> runs, float width)
        {
            RunResult[] whole = [.. runs.Where(run => run.Finite)];
            if (whole.Length > 0)
            {
                curves.Add((name, [.. whole[0].Steps.Select(step => (double)step)], [.. whole[0].Steps.Select((_, i) => whole.Average(run => Math.Log10(run.Losses[i])))], width));
            }
        }

        Add($"{report.Kind} alone", report.Alone, 3);
        foreach ((string name, List<RunResult> runs) in report.Varied.Where(v => ShownCurves.Contains(v.Name)))
        {
            Add(name, runs, name == "centre" ? 3 : 1.5f);
        }

        // A base that diverged on every seed has no scale to go by.
        RunResult shown = report.Alone.Find(run => run.Finite) ?? report.Alone[0];
        return LossPlot.Draw(
            $"{task}, {report.Kind}: training loss, geometric mean over {report.Alone.Count} seeds", "steps", curves,
            Math.Log10(shown.Losses[Math.Min(2, shown.Losses.Length - 1)]), shown.Steps[^1]);
    }

    private static Plot Ratios(BaseReport report, string task)
    {
        Plot plot = new();
        (string Name, StepRatio Ratio)[] rows =
            [.. report.Varied.Select(v => (v.Name, StepRatio.Of(report.Alone, v.Runs, 1))).Where(row => row.Item2.Mean.Count > 0).Reverse()];
        double right = 2.2;
        for (int i = 0; i < rows.Length; i++)
        {
            GeometricMean mean = rows[i].Ratio.Mean;
            bool bound = rows[i].Ratio.Never > 0;
            plot.Add.Marker(mean.Value, i, bound ? MarkerShape.OpenCircle : MarkerShape.FilledCircle, 9, Colors.Navy);
            double[] seeds = [.. report.Varied.First(v => v.Name == rows[i].Name).Runs.Select(run => StepRatio.Of(report.Alone, [run], 1).Mean.Value).Where(double.IsFinite)];
            var points = plot.Add.ScatterPoints(seeds, [.. seeds.Select(_ => (double)i)]);
            points.MarkerSize = 4;
            points.Color = Colors.Gray;
            right = Math.Max(right, Math.Max(mean.Value, seeds.DefaultIfEmpty(0).Max()) * 1.05);
            if (double.IsFinite(mean.Low))
            {
                plot.Add.Line(mean.Low, i, mean.High, i).LineColor = Colors.Navy;
            }
        }

        plot.Add.VerticalLine(1, 1, Colors.Gray, LinePattern.Dashed);
        plot.Add.VerticalLine(2.1, 1, Colors.Green, LinePattern.Dashed);
        plot.Axes.Left.SetTicks([.. rows.Select((_, i) => (double)i)], [.. rows.Select(row => row.Name)]);
        plot.Axes.SetLimits(0.4, right, -0.7, rows.Length - 0.3);
        plot.Title($"{task}, {report.Kind}: rho at 100 % of the base's budget");
        plot.XLabel("rho; bar: 95 %, dots: seeds, hollow: upper bound");
        return plot;
    }
}
