using System;
using System.Collections.Generic;
using System.Globalization;
using ScottPlot;

namespace Dho2.Benchmarks.Experiments;

/// <summary>Losses over steps or time, on a logarithmic scale.</summary>
internal static class LossPlot
{
    /// <summary>Draws curves.</summary>
    /// <param name="title">The title.</param>
    /// <param name="across">What runs to the right.</param>
    /// <param name="curves">Each with a name, places, the logarithms of base 10 of losses, and a width.</param>
    /// <param name="top">The logarithm that the scale ends above: the first steps fall so far that they would hide the rest.</param>
    /// <param name="right">Where the axis ends; null for where the curves end.</param>
    public static Plot Draw(string title, string across, IEnumerable<(string Name, double[] X, double[] Logs, float Width)> curves, double top, double? right = null)
    {
        Plot plot = new();
        foreach ((string name, double[] x, double[] logs, float width) in curves)
        {
            var line = plot.Add.ScatterLine(x, logs);
            line.LegendText = name;
            line.LineWidth = width;
        }

        plot.Title(title);
        plot.XLabel(across);
        plot.YLabel("loss");
        plot.Axes.Left.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic
        {
            LabelFormatter = position => Math.Pow(10, position).ToString("g3", CultureInfo.InvariantCulture),
        };
        AxisLimits limits = plot.Axes.GetLimits();
        plot.Axes.SetLimits(0, right ?? limits.Right, limits.Bottom, top + (0.1 * (top - limits.Bottom)));
        plot.ShowLegend(Alignment.UpperRight);
        return plot;
    }
}
