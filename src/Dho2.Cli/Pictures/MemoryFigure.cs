using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Cli.Reports;
using Dho2.Planning;
using Dho2.Records;
using ScottPlot;
using Palette = Dho2.Cli.Pages.Palette;

namespace Dho2.Cli.Pictures;

/// <summary>Draws memory as it was planned, kind by kind, beside what was measured, process by process.</summary>
internal static class MemoryFigure
{
    private const int Width = 640;
    private const int Height = 400;
    private const double BarWidth = 0.38;
    private const int MostProcesses = 16;
    private const string Measured = "#5c5c61";

    /// <summary>Draws it; null where no process has a file.</summary>
    public static Figure? Of(RunRecord record)
    {
        RankMemory[][] processes = [.. RankMemory.ByProcess(RankMemory.Of(record)).Take(MostProcesses)];
        if (processes.Length == 0)
        {
            return null;
        }

        Figure figure = Figure.Empty("Memory", ", planned at the peak (left) and measured (right)", Width, Height);
        Plot plot = figure.Plot;
        var keys = new Dictionary<string, string>();
        double full = 1;
        for (int i = 0; i < processes.Length; i++)
        {
            double bottom = 0;
            foreach ((string kind, string name, long bytes) in RankMemory.KindsOf(processes[i]).Where(k => k.Bytes > 0))
            {
                keys[name] = Palette.OfMemory(kind);
                Add(plot, i - (BarWidth / 2), bottom, bottom + bytes, Palette.OfMemory(kind));
                bottom += bytes;
            }

            double measured = processes[i].Max(r => r.Measured) ?? 0;
            Add(plot, i + (BarWidth / 2), 0, measured, Measured);
            full = new[] { full, bottom, measured }.Max();
        }

        keys["measured"] = Measured;
        plot.Axes.SetLimits(-0.6, processes.Length - 0.4, 0, 1.05 * full);
        plot.Axes.Bottom.SetTicks([.. processes.Select((_, i) => (double)i)], [.. processes.Select(RankMemory.NameOf)]);
        double unit = Math.Pow(1024, Math.Floor(Math.Log(full, 1024)));
        double[] marks = [.. new ChartAxis(0, full / unit, false, 0, 1).Ticks(Chart.MostTicks).Select(mark => mark * unit)];
        plot.Axes.Left.SetTicks(marks, [.. marks.Select(bytes => PlanReport.FormatBytes((long)bytes))]);
        FigureKeys.Show(plot, keys.Select(key => (key.Key, key.Value)));
        return figure;
    }

    private static void Add(Plot plot, double at, double bottom, double top, string colour)
    {
        ScottPlot.Plottables.Rectangle box = plot.Add.Rectangle(at - (0.46 * BarWidth), at + (0.46 * BarWidth), bottom, top);
        (box.FillColor, box.LineWidth) = (Color.FromHex(colour), 0);
    }
}
