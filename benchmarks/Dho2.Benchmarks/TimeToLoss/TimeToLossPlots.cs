using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.Experiments;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>Median losses of the methods over steps, and over processor seconds where costs were measured.</summary>
internal static class TimeToLossPlots
{
    private const int Width = 900;
    private const int Height = 540;

    /// <summary>Saves both as SVG files.</summary>
    /// <param name="task">The task's name.</param>
    /// <param name="results">The runs.</param>
    /// <param name="costs">The costs; null where they were not measured.</param>
    /// <param name="path">The files' common beginning.</param>
    public static void Save(string task, TaskResults results, MethodCosts? costs, string path)
    {
        MethodRuns[] shown = [.. results.Methods.Where(m => m.Runs.Any(run => run.Finite) && (m.HybridOf is null || m.Name is Design.Centre or Design.Late or "once"))];
        if (shown.Length == 0)
        {
            return;
        }

        double top = shown[0].Runs.Max(run => Math.Log10(run.Losses[Math.Min(2, run.Losses.Length - 1)]));
        LossPlot.Draw($"{task}: training loss, median over seeds", "steps", shown.Select(m => Curve(m, (_, step) => step)), top).SaveSvg(path + "-steps.svg", Width, Height);
        if (costs is not null)
        {
            LossPlot.Draw(
                $"{task}: training loss, median over seeds", "seconds of processor time; estimates of rows 'in force later' are made beside",
                shown.Select(m => Curve(m, (run, step) => (costs.TimeTo(run, step) - (m.Name == Design.Late ? costs.Estimates(run, step) : 0)) / 1000)), top)
                .SaveSvg(path + "-seconds.svg", Width, Height);
        }
    }

    private static (string, double[], double[], float) Curve(MethodRuns method, Func<RunResult, double, double> place)
    {
        // A median is of those that are there: a run that diverged counts as the worst of all.
        RunResult longest = method.Runs.First(run => run.Finite);
        double[] logs = [.. longest.Steps.Select((_, i) => Math.Log10(Median(method.Runs.Select(run => i < run.Losses.Length && double.IsFinite(run.Losses[i]) ? run.Losses[i] : double.MaxValue))))];
        double[] places = [.. longest.Steps.Select(step => Median(method.Runs.Select(run => place(run, step))))];
        string name = method.HybridOf is { } kind ? $"{TaskResults.NameOf(kind)} hybrid, {method.Name}" : method.Name;
        return (name, places, logs, method.HybridOf is null ? 2.5f : 1.5f);
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
