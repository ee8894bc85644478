using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Dho2.Cli.Pages;
using Dho2.Planning;
using Dho2.Records;

namespace Dho2.Cli.Reports;

/// <summary>Memory as it was planned, beside what was measured.</summary>
internal static class MemorySection
{
    /// <summary>Writes the section.</summary>
    public static void Write(StringBuilder page, RunRecord record)
    {
        page.Append("<h2>Memory</h2>\n");
        RankMemory[] ranks = RankMemory.Of(record);
        IReadOnlyList<RankMemory[]> processes = RankMemory.ByProcess(ranks);
        long full = processes.Select(p => Math.Max(p.Sum(r => r.Planned), p.Max(r => r.Measured ?? 0))).Append(1).Max();
        foreach (RankMemory[] process in processes)
        {
            WriteProcess(page, process, full);
        }

        WriteKeys(page, ranks);
        if (record.Estimates.Count == 0 && record.Manifest.Stages.Any(stage => stage.Memory.Any(term => term.Kind == nameof(MemoryKind.Basis) && term.Bytes > 0)))
        {
            page.Append("<p>No estimate has been made so far: what curvature is planned to take was not needed.</p>\n");
        }

        page.Append("<p>Measured is the process's peak of resident memory above what it had before its trainer was built. Buffers that native libraries keep, and what the allocator does not give back, are in it and not in the plan. Memory of a GPU is not measured.</p>\n");
        HtmlPage.Table(
            page,
            ["rank", "stage", "replica", "planned at the peak", "lasting, planned", "lasting, held"],
            ranks.Select(r => ((IEnumerable<string>)[
                $"{r.Rank.Rank}",
                string.Join(" and ", r.Rank.Stages),
                $"{r.Rank.Replica}",
                $"{(r.IsWhole ? "" : "at least ")}{PlanReport.FormatBytes(r.Planned)}",
                PlanReport.FormatBytes(r.PlannedLasting),
                r.Held is { } held ? PlanReport.FormatBytes(held) : "not recorded",
            ], false)));
        page.Append("<p>What lasts from step to step: parameters, gradients, buffers, and the state of optimizer, curvature and ADMM, counted tensor by tensor. Curvature is planned for the most eigenpairs that there can be.</p>\n");
    }

    private static void WriteProcess(StringBuilder page, RankMemory[] ranks, long full)
    {
        long planned = ranks.Sum(r => r.Planned);
        page.Append($"<section class=\"process\"><h3>{RankMemory.NameOf(ranks)}</h3>\n<div>planned: {(ranks.All(r => r.IsWhole) ? "" : "at least ")}{PlanReport.FormatBytes(planned)}</div>\n");
        HtmlPage.Bar(
            page,
            "planned at the peak, by kind",
            RankMemory.KindsOf(ranks).Select(kind => ((double)kind.Bytes / full, Palette.OfMemory(kind.Kind), $"{kind.Name}: {PlanReport.FormatBytes(kind.Bytes)}")));
        if (ranks.Max(r => r.Measured) is { } measured)
        {
            page.Append($"<div>measured: {PlanReport.FormatBytes(measured)}</div>\n");
            HtmlPage.Bar(page, "measured", [((double)measured / full, "var(--soft)", PlanReport.FormatBytes(measured))]);
        }

        page.Append("</section>\n");
    }

    private static void WriteKeys(StringBuilder page, RankMemory[] ranks)
    {
        page.Append("<div class=\"legend\">");
        foreach ((string kind, string name) in ranks.SelectMany(r => r.Terms).Where(t => t.Bytes > 0).Select(t => (t.Kind, t.Name)).Distinct())
        {
            page.Append($"<span><i class=\"key\" style=\"background:{Palette.OfMemory(kind)}\"></i>{Svg.Escape(name)}</span>");
        }

        page.Append("</div>\n");
    }
}
