using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Dho2.Cli.Pages;
using Dho2.Records;

namespace Dho2.Cli.Reports;

/// <summary>What each rank really did in the traced steps: shares of time, and pictures of a few steps.</summary>
internal static class RankTimeLine
{
    private const double Width = 1000;
    private const double Left = 58;
    private const double RowHeight = 24;
    private const double AxisHeight = 28;
    private const double LeastWidth = 0.4;
    private const double LabelWidth = 17;
    private const double StepLabelWidth = 110;
    private const int MostRanks = 32;
    private const int StepsShown = 3;

    // From the work to the waiting.
    private static readonly (string Category, string Name)[] Kinds =
    [
        (TraceCategory.Forward, "forward"), (TraceCategory.Backward, "backward"), (TraceCategory.BackwardWeight, "backward for weights"),
        (TraceCategory.Update, "optimizer"), (TraceCategory.Curvature, "curvature"), (TraceCategory.Data, "reading data"), (TraceCategory.Send, "send"),
        (TraceCategory.Reduce, "reductions, waiting included"), (TraceCategory.Receive, "receive: waiting for a neighbour"), (TraceCategory.Other, "other"),
    ];

    /// <summary>Writes the section.</summary>
    public static void Write(StringBuilder page, RunRecord record)
    {
        page.Append("<h2>What the ranks did</h2>\n");
        if (record.Trace is not { Spans.Count: > 0 } trace)
        {
            page.Append("<p>Nothing was traced: no step after the first two is complete, or tracing is off.</p>\n");
            return;
        }

        HashSet<long> estimating = [.. trace.Spans.Where(s => s.Category == TraceCategory.Curvature).Select(s => s.Step)];
        TraceSpan[] plain = [.. trace.Spans.Where(s => !estimating.Contains(s.Step))];
        if (plain.Length > 0)
        {
            WriteShares(page, trace, plain);
            long first = plain.Min(s => s.Step);
            Draw(page, trace, first, first + StepsShown - 1);
        }

        if (estimating.Count > 0)
        {
            long first = estimating.Min();
            page.Append("<h3>Around a curvature estimate</h3>\n");
            Draw(page, trace, first, first + 1);
        }

        WriteKeys(page, trace);
        string[] files = [.. record.Manifest.Ranks.Select(r => ChromeTrace.NameOf(r.Rank)).Where(name => File.Exists(Path.Combine(record.Folder, name)))];
        page.Append($"<p>{(trace.Truncated ? "There was more than the trace has room for. " : "")}All traced steps, for <code>chrome://tracing</code> or Perfetto: {files[0]}{(files.Length > 1 ? $" and {Quantity.Count(files.Length - 1, "other")}, or all in one by <code>dho2 report --trace FILE</code>" : "")}.</p>\n");
    }

    private static void WriteShares(StringBuilder page, ChromeTrace trace, TraceSpan[] spans)
    {
        long[] steps = [.. spans.Select(s => s.Step).Distinct().Order()];
        page.Append($"<p>Shares of time in {Quantity.Count(steps.Length, "step")} without an estimate, {Quantity.Whole(steps[0])} to {Quantity.Whole(steps[^1])}:</p>\n");
        var table = new List<(IEnumerable<string>, bool)>();
        foreach (IGrouping<int, TraceSpan> rank in spans.GroupBy(s => s.Rank).OrderBy(g => g.Key).Take(MostRanks))
        {
            // From a step's first note to its last: what is between steps, such as saving, is nobody's.
            double whole = rank.GroupBy(s => s.Step).Sum(step => step.Max(s => s.End) - step.Min(s => s.Start));
            (string Category, string Name, double Share)[] shares = [.. Kinds.Select(kind => (kind.Category, kind.Name, rank.Where(s => s.Category == kind.Category).Sum(s => s.Duration) / whole))];
            page.Append($"<div class=\"shares\">{Svg.Escape(NameOf(trace, rank.Key))}");
            HtmlPage.Bar(page, "shares of time", shares.Where(s => s.Share > 0).Select(s => (s.Share, Palette.OfWork(s.Category), $"{s.Name}: {Quantity.Percent(s.Share)}")));
            page.Append("</div>\n");
            double Of(params string[] categories) => shares.Where(s => categories.Contains(s.Category)).Sum(s => s.Share);
            table.Add(([
                $"{rank.Key}",
                Quantity.Time(TimeSpan.FromMicroseconds(whole / steps.Length)),
                Quantity.Percent(Of(TraceCategory.Forward)),
                Quantity.Percent(Of(TraceCategory.Backward, TraceCategory.BackwardWeight)),
                Quantity.Percent(Of(TraceCategory.Update)),
                Quantity.Percent(Of(TraceCategory.Receive)),
                Quantity.Percent(Of(TraceCategory.Reduce)),
                Quantity.Percent(Of(TraceCategory.Send, TraceCategory.Data, TraceCategory.Other)),
            ], false));
        }

        HtmlPage.Table(page, ["rank", "a step", "forward", "backward", "optimizer", "waiting for a neighbour", "reductions", "else"], table);
    }

