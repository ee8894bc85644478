using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;

namespace Dho2.Cli.Pages;

/// <summary>How a series is drawn.</summary>
internal enum SeriesStyle
{
    /// <summary>A line.</summary>
    Line,

    /// <summary>A thin, pale line: single values behind their means.</summary>
    Faint,

    /// <summary>Points, joined by a line.</summary>
    Points,

    /// <summary>A dashed line.</summary>
    Dashed,
}

/// <summary>A value, and how far it may be off.</summary>
/// <param name="X">Where on the horizontal axis.</param>
/// <param name="Y">The value.</param>
/// <param name="Bound">How far it may be off; 0 where that is not said.</param>
internal readonly record struct ChartPoint(double X, double Y, double Bound = 0);

/// <summary>Values that belong together.</summary>
/// <param name="Name">What the legend calls them; null where it does not.</param>
/// <param name="Colour">Their colour.</param>
/// <param name="Style">How they are drawn.</param>
/// <param name="Points">The values, from left to right.</param>
internal sealed record ChartSeries(string? Name, string Colour, SeriesStyle Style, IReadOnlyList<ChartPoint> Points);

/// <summary>A diagram of values over steps, as a figure of a page.</summary>
/// <param name="title">What it shows.</param>
internal sealed class Chart(string title)
{
    /// <summary>What the figures look like on a page.</summary>
    public const string Style = """
        .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
        figure.chart { margin: 0; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); padding: .75rem; min-width: 0; }
        .chart figcaption { font-weight: 600; } .chart svg { width: 100%; height: auto; display: block; }
        .chart svg > rect { fill: transparent; } .chart svg text { fill: var(--soft); } .chart svg .grid { stroke: var(--line); }
        .legend { display: flex; flex-wrap: wrap; gap: .1rem .9rem; font-size: .85rem; margin-top: .25rem; } .legend span { display: flex; gap: .35rem; align-items: center; }
        """;

    private const double Width = 440;
    private const double Height = 270;
    private const double Left = 52;
    private const double Right = 12;
    private const double Top = 10;
    private const double Bottom = 38;
    private const double LetterWidth = 6.5;

    /// <summary>About so many values are written beside an axis.</summary>
    public const int MostTicks = 6;

    // About one for each pixel: more cannot be seen.
    private const int MostPoints = 600;

    // Below it, a linear axis shows as much.
    private const double LeastSpanOfDecades = 20;

    private readonly List<ChartSeries> series = [];

    /// <summary>What the horizontal axis counts.</summary>
    public string XLabel { get; init; } = "step";

    /// <summary>The last value of the horizontal axis, if it reaches beyond the points.</summary>
    public double XEnd { get; init; }

    /// <summary>Whether the vertical axis may be logarithmic, where values are positive and far apart.</summary>
    public bool MayBeLogarithmic { get; init; } = true;

    /// <summary>The largest value that there can be.</summary>
    public double Highest { get; init; } = double.PositiveInfinity;

    /// <summary>Writes a value of the vertical axis.</summary>
    public Func<double, string> Format { get; init; } = value => value.ToString("G3", CultureInfo.InvariantCulture);

    /// <summary>Adds values.</summary>
    public Chart Add(ChartSeries added)
    {
        ChartPoint[] finite = [.. added.Points.Where(p => double.IsFinite(p.Y) && double.IsFinite(p.Bound))];
        if (finite.Length > 0)
        {
            series.Add(added with { Points = finite });
        }

        return this;
    }

    /// <summary>What it shows.</summary>
    public string Title => title;

    /// <summary>The values; none where nothing was recorded.</summary>
    public IReadOnlyList<ChartSeries> Series => series;

    /// <summary>Whether equal ratios are equally high: where values are positive and far apart.</summary>
    public bool IsLogarithmic => MayBeLogarithmic && Points.All(p => p.Y > 0) && Points.Max(p => p.Y) / Points.Min(p => p.Y) >= LeastSpanOfDecades;

    private IEnumerable<ChartPoint> Points => series.SelectMany(s => s.Points);

    /// <summary>The axes; there must be values.</summary>
    /// <param name="left">Where the first step is.</param>
    /// <param name="right">Where the last one is.</param>
    /// <param name="bottom">Where the least value is.</param>
    /// <param name="top">Where the largest is.</param>
    public (ChartAxis X, ChartAxis Y) Axes(double left, double right, double bottom, double top) =>
        (new ChartAxis(0, Math.Max(Math.Max(Points.Max(p => p.X), XEnd), 1), false, left, right), VerticalAxis(bottom, top));

    /// <summary>Writes the figure; nothing where there are no values.</summary>
    public void Write(StringBuilder page)
    {
        if (series.Count == 0)
        {
            return;
        }

        var svg = new Svg();
        (ChartAxis x, ChartAxis y) = Axes(Left, Width - Right, Height - Bottom, Top);
        foreach (double tick in y.Ticks(MostTicks))
        {
            double at = y.Of(tick);
            svg.Path($"M{Svg.Number(Left)} {Svg.Number(at)}H{Svg.Number(Width - Right)}", "#ddd", 1, cssClass: "grid");
            svg.Text(Left - 5, at + 4, Format(tick), "end");
        }

        foreach (double tick in x.Ticks(MostTicks))
        {
            string label = Quantity.Axis(tick);
            double room = Width - Right - (label.Length * LetterWidth / 2);
            svg.Text(Math.Min(x.Of(tick), room), Height - Bottom + 16, label, "middle");
        }

        svg.Text(Width - Right, Height - 6, XLabel, "end");
        foreach (ChartSeries one in series)
        {
            Draw(svg, one, x, y);
        }

        page.Append($"<figure class=\"chart\"><figcaption>{Svg.Escape(title)}{(IsLogarithmic ? ", logarithmic" : "")}</figcaption>\n{svg.Write(Width, Height, title)}");
        if (series.Exists(s => s.Name is not null))
        {
            page.Append("<div class=\"legend\">");
            foreach (ChartSeries named in series.Where(s => s.Name is not null))
            {
                page.Append($"<span><i class=\"key\" style=\"background:{named.Colour}\"></i>{Svg.Escape(named.Name!)}</span>");
            }

            page.Append("</div>\n");
        }

        page.Append("</figure>\n");
    }

