using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Dho2.Cli.Pages;
using Dho2.Records;

namespace Dho2.Cli.Reports;

/// <summary>The curves of a run.</summary>
internal sealed class RunCharts(RunRecord record)
{
    // Means over so many parts of the run show where it goes.
    private const int Windows = 60;
    private const int LeastSteps = 120;
    private const int MostCurves = 24;

    private readonly double end = record.Steps.Count > 0 ? record.Steps[^1].Step : 1;

    /// <summary>Losses, accuracy, rate, norm of the gradient, speed.</summary>
    public IReadOnlyList<Chart> Training()
    {
        Chart loss = NewChart("Loss");
        AddSteps(loss, "training", Palette.OfSeries(0), step => step.Loss);
        loss.Add(new("test", Palette.OfSeries(1), SeriesStyle.Points, [.. record.Epochs.Where(e => e.TestLoss is not null).Select(e => new ChartPoint(e.Step, e.TestLoss!.Value))]));
        Chart norm = NewChart("Norm of the gradient, before clipping");
        AddSteps(norm, null, Palette.OfSeries(2), step => step.GradientNorm);
        return
        [
            loss,
            new Chart("Accuracy on test data") { XEnd = end, MayBeLogarithmic = false, Highest = 1, Format = share => Quantity.Axis(Math.Round(100 * share, 6)) + " %" }
                .Add(new(null, Palette.OfSeries(1), SeriesStyle.Points, [.. record.Epochs.Where(e => e.TestAccuracy is not null).Select(e => new ChartPoint(e.Step, e.TestAccuracy!.Value))])),
            norm,
            NewChart("Learning rate of the base", mayBeLogarithmic: false).Add(Steps(null, Palette.OfSeries(3), SeriesStyle.Line, step => step.LearningRate)),
            new Chart("Samples per second") { XEnd = end, MayBeLogarithmic = false, Format = Quantity.Axis }.Add(new(null, Palette.OfSeries(5), SeriesStyle.Line, Speed())),
        ];
    }

    /// <summary>Eigenvalues with their residual bounds, and products; nothing where none were estimated.</summary>
    public IReadOnlyList<Chart> Spectra() =>
    [
        .. record.Estimates.GroupBy(e => e.Stage).OrderBy(g => g.Key).SelectMany(block =>
        {
            string of = block.Key is { } stage ? $" of stage {stage}" : "";
            return new[]
            {
                Spectrum($"Largest eigenvalues{of}", [.. block.Select(Positive)]),
                Spectrum($"Eigenvalues below 0{of}", [.. block.Select(Negative)]),
                NewChart($"Products for an estimate{of}", mayBeLogarithmic: false)
                    .Add(new(null, Palette.OfSeries(4), SeriesStyle.Points, [.. block.Select(e => new ChartPoint(e.Step, e.Products))])),
            };
        }),
    ];

    /// <summary>ADMM's residuals and sigma; nothing where there are no rounds.</summary>
    public IReadOnlyList<Chart> Residuals()
    {
        if (record.Rounds.Count == 0)
        {
            return [];
        }

        ChartSeries Of(string name, int colour, SeriesStyle style, Func<RoundEntry, double> value) =>
            new(name, Palette.OfSeries(colour), style, [.. record.Rounds.Select(r => new ChartPoint(r.Step, value(r)))]);
        return
        [
            NewChart("Residuals").Add(Of("primal", 0, SeriesStyle.Line, r => r.PrimalResidual)).Add(Of("dual", 1, SeriesStyle.Line, r => r.DualResidual)),
            NewChart("Sigma").Add(Of("sigma", 2, SeriesStyle.Line, r => r.Sigma)).Add(Of("the largest at which local steps settle", 7, SeriesStyle.Dashed, r => r.SigmaCeiling)),
        ];
    }

    /// <summary>Writes all of them.</summary>
    public void Write(StringBuilder page)
    {
        Write(page, "Training", Training());
        if (record.Estimates.Count > 0)
        {
            Write(page, "Curvature", Spectra());
            WriteEstimates(page);
        }

        Write(page, "Agreement between replicas (ADMM)", Residuals());
    }

    private static void Write(StringBuilder page, string heading, IReadOnlyList<Chart> charts)
    {
        if (charts.Count > 0)
        {
            page.Append($"<h2>{heading}</h2>\n<div class=\"charts\">\n");
            foreach (Chart chart in charts)
            {
                chart.Write(page);
            }

            page.Append("</div>\n");
        }
    }

