using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Planning;

namespace Dho2.Cli.Plans;

/// <summary>Draws a step over time: a row for each rank, a box for each computation, as long as it takes.</summary>
internal static class TimeLine
{
    private const double Left = 58;
    private const double RowHeight = 24;
    private const double AxisHeight = 28;
    private const double LetterWidth = 7.2;

    // More rows than these cannot be read, and are alike.
    private const int MostRanks = 64;

    /// <summary>The height that the picture of a step takes.</summary>
    public static double HeightOf(ScheduleSimulation step) => (Math.Min(step.Busy.Count, MostRanks) * RowHeight) + AxisHeight;

    /// <summary>Draws a step into a picture.</summary>
    /// <param name="svg">The picture.</param>
    /// <param name="model">The model whose step it is.</param>
    /// <param name="left">Where the rows begin.</param>
    /// <param name="top">Where the first row is.</param>
    /// <param name="width">The width that there is.</param>
    public static void Draw(Svg svg, PlannedModel model, double left, double top, double width)
    {
        ScheduleSimulation step = model.Step;
        bool withStage = step.MaxInFlight.Count > step.Busy.Count;
        double start = left + Left;
        double length = width - Left - 2;
        double scale = length / Math.Max(1, step.Makespan);
        foreach (IGrouping<int, ScheduledWork> rank in step.Work.Where(w => w.Rank < MostRanks).GroupBy(w => w.Rank))
        {
            double y = top + (rank.Key * RowHeight);
            svg.Text(left, y + 15, $"rank {rank.Key}");
            svg.Box(start, y, length, RowHeight - 3, "#f2f2f2");
            foreach (ScheduledWork work in rank)
            {
                double taken = (work.End - work.Start) * scale;
                string label = ScheduleDrawing.LabelOf(work.Instruction, withStage);
                string tooltip = model.Forecast is null ? work.Instruction.ToString() : $"{work.Instruction}: {Quantity.Time(work.Start)} to {Quantity.Time(work.End)}";
                svg.Box(start + (work.Start * scale), y, taken, RowHeight - 3, Palette.Of(work.Instruction.Kind), "#666", tooltip);
                if (label.Length * LetterWidth < taken)
                {
                    svg.Text(start + (work.Start * scale) + (taken / 2), y + 15, label, "middle", size: 11);
                }
            }
        }

        double axis = top + (Math.Min(step.Busy.Count, MostRanks) * RowHeight) + 14;
        svg.Text(start, axis, "0", size: 11, fill: "#555");
        svg.Text(start + length, axis, model.Forecast is null ? "stages taken as equal" : Quantity.Time(step.Makespan), "end", size: 11, fill: "#555");
    }
}