    /// <summary>The means of a window that glides over the values; at the ends the window is smaller.</summary>
    public static IReadOnlyList<ChartPoint> Smoothed(IReadOnlyList<ChartPoint> points, int window)
    {
        double[] sums = new double[points.Count + 1];
        for (int i = 0; i < points.Count; i++)
        {
            sums[i + 1] = sums[i] + points[i].Y;
        }

        return
        [
            .. points.Select((point, i) =>
            {
                int reach = Math.Min(window / 2, Math.Min(i, points.Count - 1 - i));
                return new ChartPoint(point.X, (sums[i + reach + 1] - sums[i - reach]) / ((2 * reach) + 1));
            }),
        ];
    }

    private ChartAxis VerticalAxis(double bottom, double top)
    {
        if (IsLogarithmic)
        {
            return new ChartAxis(Points.Min(p => p.Y) / 1.2, Points.Max(p => p.Y + p.Bound) * 1.2, true, bottom, top);
        }

        double low = Points.Min(p => p.Y - p.Bound), high = Points.Max(p => p.Y + p.Bound);
        double air = high > low ? 0.05 * (high - low) : Math.Max(Math.Abs(high) * 0.05, 1e-12);
        return new ChartAxis(low >= 0 && low < 0.4 * high ? 0 : low - air, Math.Min(high + air, Math.Max(high, Highest)), false, bottom, top);
    }

    private static void Draw(Svg svg, ChartSeries one, ChartAxis x, ChartAxis y)
    {
        ChartPoint[] points = Thinned(one.Points);
        if (points.Length > 1)
        {
            string path = "M" + string.Join('L', points.Select(p => $"{Svg.Number(x.Of(p.X))} {Svg.Number(y.Of(p.Y))}"));
            svg.Path(path, one.Colour, one.Style == SeriesStyle.Faint ? 1 : 1.8, one.Style == SeriesStyle.Dashed, one.Style == SeriesStyle.Faint ? 0.35 : 1);
        }

        foreach (ChartPoint point in points.Length == 1 || one.Style == SeriesStyle.Points ? points : [])
        {
            string text = string.Create(CultureInfo.InvariantCulture, $"{one.Name ?? "step"} {point.X:0.##}: {point.Y:G5}{(point.Bound > 0 ? $" ± {point.Bound:G2}" : "")}");
            double at = x.Of(point.X);
            if (point.Bound > 0)
            {
                svg.Path($"M{Svg.Number(at)} {Svg.Number(y.Of(point.Y - point.Bound))}V{Svg.Number(y.Of(point.Y + point.Bound))}", one.Colour, 1);
            }

            svg.Dot(at, y.Of(point.Y), 2.6, one.Colour, text);
        }
    }

    /// <summary>Of each pixel's values the least and the largest, in their order.</summary>
    public static ChartPoint[] Thinned(IReadOnlyList<ChartPoint> points) => points.Count <= MostPoints
        ? [.. points]
        :
        [
            .. points.Chunk((int)Math.Ceiling(2.0 * points.Count / MostPoints)).SelectMany(chunk =>
            {
                ChartPoint low = chunk.MinBy(p => p.Y), high = chunk.MaxBy(p => p.Y);
                return low.X < high.X ? new[] { low, high } : low.X > high.X ? [high, low] : [low];
            }),
        ];
}

/// <summary>Where values are on an axis.</summary>
/// <param name="low">The first value.</param>
/// <param name="high">The last one.</param>
/// <param name="logarithmic">Whether equal ratios are equally long.</param>
/// <param name="start">Where the first value is.</param>
/// <param name="end">Where the last one is.</param>
internal sealed class ChartAxis(double low, double high, bool logarithmic, double start, double end)
{
    private const double LeastRatio = 1e-300;

    /// <summary>Where a value is; values outside are at the edge.</summary>
    public double Of(double value)
    {
        double share = logarithmic
            ? Math.Log(Math.Max(value, LeastRatio) / low) / Math.Log(high / low)
            : (value - low) / (high - low);
        return start + (Math.Clamp(share, 0, 1) * (end - start));
    }

    /// <summary>Round values, about so many.</summary>
    public IReadOnlyList<double> Ticks(int most) => logarithmic ? Decades(most) : Round(most);

    private List<double> Round(int most)
    {
        double raw = (high - low) / most;
        double power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        double step = new[] { 1, 2, 5, 10 }.Select(factor => factor * power).First(s => s >= raw * 0.999);
        var ticks = new List<double>();
        for (double i = Math.Ceiling(low / step); i * step <= high; i++)
        {
            ticks.Add(i * step);
        }

        return ticks;
    }

    private List<double> Decades(int most)
    {
        int first = (int)Math.Floor(Math.Log10(low)), last = (int)Math.Ceiling(Math.Log10(high));
        int every = Math.Max(1, (last - first) / most);
        double[] factors = last - first <= 2 ? [1, 2, 5] : [1];
        return
        [
            .. Enumerable.Range(first, last - first + 1)
                .Where(power => (power - first) % every == 0)
                .SelectMany(power => factors.Select(factor => factor * Math.Pow(10, power)))
                .Where(tick => tick >= low && tick <= high),
        ];
    }
}