    private void WriteEstimates(StringBuilder page)
    {
        page.Append("<p>Bars reach as far as the residual bound of a pair, |H v − λ v|: an eigenvalue is within. Where none is drawn, the bound is smaller than the point, or the pairs before were kept.</p>\n");
        HtmlPage.Table(
            page,
            ["step", "block", "outcome", "pairs", "largest", "worst bound", "products", "took"],
            record.Estimates.TakeLast(MostCurves).Select(e => ((IEnumerable<string>)[
                Quantity.Whole(e.Step),
                e.Stage is { } stage ? $"stage {stage}" : "all",
                e.Outcome,
                Quantity.Whole(e.Eigenvalues.Count),
                e.Eigenvalues.Count > 0 ? RunFacts.Number(e.Eigenvalues.Max()) : "",
                e.ResidualBounds.Count > 0 ? RunFacts.Number(e.ResidualBounds.Max()) : "",
                Quantity.Whole(e.Products),
                Quantity.Time(TimeSpan.FromSeconds(e.Seconds)),
            ], e.Outcome == "NotFinite")));
    }

    private Chart Spectrum(string title, IReadOnlyList<ChartPoint>[] estimates)
    {
        int curves = Math.Min(MostCurves, estimates.Max(values => values.Count));
        Chart chart = NewChart(title);
        for (int i = 0; i < curves; i++)
        {
            int index = i;
            chart.Add(new(null, Ramp(index, curves), SeriesStyle.Points, [.. estimates.Where(values => values.Count > index).Select(values => values[index])]));
        }

        return chart;
    }

    // The largest first, so that a curve follows one of them.
    private static IReadOnlyList<ChartPoint> Positive(EstimateEntry e) => [.. Pairs(e).Where(p => p.Y > 0).OrderByDescending(p => p.Y)];

    private static IReadOnlyList<ChartPoint> Negative(EstimateEntry e) => [.. Pairs(e).Where(p => p.Y <= 0).OrderBy(p => p.Y)];

    private static IEnumerable<ChartPoint> Pairs(EstimateEntry e) =>
        e.Eigenvalues.Select((value, i) => new ChartPoint(e.Step, value, e.ResidualBounds.Count > 0 ? e.ResidualBounds[i] : 0));

    // From blue to orange, which all people tell apart.
    private static string Ramp(int index, int count)
    {
        double share = count > 1 ? (double)index / (count - 1) : 0;
        int Mix(int from, int to) => (int)(from + (share * (to - from)));
        return $"#{Mix(0x00, 0xe6):x2}{Mix(0x72, 0x9f):x2}{Mix(0xb2, 0x00):x2}";
    }

    private Chart NewChart(string title, bool mayBeLogarithmic = true) => new(title) { XEnd = end, MayBeLogarithmic = mayBeLogarithmic };

    private ChartSeries Steps(string? name, string colour, SeriesStyle style, Func<StepEntry, double> value) =>
        new(name, colour, style, [.. record.Steps.Select(step => new ChartPoint(step.Step, value(step)))]);

    private void AddSteps(Chart chart, string? name, string colour, Func<StepEntry, double> value)
    {
        ChartSeries all = Steps(name, colour, SeriesStyle.Line, value);
        if (all.Points.Count < LeastSteps)
        {
            chart.Add(all);
            return;
        }

        chart.Add(all with { Name = null, Style = SeriesStyle.Faint });
        chart.Add(all with { Name = name is null ? null : $"{name}, mean of {Math.Max(3, all.Points.Count / Windows)} steps", Points = Chart.Smoothed(all.Points, Math.Max(3, all.Points.Count / Windows)) });
    }

    // Between recorded steps of one process; estimates, evaluations and checkpoints in between count.
    private ChartPoint[] Speed()
    {
        int window = Math.Max(1, record.Steps.Count / Windows);
        var points = new List<ChartPoint>();
        for (int i = window; i < record.Steps.Count; i += window)
        {
            StepEntry before = record.Steps[i - window], now = record.Steps[i];
            if (now.Time > before.Time)
            {
                double samples = (double)now.Samples * (now.Step - before.Step);
                points.Add(new ChartPoint(now.Step, samples / (now.Time - before.Time)));
            }
        }

        return [.. points];
    }
}
