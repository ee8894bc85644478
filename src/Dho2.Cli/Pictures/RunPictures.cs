using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using Dho2.Cli.Pages;
using Dho2.Cli.Reports;
using Dho2.Records;

namespace Dho2.Cli.Pictures;

/// <summary>The figures of a report as PNG files, for papers and chats that take no page.</summary>
internal static class RunPictures
{
    /// <summary>Writes them, one file for each figure that has something to show.</summary>
    /// <param name="record">The run.</param>
    /// <param name="folder">Where; made if it does not exist.</param>
    /// <returns>The files.</returns>
    /// <exception cref="IOException">A file cannot be written, or nothing can be drawn on this platform.</exception>
    public static IReadOnlyList<string> Write(RunRecord record, string folder)
    {
        Directory.CreateDirectory(folder);
        try
        {
            return [.. Figures(record).Select(figure => Save(figure, folder))];
        }
        catch (Exception error) when (error is DllNotFoundException or TypeInitializationException { InnerException: DllNotFoundException })
        {
            throw new IOException(
                $"Pictures cannot be drawn on {RuntimeInformation.RuntimeIdentifier}: the tool brings SkiaSharp for Linux (x64, glibc), Windows (x64) and macOS. The page has the same figures.", error);
        }
    }

    private static IEnumerable<Figure> Figures(RunRecord record)
    {
        var charts = new RunCharts(record);
        foreach (Chart chart in charts.Training().Concat(charts.Spectra()).Concat(charts.Residuals()).Where(chart => chart.Series.Count > 0))
        {
            yield return ChartFigure.Of(chart);
        }

        if (MemoryFigure.Of(record) is { } memory)
        {
            yield return memory;
        }

        foreach (Figure line in TimeLineFigure.Of(record))
        {
            yield return line;
        }
    }

    private static string Save(Figure figure, string folder)
    {
        string path = Path.Combine(folder, NameOf(figure.Title) + ".png");
        figure.Plot.SavePng(path, figure.Width, figure.Height);
        return path;
    }

    // "Norm of the gradient, before clipping" becomes norm-of-the-gradient.
    private static string NameOf(string title) =>
        string.Concat(title.TakeWhile(letter => letter != ',').Select(letter => char.IsAsciiLetterOrDigit(letter) ? char.ToLowerInvariant(letter) : '-'));
}

/// <summary>A figure that is drawn.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="Plot">It.</param>
/// <param name="Width">Pixels.</param>
/// <param name="Height">Pixels.</param>
internal sealed record Figure(string Title, ScottPlot.Plot Plot, int Width, int Height)
{
    // Twice those of a page, for screens and print that have them.
    private const float Scale = 2;

    /// <summary>A figure without anything in it.</summary>
    /// <param name="title">What it shows.</param>
    /// <param name="subtitle">What stands behind that; may be empty.</param>
    /// <param name="width">Its width, in the pixels of a page.</param>
    /// <param name="height">Its height, likewise.</param>
    public static Figure Empty(string title, string subtitle, int width, int height)
    {
        EmbeddedFont.Use();
        var plot = new ScottPlot.Plot { ScaleFactor = Scale };
        plot.Axes.Title.Label.Text = title + subtitle;
        plot.Axes.Title.Label.FontSize = 15;
        plot.Axes.Title.Label.Bold = false;
        plot.Axes.Left.Label.Bold = plot.Axes.Bottom.Label.Bold = false;
        return new Figure(title, plot, (int)(width * Scale), (int)(height * Scale));
    }
}