    private static void Draw(StringBuilder page, ChromeTrace trace, long first, long last)
    {
        TraceSpan[] spans = [.. trace.Spans.Where(s => s.Step >= first && s.Step <= last && s.Rank < MostRanks)];
        double begin = spans.Min(s => s.Start), end = spans.Max(s => s.End);
        double scale = (Width - Left - 2) / Math.Max(1, end - begin);
        double At(double time) => Left + ((time - begin) * scale);
        var svg = new Svg();
        int[] ranks = [.. spans.Select(s => s.Rank).Distinct().Order()];
        for (int row = 0; row < ranks.Length; row++)
        {
            double y = 2 + (row * RowHeight);
            svg.Text(0, y + 15, $"rank {ranks[row]}");
            svg.Box(Left, y, Width - Left - 2, RowHeight - 3, "#f7f7f7");
            foreach (TraceSpan span in Merged([.. spans.Where(s => s.Rank == ranks[row]).OrderBy(s => s.Start)], LeastWidth / scale))
            {
                double width = span.Duration * scale;
                string what = $"{span.Name}{(span.MicroBatch >= 0 ? $", micro-batch {span.MicroBatch}" : "")}{(span.Stage >= 0 ? $", stage {span.Stage}" : "")}, step {span.Step}: {Time(span.Start - begin)} to {Time(span.End - begin)}";
                svg.Box(At(span.Start), y, Math.Max(width, LeastWidth), RowHeight - 3, ColourOf(span), width > 3 && span.Category != TraceCategory.Curvature ? "#666" : null, what);
                if (width > LabelWidth && span.MicroBatch >= 0 && span.Category is (TraceCategory.Forward or TraceCategory.Backward))
                {
                    svg.Text(At(span.Start) + (width / 2), y + 15, $"{(span.Category == TraceCategory.Forward ? "F" : "B")}{span.MicroBatch}", "middle", size: 11);
                }
            }
        }

        double bottom = 2 + (ranks.Length * RowHeight);
        foreach (IGrouping<long, TraceSpan> step in spans.GroupBy(s => s.Step))
        {
            double at = At(step.Min(s => s.Start));
            svg.Line(at, 0, at, bottom + 4, "#222", dashed: true);
            if (at < Width - StepLabelWidth)
            {
                svg.Text(at + 3, bottom + 14, $"step {step.Key}", size: 11, fill: "#555");
            }
        }

        svg.Text(Width - 2, bottom + 14, Time(end - begin), "end", size: 11, fill: "#555");
        page.Append("<div class=\"wide line\" tabindex=\"0\">\n")
            .Append(svg.Write(Width, bottom + AxisHeight - 6, $"What each rank did in steps {first} to {last}"))
            .Append("</div>\n");
    }

    // Neighbours of one kind that are too narrow to be seen become one box.
    private static IEnumerable<TraceSpan> Merged(TraceSpan[] spans, double least)
    {
        TraceSpan? held = null;
        foreach (TraceSpan span in spans)
        {
            if (held is { } before && before.Category == span.Category && before.Step == span.Step && span.Start - before.End < least && (before.Duration < least || span.Duration < least))
            {
                held = before with { Duration = span.End - before.Start, MicroBatch = -1 };
                continue;
            }

            if (held is { } complete)
            {
                yield return complete;
            }

            held = span;
        }

        if (held is { } last)
        {
            yield return last;
        }
    }

    private static void WriteKeys(StringBuilder page, ChromeTrace trace)
    {
        page.Append("<div class=\"legend\">");
        HashSet<string> present = [.. trace.Spans.Select(s => s.Category)];
        foreach ((string category, string name) in Kinds.Where(kind => present.Contains(kind.Category)))
        {
            page.Append($"<span><i class=\"key\" style=\"background:{Palette.OfWork(category)}\"></i>{name}</span>");
        }

        page.Append("</div>\n");
    }

    // Sweeps up and down the pipeline are told apart.
    private static string ColourOf(TraceSpan span) =>
        span.Category == TraceCategory.Curvature && (span.Name.StartsWith("downward", StringComparison.Ordinal) || span.Name.StartsWith("backward", StringComparison.Ordinal))
            ? Palette.CurvatureDown
            : Palette.OfWork(span.Category);

    private static string NameOf(ChromeTrace trace, int rank) => trace.Ranks.GetValueOrDefault(rank) ?? $"rank {rank}";

    private static string Time(double microseconds) => Quantity.Time((long)(microseconds * 1e6));
}
