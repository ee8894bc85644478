using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Dho2.Cli.Pages;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Cli.Plans;

/// <summary>Writes plans as one page that needs nothing else: no script, no font, no picture from elsewhere.</summary>
internal static class PlanPage
{
    private const double TimeLineWidth = 1000;

    private const string Style = """
        .pipeline { display: flex; flex-wrap: wrap; gap: .75rem; align-items: stretch; }
        .stage { flex: 1 1 14rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); padding: .75rem; }
        .cut { flex: 0 1 11rem; align-self: center; color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
        .cut::before { content: "\2192\00a0"; color: var(--text); }
        .device { height: .4rem; margin: -.25rem 0 .5rem; border: 1px solid var(--line); border-radius: .2rem; overflow: hidden; } .device span { display: block; height: 100%; background: var(--soft); }
        .terms { list-style: none; margin: .5rem 0 0; padding: 0; font-size: .85rem; } .terms li { display: flex; gap: .4rem; align-items: baseline; }
        .terms b { margin-left: auto; font-weight: 400; white-space: nowrap; }
        .problems li { overflow-wrap: anywhere; } .Error { color: var(--bad); }
        @media (max-width: 36rem) { .cut { flex-basis: 100%; } .cut::before { content: "\2193\00a0"; } }
        """;

    /// <summary>Writes the page.</summary>
    /// <param name="models">The models, each with the ways to use more devices that were asked for.</param>
    public static string Write(IReadOnlyList<(PlannedModel Model, IReadOnlyList<World> Worlds)> models)
    {
        StringBuilder page = HtmlPage.Begin("Plan of " + string.Join(", ", models.Select(m => m.Model.Model.Name)), Style);
        foreach ((PlannedModel model, IReadOnlyList<World> worlds) in models)
        {
            Write(page, model, worlds);
        }

        return HtmlPage.End(page, "Times are by the plan's prices, which are the device's peaks: they compare plans and do not foretell seconds. Made by <code>dho2 plan</code>.");
    }

    private static void Write(StringBuilder page, PlannedModel model, IReadOnlyList<World> worlds)
    {
        page.Append($"<h1>{Svg.Escape(model.Model.MetadataName)}</h1>\n");
        WriteProblems(page, model);
        if (model.Plan is null)
        {
            page.Append("<p class=\"over\">No plan can be made.</p>\n");
            return;
        }

        HtmlPage.Facts(page, PlanFacts.Of(model));
        page.Append("<h2>Stages</h2>\n<div class=\"pipeline\">\n");
        long full = model.Plan.Stages.Max(s => s.KnownBytes);
        foreach (StagePlan stage in model.Plan.Stages)
        {
            WriteStage(page, model, stage, full);
            if (stage.Index < model.Plan.Cuts.Count)
            {
                page.Append($"<div class=\"cut\">{string.Join("<br>", PlanFacts.CrossingOf(model, stage.Index).Select(Svg.Escape))}</div>\n");
            }
        }

        page.Append("</div>\n<h2>A step</h2>\n<div class=\"wide\" tabindex=\"0\">\n");
        var svg = new Svg();
        TimeLine.Draw(svg, model, 0, 2, TimeLineWidth);
        page.Append(svg.Write(TimeLineWidth, TimeLine.HeightOf(model.Step) + 2, $"What each rank of {model.Model.Name} does in a step")).Append("</div>\n");
        page.Append("<p>F: forward, B: backward, I and W: its parts for inputs and for weights; then the stage, where ranks hold several, and the micro-batch.</p>\n");
        if (worlds.Count > 0)
        {
            WriteWorlds(page, worlds);
        }
    }

    private static void WriteStage(StringBuilder page, PlannedModel model, StagePlan stage, long full)
    {
        StageReport report = model.Report!.Stages[stage.Index];
        long? device = PlanFacts.DeviceOf(model, stage.Index);
        page.Append($"<section class=\"stage\">\n<h3>stage {stage.Index}</h3>\n<div>{Svg.Escape(LayerNames.Text(report.Layers))}</div>\n<div>{Quantity.Whole(report.Parameters)} parameters, {Quantity.Scaled(report.ForwardOperations)}FLOP a forward</div>\n");
        HtmlPage.Bar(page, "bytes by kind, against the largest stage", stage.PeakTerms.Where(_ => full > 0).Select(term =>
            ((double)term.Bytes!.Value / full, Palette.Of(term.Kind), $"{PlanReport.NameOf(term.Kind)}: {PlanReport.FormatBytes(term.Bytes)}")));
        string peak = stage.PeakBytes is null ? $"at least {PlanReport.FormatBytes(stage.KnownBytes)}" : PlanReport.FormatBytes(stage.PeakBytes);
        string of = device is { } memory ? $" of {PlanReport.FormatBytes(memory)} ({Quantity.Percent((double)stage.KnownBytes / memory)})" : "";
        if (device is { } limit)
        {
            page.Append(FormattableString.Invariant($"<div class=\"device\" title=\"the same against the device\"><span style=\"width:{Math.Min(100, 100.0 * stage.KnownBytes / limit):0.###}%\"></span></div>\n"));
        }

        page.Append($"<div{(stage.KnownBytes > device ? " class=\"over\"" : "")}>peak {peak}{of}</div>\n<ul class=\"terms\">\n");
        foreach (MemoryTerm term in report.Memory.Where(t => t.Bytes != 0))
        {
            page.Append($"<li><span class=\"key\" style=\"background:{Palette.Of(term.Kind)}\"></span>{Svg.Escape(PlanReport.NameOf(term.Kind))}<b>{PlanReport.FormatBytes(term.Bytes)}</b></li>\n");
        }

        page.Append("</ul>\n</section>\n");
    }

    private static void WriteProblems(StringBuilder page, PlannedModel model)
    {
        Diagnostic[] shown = [.. model.Diagnostics.Where(d => d.Severity >= DiagnosticSeverity.Warning)];
        if (shown.Length > 0)
        {
            page.Append("<ul class=\"problems\">\n");
            foreach (Diagnostic diagnostic in shown)
            {
                page.Append($"<li class=\"{diagnostic.Severity}\">{Svg.Escape($"{diagnostic.Id}: {diagnostic.GetMessage(System.Globalization.CultureInfo.InvariantCulture)}")}</li>\n");
            }

            page.Append("</ul>\n");
        }
    }

    private static void WriteWorlds(StringBuilder page, IReadOnlyList<World> worlds)
    {
        page.Append($"<h2>{Quantity.Count(worlds[0].Devices, "device")}</h2>\n");
        HtmlPage.Table(
            page,
            PlanTables.WorldColumns.Select(column => column.TrimStart('-')),
            worlds.Select(world => ((IEnumerable<string>)PlanTables.Cells(world), !world.Fits)));
    }
}
