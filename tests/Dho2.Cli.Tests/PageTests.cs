using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Threading.Tasks;

namespace Dho2.Cli.Tests;

/// <summary>The pages of plans and runs in a browser: they render, their figures are there, nothing is complained of, and they fit a phone.</summary>
public sealed partial class PageTests(PlannedProject project) : IClassFixture<PlannedProject>
{
    private static readonly string? Chromium = new[] { "chromium", "chromium-browser", "google-chrome" }
        .SelectMany(name => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, name)))
        .FirstOrDefault(File.Exists);

    [ChromiumTheory]
    [InlineData(360)]
    [InlineData(1280)]
    public void ThePageFitsTheScreenAndShowsItsFigures(int width)
    {
        project.Write("[Device(Memory = \"256 KiB\")]\n[Curvature(Rank = 4)]", PlanTests.EightLayers);
        string page = project.PathOf("page.html");
        Tool.Run("plan", project.Folder, "--stages", "4", "--devices", "64", "--html", page);

        Measured measured = Measure(page, width, ".stage, .cut, svg, dl, table", "h1, dd, .stage div, .terms li, td");

        // Four stages, three cuts, the time line, the facts, the worlds; forward and backward of four micro-batches on each stage.
        Assert.Equal(4 + 3 + 1 + 1 + 1, measured.Shown);
        Assert.InRange(measured.Boxes, 4 * 4 * 2, 200);
    }

    [ChromiumTheory]
    [InlineData(360)]
    [InlineData(1280)]
    public void TheReportFitsTheScreenAndShowsItsFigures(int width)
    {
        string run = project.PathOf($"run-{width}");
        SampleRecord.Write(run);
        string page = project.PathOf("report.html");
        Assert.Equal(0, Tool.Run("report", run, "--output", page).Status);
        Measured measured = Measure(page, width, "figure, svg, dl, table, .process", "h1, dd, figcaption, p, td, .legend span");

        // Loss, accuracy, norm, rate, speed; eigenvalues on both sides of 0 and products; residuals and sigma. Two time lines, two
        // lists of facts, four tables, two processes.
        const int charts = 5 + 3 + 2;
        Assert.Equal(charts + (charts + 2) + 2 + 4 + 2, measured.Shown);
        Assert.True(measured.Boxes > 40, $"{measured.Boxes} boxes");
    }

    // The page as a frame of that width, which a script of the test measures.
    private Measured Measure(string page, int width, string figures, string texts)
    {
        string frame = project.PathOf($"frame-{width}.html");
        File.WriteAllText(frame, $$"""
            <!doctype html><body style="margin:0"><iframe id="page" style="border:0;width:{{width}}px;height:4000px" srcdoc="{{WebUtility.HtmlEncode(File.ReadAllText(page))}}"></iframe>
            <script>
            document.getElementById("page").onload = event => {
              const page = event.target.contentDocument, root = page.documentElement;
              const shown = [...page.querySelectorAll("{{figures}}")].map(e => e.getBoundingClientRect());
              const text = [...page.querySelectorAll("{{texts}}")].map(e => parseFloat(getComputedStyle(e).fontSize));
              document.title = JSON.stringify({
                scrollWidth: root.scrollWidth, clientWidth: root.clientWidth,
                empty: shown.filter(r => r.width < 20 || r.height < 5).length, shown: shown.length,
                boxes: page.querySelectorAll("svg rect").length, smallest: Math.min(...text) });
            };
            </script></body>
            """);
        (string document, string log) = Render(frame);
        Assert.DoesNotContain("CONSOLE", log, StringComparison.Ordinal);
        Match title = Title().Match(document);
        Assert.True(title.Success, document + log);
        using JsonDocument measured = JsonDocument.Parse(WebUtility.HtmlDecode(title.Groups[1].Value));
        int Number(string name) => (int)measured.RootElement.GetProperty(name).GetDouble();
        Assert.Equal(width, Number("clientWidth"));
        Assert.True(Number("scrollWidth") <= width, $"{Number("scrollWidth")} pixels are wider than the screen of {width}");
        Assert.Equal(0, Number("empty"));
        Assert.InRange(Number("smallest"), 11, 40);
        return new Measured(Number("shown"), Number("boxes"));
    }

    private sealed record Measured(int Shown, int Boxes);

    private static (string Document, string Log) Render(string path)
    {
        string profile = Directory.CreateTempSubdirectory("dho2-chromium-").FullName;
        try
        {
            var start = new ProcessStartInfo(
                Chromium!,
                [
                    "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr", $"--user-data-dir={profile}",
                    "--virtual-time-budget=5000", "--window-size=1400,1000", "--dump-dom", new Uri(path).AbsoluteUri,
                ])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            process.WaitForExit();
            return (output.Result, errors.Result);
        }
        finally
        {
            Directory.Delete(profile, recursive: true);
        }
    }

    [GeneratedRegex("<title>(\\{.*?\\})</title>")]
    private static partial Regex Title();

    /// <summary>A theory that needs a browser.</summary>
    private sealed class ChromiumTheoryAttribute : TheoryAttribute
    {
        public ChromiumTheoryAttribute()
        {
            if (Chromium is null)
            {
                Skip = "None of chromium, chromium-browser and google-chrome is on the PATH (Debian's package chromium): pages are not looked at in a browser.";
            }
        }
    }
}
