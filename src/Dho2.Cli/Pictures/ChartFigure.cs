using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Cli.Pages;
using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Dho2.Cli.Pictures;

/// <summary>Draws a diagram of a page: the same values, axes and colours.</summary>
internal static class ChartFigure
{
    private const int Width = 640;
    private const int Height = 400;

    /// <summary>Draws it; it must have values.</summary>
    public static Figure Of(Chart chart)
    {
        Figure figure = Figure.Empty(chart.Title, chart.IsLogarithmic ? ", logarithmic" : "", Width, Height);
        Plot plot = figure.Plot;

        // The page's own axes, from 0 to 1: one rule says what is logarithmic, where axes end and what is written beside them.
        (ChartAxis x, ChartAxis y) = chart.Axes(0, 1, 0, 1);
        plot.Axes.SetLimits(0, 1, 0, 1);
        plot.Axes.Bottom.TickGenerator = Ticks(x, Quantity.Axis);
        plot.Axes.Left.TickGenerator = Ticks(y, chart.Format);
        plot.XLabel(chart.XLabel);
        foreach (ChartSeries series in chart.Series)
        {
            Draw(plot, series, x, y);
        }

        if (chart.Series.Any(series => series.Name is not null))
        {
            plot.ShowLegend(Edge.Bottom).Legend.Orientation = Orientation.Horizontal;
        }
        else
        {
            plot.HideLegend();
        }

        return figure;
    }

    private static void Draw(Plot plot, ChartSeries series, ChartAxis x, ChartAxis y)
    {
        ChartPoint[] points = Chart.Thinned(series.Points);
        double[] xs = [.. points.Select(p => x.Of(p.X))], ys = [.. points.Select(p => y.Of(p.Y))];
        bool dots = points.Length == 1 || series.Style == SeriesStyle.Points;
        Scatter line = plot.Add.Scatter(xs, ys, Color.FromHex(series.Colour).WithAlpha(series.Style == SeriesStyle.Faint ? 0.35 : 1));
        line.LineWidth = series.Style == SeriesStyle.Faint ? 1 : 1.8f;
        line.LinePattern = series.Style == SeriesStyle.Dashed ? LinePattern.Dashed : LinePattern.Solid;
        line.MarkerSize = dots ? 5 : 0;
        line.LegendText = series.Name ?? "";
        foreach (ChartPoint point in dots ? points.Where(p => p.Bound > 0) : [])
        {
            LinePlot bar = plot.Add.Line(x.Of(point.X), y.Of(point.Y - point.Bound), x.Of(point.X), y.Of(point.Y + point.Bound));
            (bar.LineColor, bar.LineWidth) = (Color.FromHex(series.Colour), 1);
        }
    }

    private static NumericManual Ticks(ChartAxis axis, Func<double, string> format)
    {
        IReadOnlyList<double> values = axis.Ticks(Chart.MostTicks);
        return new NumericManual([.. values.Select(axis.Of)], [.. values.Select(format)]);
    }
}
