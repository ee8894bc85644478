using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Cli.Reports;
using Dho2.Records;
using ScottPlot;

namespace Dho2.Cli.Pictures;

/// <summary>Draws what each rank did in the traced steps.</summary>
internal static class TimeLineFigure
{
    private const int Width = 1000;
    private const int RowHeight = 30;
    private const int Surroundings = 130;
    private const double LeastPixels = 0.5;
    private const double Gap = 0.06;

    /// <summary>Draws them: some steps without an estimate, and those around one.</summary>
    public static IEnumerable<Figure> Of(RunRecord record) => RankTimeLine.Stretches(record).Select(stretch => Draw(record, stretch.Heading, stretch.Spans));

    private static Figure Draw(RunRecord record, string? heading, TraceSpan[] spans)
    {
        int[] ranks = [.. spans.Select(s => s.Rank).Distinct().Order()];
        string title = heading is null ? "Time line" : $"Time line {heading.ToLowerInvariant()}";
        Figure figure = Figure.Empty(title, $", steps {RankTimeLine.StepsOf(record, spans)}", Width, (ranks.Length * RowHeight) + Surroundings);
        Plot plot = figure.Plot;
        double begin = spans.Min(s => s.Start), length = Math.Max(1, spans.Max(s => s.End) - begin);
        for (int row = 0; row < ranks.Length; row++)
        {
            foreach (TraceSpan span in RankTimeLine.RowOf(spans, ranks[row], LeastPixels * length / Width))
            {
                ScottPlot.Plottables.Rectangle box = plot.Add.Rectangle(span.Start - begin, span.End - begin, -row - 1 + Gap, -row - Gap);
                (box.FillColor, box.LineWidth) = (Color.FromHex(RankTimeLine.ColourOf(span)), 0);
            }
        }

        foreach (double start in RankTimeLine.BeginningsOf(record, spans))
        {
            plot.Add.VerticalLine(start - begin, 1, Colors.Black, LinePattern.Dashed);
        }

        plot.Axes.SetLimits(0, length, -ranks.Length, 0);
        plot.Axes.Left.SetTicks([.. ranks.Select((_, row) => -row - 0.5)], [.. ranks.Select(rank => RankTimeLine.RowName(record, rank))]);
        IReadOnlyList<double> marks = new ChartAxis(0, length, false, 0, 1).Ticks(Chart.MostTicks);
        plot.Axes.Bottom.SetTicks([.. marks], [.. marks.Select(mark => mark == 0 ? "0" : Quantity.Time((long)(mark * 1e6)))]);
        FigureKeys.Show(plot, RankTimeLine.Keys(spans));
        return figure;
    }
}
