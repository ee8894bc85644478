using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Planning;

namespace Dho2.Cli.Plans;

/// <summary>Draws plans: stages with their bytes by kind against the device, what crosses each cut, and a step over time.</summary>
internal static class PlanPicture
{
    private const double StageWidth = 190;
    private const double CutWidth = 150;
    private const double BarHeight = 180;
    private const double Margin = 16;
    private const int MostLetters = 30;
    private const double LeastShare = 0.3;

    /// <summary>Draws the plans, one below the other.</summary>
    public static string Write(IReadOnlyList<PlannedModel> models)
    {
        var svg = new Svg();
        double width = models.Select(WidthOf).DefaultIfEmpty(640).Max();
        double top = Margin;
        foreach (PlannedModel model in models)
        {
            top = Draw(svg, model, top, width);
        }

        return svg.Write(width, top, string.Join("; ", models.Select(m => $"{m.Model.MetadataName}: {PlanFacts.Summary(m.Plan!)}")));
    }

    private static double WidthOf(PlannedModel model) =>
        Math.Max(640, (2 * Margin) + (model.Plan!.Stages.Count * StageWidth) + ((model.Plan.Stages.Count - 1) * CutWidth));

    private static double Draw(Svg svg, PlannedModel model, double top, double width)
    {
        Plan plan = model.Plan!;
        svg.Text(Margin, top + 16, model.Model.MetadataName, bold: true, size: 16);
        svg.Text(Margin, top + 36, PlanFacts.Summary(plan), fill: "#555");
        top += 56;

        // One scale for all: the largest peak, and the largest device where the stages fill enough of it to be seen.
        long peak = plan.Stages.Max(s => s.KnownBytes);
        long device = plan.Stages.Max(s => PlanFacts.DeviceOf(model, s.Index) ?? 0);
        long full = peak >= LeastShare * device ? Math.Max(peak, device) : peak;
        for (int stage = 0; stage < plan.Stages.Count; stage++)
        {
            double x = Margin + (stage * (StageWidth + CutWidth));
            DrawStage(svg, model, stage, x, top, full);
            if (stage < plan.Cuts.Count)
            {
                DrawCut(svg, model, stage, x + StageWidth, top + 30 + (BarHeight / 2));
            }
        }

        top += BarHeight + 92;
        top = DrawLegend(svg, model, top, width) + 28;
        TimeLine.Draw(svg, model, Margin, top, width - (2 * Margin));
        return top + TimeLine.HeightOf(model.Step) + Margin;
    }

    private static void DrawStage(Svg svg, PlannedModel model, int index, double x, double top, long full)
    {
        StagePlan stage = model.Plan!.Stages[index];
        StageReport report = model.Report!.Stages[index];
        svg.Text(x, top + 12, $"stage {index}", bold: true);
        svg.Text(x, top + 26, Shorten(LayerNames.Text(report.Layers)), fill: "#555");
        double bottom = top + 34 + BarHeight;
        svg.Box(x, top + 34, StageWidth, BarHeight, "#fafafa", "#ccc");
        double y = bottom;
        foreach (MemoryTerm term in stage.PeakTerms)
        {
            double height = full == 0 ? 0 : BarHeight * term.Bytes!.Value / full;
            y -= height;
            svg.Box(x, y, StageWidth, height, Palette.Of(term.Kind), tooltip: $"{PlanReport.NameOf(term.Kind)}: {PlanReport.FormatBytes(term.Bytes)}");
        }

        if (PlanFacts.DeviceOf(model, index) is { } device && device <= full && full > 0)
        {
            double limit = bottom - (BarHeight * device / full);
            svg.Line(x - 6, limit, x + StageWidth + 6, limit, stage.KnownBytes > device ? "#d00" : "#222", dashed: true);
        }

        string peak = stage.PeakBytes is null ? $"at least {PlanReport.FormatBytes(stage.KnownBytes)}" : PlanReport.FormatBytes(stage.PeakBytes);
        string of = PlanFacts.DeviceOf(model, index) is { } memory ? $" of {PlanReport.FormatBytes(memory)} ({Quantity.Percent((double)stage.KnownBytes / memory)})" : "";
        svg.Text(x, bottom + 16, peak + of, fill: PlanFacts.DeviceOf(model, index) < stage.KnownBytes ? "#d00" : "#222");
        svg.Text(x, bottom + 32, $"{Quantity.Whole(report.Parameters)} parameters", fill: "#555");
    }

    private static void DrawCut(Svg svg, PlannedModel model, int cut, double x, double y)
    {
        svg.Line(x + 8, y, x + CutWidth - 8, y, "#555", arrow: true);
        IReadOnlyList<string> values = PlanFacts.CrossingOf(model, cut);
        for (int i = 0; i < values.Count; i++)
        {
            svg.Text(x + (CutWidth / 2), y - 8 - (14 * (values.Count - 1 - i)), Shorten(PlanReport.Describe(model.Plan!.Cuts[cut].Values[i])), "middle", size: 10);
        }
    }

    /// <summary>Draws what the colours mean, in as many rows as it takes; returns where the last one is.</summary>
    private static double DrawLegend(Svg svg, PlannedModel model, double top, double width)
    {
        double x = Margin;
        foreach (MemoryKind kind in model.Plan!.Stages.SelectMany(s => s.PeakTerms).Select(t => t.Kind).Distinct().Order())
        {
            string name = PlanReport.NameOf(kind);
            double taken = 28 + (6.2 * name.Length);
            if (x + taken > width - Margin)
            {
                x = Margin;
                top += 18;
            }

            svg.Box(x, top, 12, 12, Palette.Of(kind));
            svg.Text(x + 16, top + 10, name, size: 11);
            x += taken;
        }

        return top;
    }

    private static string Shorten(string text) => text.Length <= MostLetters ? text : text[..(MostLetters - 1)] + "…";
}
