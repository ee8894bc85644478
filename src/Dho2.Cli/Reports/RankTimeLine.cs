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
    private const int EstimateStepsShown = 2;

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

        if (PlainSpans(record, trace) is { Length: > 0 } plain)
        {
            WriteShares(page, trace, plain);
        }

        foreach ((string? heading, TraceSpan[] spans) in Stretches(record))
        {
            page.Append(heading is null ? "" : $"<h3>{heading}</h3>\n");
            Draw(page, record, spans);
        }

        WriteKeys(page, trace);
        string[] files = [.. record.Manifest.Ranks.Select(r => ChromeTrace.NameOf(r.Rank)).Where(name => File.Exists(Path.Combine(record.Folder, name)))];
        page.Append($"<p>{(trace.Truncated ? "There was more than the trace has room for. " : "")}All traced steps, for <code>chrome://tracing</code> or Perfetto: {files[0]}{(files.Length > 1 ? $" and {Quantity.Count(files.Length - 1, "other")}, or all in one by <code>dho2 report --trace FILE</code>" : "")}.</p>\n");
    }

    /// <summary>What is drawn: a few steps without an estimate, and those around the first estimate, which have a heading.</summary>
    public static IEnumerable<(string? Heading, TraceSpan[] Spans)> Stretches(RunRecord record)
    {
        if (record.Trace is not { } trace)
        {
            yield break;
        }

        TraceSpan[] trained = [.. trace.Spans.Where(s => Trains(record, s))];
        if (PlainSpans(record, trace) is { Length: > 0 } plain)
        {
            yield return (null, During(trace, trained, plain.Min(s => s.Step), StepsShown));
        }

        // A rank that does nothing but estimate goes on over many steps: those that were traced when it began are shown.
        if (trace.Spans.Where(s => s.Category == TraceCategory.Curvature && trained.Any(t => t.Step == s.Step)).Select(s => (long?)s.Step).Min() is { } first)
        {
            yield return ("Around a curvature estimate", During(trace, trained, first, EstimateStepsShown));
        }
    }

    /// <summary>The steps of the ranks that train, such as <c>3 to 5</c>.</summary>
    public static string StepsOf(RunRecord record, TraceSpan[] spans)
    {
        long[] steps = [.. spans.Where(s => Trains(record, s)).Select(s => s.Step)];
        return $"{steps.Min()} to {steps.Max()}";
    }

    /// <summary>Where steps begin, as times.</summary>
    public static IEnumerable<double> BeginningsOf(RunRecord record, TraceSpan[] spans) =>
        spans.Where(s => Trains(record, s)).GroupBy(s => s.Step).Select(step => step.Min(s => s.Start));

    /// <summary>What a row is called.</summary>
    /// <param name="record">The run.</param>
    /// <param name="row">A rank, or the thread beside one that reduces its gradients.</param>
    public static string RowName(RunRecord record, int row) =>
        row < record.Manifest.Ranks.Count ? $"rank {row}" : $"reduce {row - record.Manifest.Ranks.Count}";

    /// <summary>A rank's part of what is drawn, in order; neighbours of one kind that are too narrow to be seen become one.</summary>
    /// <param name="spans">What is drawn.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="least">The shortest time that can be seen, in microseconds.</param>
    public static IEnumerable<TraceSpan> RowOf(TraceSpan[] spans, int rank, double least) => Merged([.. spans.Where(s => s.Rank == rank).OrderBy(s => s.Start)], least);

    /// <summary>What the colours mean that occur, from the work to the waiting.</summary>
    public static IEnumerable<(string Name, string Colour)> Keys(IEnumerable<TraceSpan> spans)
    {
        HashSet<string> present = [.. spans.Select(s => s.Category)];
        return Kinds.Where(kind => present.Contains(kind.Category)).Select(kind => (kind.Name, Palette.OfWork(kind.Category)));
    }

    private static bool Trains(RunRecord record, TraceSpan span) => span.Rank < record.Manifest.Ranks.Count && record.Manifest.Ranks[span.Rank].Trains;

    // Of the ranks that train, in steps before which none of them estimates.
    private static TraceSpan[] PlainSpans(RunRecord record, ChromeTrace trace)
    {
        TraceSpan[] trained = [.. trace.Spans.Where(s => Trains(record, s))];
        HashSet<long> estimating = [.. trained.Where(s => s.Category == TraceCategory.Curvature).Select(s => s.Step)];
        return [.. trained.Where(s => !estimating.Contains(s.Step))];
    }

    // Some steps, and what others did meanwhile, of which what reaches beyond them is cut off.
    private static TraceSpan[] During(ChromeTrace trace, TraceSpan[] trained, long first, int steps)
    {
        TraceSpan[] own = [.. trained.Where(s => s.Step >= first && s.Step < first + steps)];
        double begin = own.Min(s => s.Start), end = own.Max(s => s.End);
        return
        [
            .. own.Where(s => s.Rank < MostRanks),
            .. trace.Spans.Except(trained).Where(s => s.Start < end && s.End > begin && s.Rank < MostRanks).Select(s =>
            {
                double start = Math.Max(s.Start, begin);
                return s with { Start = start, Duration = Math.Min(s.End, end) - start };
            }),
        ];
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

    private static void Draw(StringBuilder page, RunRecord record, TraceSpan[] spans)
    {
        double begin = spans.Min(s => s.Start), end = spans.Max(s => s.End);
        double scale = (Width - Left - 2) / Math.Max(1, end - begin);
        double At(double time) => Left + ((time - begin) * scale);
        var svg = new Svg();
        int[] ranks = [.. spans.Select(s => s.Rank).Distinct().Order()];
        for (int row = 0; row < ranks.Length; row++)
        {
            double y = 2 + (row * RowHeight);
            svg.Text(0, y + 15, RowName(record, ranks[row]));
            svg.Box(Left, y, Width - Left - 2, RowHeight - 3, "#f7f7f7");
            foreach (TraceSpan span in RowOf(spans, ranks[row], LeastWidth / scale))
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
        foreach (IGrouping<long, TraceSpan> step in spans.Where(s => Trains(record, s)).GroupBy(s => s.Step))
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
            .Append(svg.Write(Width, bottom + AxisHeight - 6, $"What each rank did in steps {StepsOf(record, spans)}"))
            .Append("</div>\n");
    }

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
        foreach ((string name, string colour) in Keys(trace.Spans))
        {
            page.Append($"<span><i class=\"key\" style=\"background:{colour}\"></i>{name}</span>");
        }

        page.Append("</div>\n");
    }

    /// <summary>The colour of what a rank did: sweeps up and down the pipeline are told apart.</summary>
    public static string ColourOf(TraceSpan span) =>
        span.Category == TraceCategory.Curvature && (span.Name.StartsWith("downward", StringComparison.Ordinal) || span.Name.StartsWith("backward", StringComparison.Ordinal))
            ? Palette.CurvatureDown
            : Palette.OfWork(span.Category);

    private static string NameOf(ChromeTrace trace, int rank) => trace.Ranks.GetValueOrDefault(rank) ?? $"rank {rank}";

    private static string Time(double microseconds) => Quantity.Time((long)(microseconds * 1e6));
}
