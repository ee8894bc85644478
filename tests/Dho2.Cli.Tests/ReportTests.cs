using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Dho2.Checkpoints.Tests;
using Dho2.Records;
using SkiaSharp;

namespace Dho2.Cli.Tests;

/// <summary><c>dho2 report</c>, on records that are whole, going on, and damaged.</summary>
public sealed partial class ReportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public ReportTests() => SampleRecord.Write(Run);

    private string Run => folder.File("run");

    private string RankFile => Path.Combine(Run, RecordFile.NameOf(0));

    public void Dispose() => folder.Dispose();

    [Fact]
    public void ThePageLiesInTheRunsFolderAndItsFactsArePrinted()
    {
        (int status, string output, string errors) = Tool.Run("report", Run);
        Assert.Equal((0, ""), (status, errors));
        string[] lines = output.Split('\n');
        Assert.Equal("Tests.Sample<T>", Fact(lines, "model"));
        Assert.Equal("ended in order", Fact(lines, "state"));
        Assert.Equal("200 in 3 min 20 s", Fact(lines, "steps"));
        Assert.Equal("training loss 0.5; test loss 0.6, accuracy 92.0 %", Fact(lines, "after epoch 2"));
        Assert.Equal("4 estimates, 48 products, 6.00 s", Fact(lines, "curvature"));
        Assert.Equal("does not pay, over steps 101 to 150: 1.10 in steps, a step 1.54 times as dear; dropped", Fact(lines, "does it pay"));
        Assert.Equal(Path.Combine(Run, "report.html"), Fact(lines, "report"));
        Assert.True(File.Exists(Path.Combine(Run, "report.html")));
    }

    [Fact]
    public void ThePageNeedsNothingElseAndSaysWhatTheRecordSays()
    {
        string page = Page();
        Assert.DoesNotMatch(Elsewhere(), page);
        Assert.Contains("<h1>Run of Tests.Sample&lt;T&gt;</h1>", page, StringComparison.Ordinal);
        foreach (Match svg in Pictures().Matches(page))
        {
            Assert.NotEmpty(XElement.Parse(svg.Value).Descendants());
        }

        // The residual bound of a point, and the infinite ceiling that is none.
        Assert.Contains("<title>step 151: 161 &#177; 1</title>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("∞", page, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", page, StringComparison.Ordinal);
        Assert.Contains("planned: 61 MiB", page, StringComparison.Ordinal);
        Assert.Contains("planned: at least 60 MiB", page, StringComparison.Ordinal);
        Assert.Contains("measured: 70 MiB", page, StringComparison.Ordinal);
        Assert.Contains("<td>1000 B</td><td>990 B</td><td>101.0 %</td>", page, StringComparison.Ordinal);

        // 80 of 127.2 ms are backwards.
        Assert.Contains("<td>127 ms</td><td>31.4 %</td><td>62.9 %</td>", page, StringComparison.Ordinal);
    }

    [Fact]
    public void TheTracesOfAllProcessesBecomeOneOnOneAxisOfTime()
    {
        string trace = folder.File("trace.json");
        Assert.Equal(0, Tool.Run("report", Run, "--trace", trace).Status);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(trace));
        JsonElement[] events = [.. json.RootElement.GetProperty("traceEvents").EnumerateArray()];
        Assert.Equal(["rank 0: stage 0", "rank 1: stage 1"], events.Where(e => e.GetProperty("name").ValueEquals("thread_name")).Select(e => e.GetProperty("args").GetProperty("name").GetString()));
        JsonElement[] reads = [.. events.Where(e => e.GetProperty("name").ValueEquals("reading data"))];
        Assert.Equal(4, reads.Length);
        Assert.All(reads, e => Assert.Equal(2e6 * e.GetProperty("args").GetProperty("step").GetInt32(), e.GetProperty("ts").GetDouble()));

        foreach (string file in Directory.GetFiles(Run, "trace-*"))
        {
            File.Delete(file);
        }

        (int status, _, string errors) = Tool.Run("report", Run, "--trace", trace);
        Assert.Equal(1, status);
        Assert.Contains("it has no trace", errors, StringComparison.Ordinal);
        Assert.Contains("Nothing was traced", Page(), StringComparison.Ordinal);
    }

    [Fact]
    public void EveryFigureBecomesAPictureOnRequest()
    {
        string pictures = folder.File("pictures");
        (int status, string output, string errors) = Tool.Run("report", Run, "--png", pictures);
        Assert.Equal((0, ""), (status, errors));
        Assert.Equal($"13 files in {pictures}", Fact(output.Split('\n'), "pictures"));
        Assert.Equal(
            [
                "accuracy-on-test-data", "eigenvalues-below-0", "largest-eigenvalues", "learning-rate-of-the-base", "loss", "memory", "norm-of-the-gradient",
                "products-for-an-estimate", "residuals", "samples-per-second", "sigma", "time-line", "time-line-around-a-curvature-estimate",
            ],
            Directory.GetFiles(pictures).Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal));
        foreach (string file in Directory.GetFiles(pictures))
        {
            using SKBitmap picture = SKBitmap.Decode(file);
            Assert.InRange(picture.Width, 1280, 2000);

            // The title and what stands beside the axes, whatever fonts the machine has.
            Assert.True(Dark(picture, 0, 0, picture.Width, 50) > 200, $"{file} has no title");
            Assert.True(Dark(picture, 0, 60, 60, picture.Height) > 50, $"{file} has no axis");
        }

        // The curve of the loss, and planned and measured memory of both processes.
        Assert.True(Of(Path.Combine(pictures, "loss.png"), "#0072b2") > 1000);
        Assert.True(Of(Path.Combine(pictures, "memory.png"), "#d55e00") > 20_000);
        Assert.True(Of(Path.Combine(pictures, "memory.png"), "#5c5c61") > 20_000);
        Assert.True(Of(Path.Combine(pictures, "time-line.png"), "#a1d99b") > 5000);
    }

    [Fact]
    public void PicturesHaveOnlyWhatWasRecorded()
    {
        byte[] bytes = File.ReadAllBytes(RankFile);
        File.WriteAllBytes(RankFile, bytes[..(Array.IndexOf(bytes, (byte)'\n') + 1)]);
        File.Delete(Path.Combine(Run, ChromeTrace.NameOf(0)));
        File.Delete(Path.Combine(Run, ChromeTrace.NameOf(1)));
        string pictures = folder.File("pictures");
        Assert.Equal(0, Tool.Run("report", Run, "--png", pictures).Status);
        Assert.Equal(["memory.png"], Directory.GetFiles(pictures).Select(Path.GetFileName));
    }

    [Fact]
    public void ARunThatGoesOnAndOneWithoutTheOtherRanksFileAreShown()
    {
        byte[] bytes = File.ReadAllBytes(RankFile);
        for (int cut = 1; cut < 60; cut++)
        {
            File.WriteAllBytes(RankFile, bytes[..^cut]);
            Assert.StartsWith("no end is written", Fact(Tool.Run("report", Run).Output.Split('\n'), "state"), StringComparison.Ordinal);
        }

        // One line, as after the first step.
        File.WriteAllBytes(RankFile, bytes[..(Array.IndexOf(bytes, (byte)'\n') + 1)]);
        File.Delete(Path.Combine(Run, RecordFile.NameOf(1)));
        Assert.Contains("not recorded", Page(), StringComparison.Ordinal);
    }

    [Fact]
    public void DamageIsRefusedWithFileAndLine()
    {
        string[] lines = File.ReadAllLines(RankFile);
        lines[6] = lines[6][..20];
        File.WriteAllLines(RankFile, lines);
        (int status, string output, string errors) = Tool.Run("report", Run);
        Assert.Equal((1, ""), (status, output));
        Assert.Equal($"dho2: {RankFile}:7: it is damaged: '{lines[6]}' is no line of a record.\n", errors);
        Assert.False(File.Exists(Path.Combine(Run, "report.html")));

        SampleRecord.Write(folder.File("other"));
        string trace = Path.Combine(folder.File("other"), ChromeTrace.NameOf(1));
        File.WriteAllText(trace, File.ReadAllText(trace)[..^10]);
        Assert.StartsWith($"dho2: {trace}: it is damaged", Tool.Run("report", folder.File("other")).Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsNoRecordIsSaid()
    {
        string absent = folder.File("absent");
        Assert.Equal((1, "", $"dho2: {absent}: there is no such folder.\n"), Tool.Run("report", absent));
        (int status, _, string errors) = Tool.Run("report", folder.Path);
        Assert.Equal(1, status);
        Assert.StartsWith($"dho2: {folder.Path}: it is no record of a run: it has no record.json.", errors, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(Run, "record.json"), "{\"version\":2}");
        Assert.Contains("its version is 2; this tool reads version 1.", Tool.Run("report", Run).Errors, StringComparison.Ordinal);
        Assert.Equal(2, Tool.Run("report").Status);
    }

    private static int Dark(SKBitmap picture, int left, int top, int right, int bottom) =>
        Enumerable.Range(left, right - left).Sum(x => Enumerable.Range(top, bottom - top).Count(y => picture.GetPixel(x, y) is { Red: < 100, Green: < 100, Blue: < 100 }));

    private static int Of(string file, string colour)
    {
        using SKBitmap picture = SKBitmap.Decode(file);
        SKColor wanted = SKColor.Parse(colour);
        return picture.Pixels.Count(pixel => pixel == wanted);
    }

    private string Page()
    {
        string page = folder.File("page.html");
        Assert.Equal((0, ""), (Tool.Run("report", Run, "-o", page) is (int status, _, string errors) ? (status, errors) : default));
        return File.ReadAllText(page);
    }

    private static string Fact(string[] lines, string name) => lines.First(l => l.StartsWith(name + "  ", StringComparison.Ordinal))[name.Length..].Trim();

    [GeneratedRegex("<script|<link|<img|src=|url\\((?!#)|@import|https?://(?!www\\.w3\\.org/2000/svg)")]
    private static partial Regex Elsewhere();

    [GeneratedRegex("<svg.*?</svg>", RegexOptions.Singleline)]
    private static partial Regex Pictures();
}
