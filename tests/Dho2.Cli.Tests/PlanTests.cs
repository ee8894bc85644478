using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Dho2.Tests.Shared;

namespace Dho2.Cli.Tests;

/// <summary><c>dho2 plan</c>, on the sample and on models that are written for it.</summary>
public sealed partial class PlanTests(PlannedProject project) : IClassFixture<PlannedProject>
{
    private const string TwoStages = """
        [Stage(0)] private readonly Linear first = Linear(64, 256);
            [Stage(1)] private readonly Linear second = Linear(256, 10);

            public override Tensor forward(Tensor x) => second.forward(relu(first.forward(x)));
        """;

    internal const string EightLayers = """
        [Stage(0)] private readonly Linear l0 = Linear(64, 64);
            [Stage(0)] private readonly Linear l1 = Linear(64, 64);
            [Stage(0)] private readonly Linear l2 = Linear(64, 64);
            [Stage(0)] private readonly Linear l3 = Linear(64, 64);
            [Stage(1)] private readonly Linear l4 = Linear(64, 64);
            [Stage(1)] private readonly Linear l5 = Linear(64, 64);
            [Stage(1)] private readonly Linear l6 = Linear(64, 64);
            [Stage(1)] private readonly Linear l7 = Linear(64, 10);

            public override Tensor forward(Tensor x)
            {
                x = relu(l0.forward(x));
                x = relu(l1.forward(x));
                x = relu(l2.forward(x));
                x = relu(l3.forward(x));
                x = relu(l4.forward(x));
                x = relu(l5.forward(x));
                x = relu(l6.forward(x));
                return l7.forward(x);
            }
        """;

    private static string Sample => BuildMetadata.RepositoryPath("samples/Mnist");

    [Fact]
    public void TheSamplesPlanIsTheOneThatItsCodeWasGeneratedFor()
    {
        (int status, string output, string errors) = Tool.Run("plan", Sample);
        Assert.Equal((0, ""), (status, errors));
        string[] lines = output.Split('\n');
        Assert.Contains("MnistSample.MnistNet", lines);
        Assert.Equal(["conv1, conv2", "fc, head"], Row(lines, "layers"));
        Assert.Equal(["4,800", "202,122"], Row(lines, "number of parameters"));
        Assert.Equal(["18.8 KiB", "790 KiB"], Row(lines, "parameters and buffers"));
        Assert.All(Row(lines, "of the device"), cell => Assert.Matches(@"^\d+\.\d % of 4 GiB$", cell));
        Assert.Contains("x: float32 (N, 32, 7, 7), 392 KiB a micro-batch, gradient comes back", Row(lines, "0 to 1"));
        Assert.Contains(lines, line => line.StartsWith("rank 0  | F0", StringComparison.Ordinal));
        string generated = string.Concat(Directory.GetFiles(Path.Combine(Sample, "Generated")).Select(File.ReadAllText));
        string hash = Fact(lines, "plan");
        Assert.Equal(64, hash.Length);
        Assert.Contains(hash, generated, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherNumbersArePlannedWithoutTouchingTheSource()
    {
        project.Write("", EightLayers);
        (int status, string output, string errors) = Tool.Run(
            "plan", project.Folder, "--stages", "4", "--replicas", "3", "--micro-batches", "8", "--batch", "64", "--schedule", "gpipe", "--device", "H100-80GB");
        Assert.Equal((0, ""), (status, errors));
        string[] lines = output.Split('\n');
        Assert.Equal("4 stages x 3 replicas, batch 64 in 8 micro-batches, GPipe", Fact(lines, "split into"));
        Assert.Equal("H100-80GB", Fact(lines, "device"));
        Assert.Equal(4, Row(lines, "layers").Length);
        Assert.Equal("l0, l1, l2, l3, l4, l5, l6, l7", string.Join(", ", Row(lines, "layers")));
        Assert.All(Row(lines, "of the device"), cell => Assert.EndsWith("% of 80 GiB", cell, StringComparison.Ordinal));

        // GPipe with equal stages: (S - 1) / (M + S - 1).
        Assert.StartsWith((300.0 / 11).ToString("0.0", CultureInfo.InvariantCulture) + " % with stages of equal cost", Fact(lines, "bubble"), StringComparison.Ordinal);
    }

    /// <summary>As with the attribute: less in memory, a longer step, and another plan; a stage with one micro-batch in flight is left alone.</summary>
    [Fact]
    public void StagesRecomputeAsIfTheAttributeStoodOnThem()
    {
        project.Write("", EightLayers);
        string[] asked = ["plan", project.Folder, "--micro-batches", "8"];
        Assert.DoesNotContain("recomputed activations", Tool.Run(asked).Output, StringComparison.Ordinal);
        var kept = Read();
        Assert.Equal([false, false], kept.recomputing);
        var first = Read("--recompute", "0");
        Assert.Equal([true, false], first.recomputing);
        Assert.True(first.peaks[0] < kept.peaks[0] && first.peaks[1] == kept.peaks[1] && first.time > kept.time, $"{first.peaks[0]}, {first.time}");
        string[] lines = Tool.Run([.. asked, "--recompute", "0"]).Output.Split('\n');
        Assert.Equal("of stage 0", Fact(lines, "recomputed activations"));
        Assert.Equal("0 B", Row(lines, "inputs to recompute from")[1]);

        Assert.Equal([true, false], Read("--recompute", "all").recomputing);
        Assert.Equal([true, true], Read("--recompute", "1, 0", "--schedule", "gpipe").recomputing);
        Assert.Equal(
            "of stage 0; not of stage 1, with one micro-batch in flight: nothing would be saved",
            Fact(Tool.Run([.. asked, "--recompute", "0,1"]).Output.Split('\n'), "recomputed activations"));

        // The option counts, and not the attribute.
        project.Write("[Recompute(0)]", EightLayers);
        Assert.Equal([true, false], Read().recomputing);
        Assert.Equal([false, false], Read("--recompute", "none").recomputing);

        (bool[] recomputing, long[] peaks, long time) Read(params string[] options)
        {
            (int status, string output, string errors) = Tool.Run([.. asked, .. options, "--json"]);
            Assert.True(status == 0, errors);
            using JsonDocument json = JsonDocument.Parse(output);
            JsonElement plan = json.RootElement.GetProperty("models")[0].GetProperty("plan");
            JsonElement[] stages = [.. plan.GetProperty("stages").EnumerateArray()];
            return (
                [.. stages.Select(stage => stage.GetProperty("recomputes").GetBoolean())],
                [.. stages.Select(stage => stage.GetProperty("peakBytes").GetInt64())],
                plan.GetProperty("costs").GetProperty("stepTime").GetInt64());
        }
    }

    [Fact]
    public void WhereTheBuildFailsOnADiagnosticThePlanIsShownAllTheSame()
    {
        project.Write("[Device(Memory = \"64 KiB\")]", TwoStages);
        (int status, string output, string errors) = Tool.Run("plan", project.Folder);
        Assert.Equal(1, status);
        Assert.Matches(@"Net\.cs\(\d+,\d+\): error DHO\d+: .*[Ss]tage 0.*64 KiB", errors);
        Assert.Equal(["first", "second"], Row(output.Split('\n'), "layers"));

        (status, _, errors) = Tool.Run("plan", project.Folder, "--device", "1 GiB");
        Assert.Equal((0, ""), (status, errors));
    }

    [Fact]
    public void TheSampleThatDoesNotBuildIsPlanned()
    {
        (int status, string output, string errors) = Tool.Run("plan", BuildMetadata.RepositoryPath("samples/DoesNotFit"));
        Assert.Equal(1, status);
        Assert.Matches(@"LargeGpt\.cs\(\d+,\d+\): error DHO1401: Stage 0 needs ", errors);
        string[] lines = output.Split('\n');
        Assert.Contains(Row(lines, "of the device"), cell => double.Parse(cell.Split(' ')[0], CultureInfo.InvariantCulture) > 100);

        // On a device that has the room, nothing is wrong with it.
        (status, _, errors) = Tool.Run("plan", BuildMetadata.RepositoryPath("samples/DoesNotFit"), "--device", "B200-180GB");
        Assert.DoesNotContain("error", errors, StringComparison.Ordinal);
        Assert.Equal(0, status);
    }

    [Fact]
    public void HalfTypedCodeGetsAPlanOrAReasonButNoTrace()
    {
        project.Write("", TwoStages.Replace("return", "retrn", StringComparison.Ordinal) + "\n    private int x = ;");
        (int status, string output, string errors) = Tool.Run("plan", project.Folder);
        Assert.InRange(status, 0, 1);
        Assert.DoesNotContain("   at ", output + errors, StringComparison.Ordinal);

        project.Write("", "[Stage(0)] private readonly Linear first = Linear(64, 10);\n    public override Tensor forward(Tensor x) => first.forward(x.");
        (status, output, errors) = Tool.Run("plan", project.Folder);
        Assert.InRange(status, 0, 1);
        Assert.DoesNotContain("   at ", output + errors, StringComparison.Ordinal);
    }

    [Fact]
    public void PageAndPictureShowStagesCutsAndTheStepAndNeedNothingElse()
    {
        project.Write("[Device(Memory = \"256 KiB\")]", TwoStages);
        string page = project.PathOf("plan.html"), picture = project.PathOf("plan.svg");
        Tool.Run("plan", project.Folder, "--html", page, "--svg", picture, "--devices", "8");

        string html = File.ReadAllText(page);
        Assert.StartsWith("<!doctype html>", html, StringComparison.Ordinal);
        Assert.Contains("name=\"viewport\"", html, StringComparison.Ordinal);
        Assert.DoesNotMatch("(src|href)=|<script|@import|url\\((?!#)", html);
        Assert.Equal(2, Regex.Count(html, "<section class=\"stage\">"));
        Assert.Contains("float32 (N, 256)", html, StringComparison.Ordinal);
        Assert.Contains("8 devices", html, StringComparison.Ordinal);

        // A forward and a backward of each of four micro-batches on each of two stages.
        XDocument svg = XDocument.Parse(File.ReadAllText(picture));
        XNamespace ns = "http://www.w3.org/2000/svg";
        string[] tooltips = [.. svg.Descendants(ns + "title").Select(t => t.Value)];
        Assert.Equal(16, tooltips.Count(t => StepTooltip().IsMatch(t)));
        Assert.Contains(tooltips, t => t.StartsWith("parameters and buffers: 65 KiB", StringComparison.Ordinal));
        Assert.Contains(svg.Descendants(ns + "text"), t => t.Value == "Models.Net");
    }

    [Fact]
    public void JsonSaysAllThatTheTablesSay()
    {
        (int status, string output, string errors) = Tool.Run("plan", Sample, "--json", "--devices", "8");
        Assert.Equal((0, ""), (status, errors));
        using JsonDocument json = JsonDocument.Parse(output);
        Assert.Equal(1, json.RootElement.GetProperty("version").GetInt32());
        JsonElement model = Assert.Single(json.RootElement.GetProperty("models").EnumerateArray().ToArray());
        Assert.Equal("MnistSample.MnistNet", model.GetProperty("model").GetString());
        JsonElement plan = model.GetProperty("plan");
        Assert.Equal(Fact(Tool.Run("plan", Sample).Output.Split('\n'), "plan"), plan.GetProperty("hash").GetString());
        Assert.Equal([64, 64, 64, 64], plan.GetProperty("microBatches").EnumerateArray().Select(size => size.GetInt32()));

        JsonElement[] stages = [.. plan.GetProperty("stages").EnumerateArray()];
        Assert.Equal(["conv1", "conv2"], stages[0].GetProperty("layers").EnumerateArray().Select(layer => layer.GetString()));
        Assert.Equal([4800, 202_122], stages.Select(stage => stage.GetProperty("parameters").GetInt64()));
        Assert.All(stages, stage => Assert.Equal(4L << 30, stage.GetProperty("deviceBytes").GetInt64()));
        Assert.All(stages, stage => Assert.Equal(
            stage.GetProperty("peakBytes").GetInt64(),
            stage.GetProperty("memory").EnumerateArray().Where(term => term.GetProperty("inPeak").GetBoolean()).Sum(term => term.GetProperty("bytes").GetInt64())));

        JsonElement crossing = plan.GetProperty("cuts")[0].GetProperty("values")[0];
        Assert.Equal(["N", "32", "7", "7"], crossing.GetProperty("shape").EnumerateArray().Select(size => size.GetString()));
        Assert.Equal(64 * 32 * 7 * 7 * 4, crossing.GetProperty("bytesPerMicroBatch").GetInt64());

        // Forward and backward of four micro-batches on each rank; the first sends what the second receives.
        JsonElement[][] ranks = [.. plan.GetProperty("ranks").EnumerateArray().Select(rank => rank.GetProperty("instructions").EnumerateArray().ToArray())];
        Assert.Equal([4, 4], ranks.Select(rank => rank.Count(i => i.GetProperty("kind").ValueEquals("Backward"))));
        Assert.Equal(4, ranks[0].Count(i => i.GetProperty("kind").ValueEquals("SendActivation")));
        JsonElement costs = plan.GetProperty("costs");
        Assert.Equal(16, costs.GetProperty("work").GetArrayLength());
        Assert.Equal(costs.GetProperty("stepTime").GetInt64(), costs.GetProperty("work").EnumerateArray().Max(work => work.GetProperty("end").GetInt64()));
        Assert.All(model.GetProperty("worlds").EnumerateArray(), world =>
            Assert.Equal(8, world.GetProperty("stages").GetInt32() * world.GetProperty("replicas").GetInt32()));
    }

    /// <summary>What is recommended, planned, is what is recommended; table and JSON say the same.</summary>
    [Fact]
    public void WhatIsRecommendedIsRecommendedOnceItIsPlanned()
    {
        project.Write("", TwoStages);
        string[] asked = ["plan", project.Folder, "--schedule", "gpipe", "--micro-batches", "1"];
        using JsonDocument json = JsonDocument.Parse(Tool.Run([.. asked, "--json"]).Output);
        JsonElement best = json.RootElement.GetProperty("models")[0].GetProperty("plan").GetProperty("recommended");
        string count = best.GetProperty("microBatches").GetInt32().ToString(CultureInfo.InvariantCulture);
        string schedule = best.GetProperty("schedule").GetString()!;
        Assert.InRange(best.GetProperty("stepRatio").GetDouble(), 0.1, 0.99);
        Assert.Empty(best.GetProperty("recomputed").EnumerateArray());
        Assert.StartsWith($"{schedule} with {count} micro-batch", Fact(Tool.Run(asked).Output.Split('\n'), "recommended"), StringComparison.Ordinal);

        string option = schedule == nameof(Schedule.ZeroBubble) ? "zb-h1" : "1f1b";
        (int status, string output, string errors) = Tool.Run("plan", project.Folder, "--schedule", option, "--micro-batches", count);
        Assert.True(status == 0, errors);
        Assert.Equal("this plan", Fact(output.Split('\n'), "recommended"));
    }

    [Fact]
    public void WhereNothingFitsThatIsSaid()
    {
        project.Write("[Device(Memory = \"64 KiB\")]", TwoStages);
        string[] lines = Tool.Run("plan", project.Folder).Output.Split('\n');
        Assert.Equal("no schedule, number of micro-batches or recomputation fits: spread the model over more stages", Fact(lines, "recommended"));
    }

    [Fact]
    public void JsonHasTheDiagnosticsOfAPlanThatDoesNotFit()
    {
        project.Write("[Device(Memory = \"64 KiB\")]", TwoStages);
        (int status, string output, string errors) = Tool.Run("plan", project.Folder, "--json");
        Assert.Equal(1, status);
        Assert.Contains("DHO1401", errors, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(output);
        JsonElement[] found = [.. json.RootElement.GetProperty("models")[0].GetProperty("diagnostics").EnumerateArray()];
        JsonElement[] wrong = [.. found.Where(d => d.GetProperty("severity").ValueEquals("Error"))];
        Assert.Equal(2, wrong.Length);
        Assert.All(wrong, (error, stage) =>
        {
            Assert.Equal("DHO1401", error.GetProperty("id").GetString());
            Assert.StartsWith($"Stage {stage} needs ", error.GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.EndsWith("Net.cs", error.GetProperty("file").GetString(), StringComparison.Ordinal);
            Assert.True(error.GetProperty("line").GetInt32() > 1);
        });
    }

    [Fact]
    public void WorldsUseAllDevicesAndTheQuickestThatFitComesFirst()
    {
        project.Write("", EightLayers);
        (int status, string output, string errors) = Tool.Run("plan", project.Folder, "--devices", "4096", "--device", "4 MiB");
        Assert.True(status == 0, errors);
        string[] lines = output.Split('\n');
        int start = Array.FindIndex(lines, l => l.StartsWith("4,096 devices", StringComparison.Ordinal));
        string[][] rows = [.. lines[start..].Where(l => WorldRow().IsMatch(l)).Select(l => l.Trim('|').Split('|').Select(c => c.Trim()).ToArray())];
        Assert.Equal([1, 2, 4, 8], rows.Select(r => int.Parse(r[0], CultureInfo.InvariantCulture)).Order());
        Assert.All(rows, r => Assert.Equal(4096, int.Parse(r[0], CultureInfo.InvariantCulture) * int.Parse(r[1], NumberStyles.AllowThousands, CultureInfo.InvariantCulture)));
        Assert.Equal(rows.Select(r => r[4]).OrderDescending(), rows.Select(r => r[4]));
        Assert.All(rows, r => Assert.Equal(32 * 4096L, long.Parse(r[2], NumberStyles.AllowThousands, CultureInfo.InvariantCulture) * int.Parse(r[0], CultureInfo.InvariantCulture)));
    }

    [Theory]
    [InlineData("takes one of 1f1b, gpipe, interleaved, zb-h1, not 'fast'", "--schedule", "fast")]
    [InlineData("--device takes a name of the list or a size such as \"24 GiB\", not '24 GB'", "--device", "24 GB")]
    [InlineData("--stages takes a whole number of at least 1, not '0'", "--stages", "0")]
    [InlineData("--recompute takes numbers of stages such as 0,2, or all, or none, not '0;1'", "--recompute", "0;1")]
    [InlineData("--recompute takes numbers of stages such as 0,2, or all, or none, not '-1'", "--recompute=-1")]
    [InlineData("--recompute takes all or none beside --devices", "--recompute", "0", "--devices", "8")]
    public void AWrongOptionIsRefusedWithWhatWouldBeRight(string expected, params string[] options)
    {
        (int status, string output, string errors) = Tool.Run(["plan", "nowhere", .. options]);
        Assert.Equal((2, ""), (status, output));
        Assert.Contains(expected, errors, StringComparison.Ordinal);
        Assert.EndsWith("See 'dho2 plan --help'.\n", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatCannotBePlannedIsSaid()
    {
        string nowhere = project.PathOf("nowhere");
        Assert.Equal((1, "", $"dho2: {nowhere}: there is no such project or folder.\n"), Tool.Run("plan", nowhere));

        project.Write("", TwoStages);
        Assert.Equal((1, "", "dho2: the project has no pipeline class 'Other'; it has Models.Net.\n"), Tool.Run("plan", project.Folder, "--model", "Other"));
        (int status, _, string errors) = Tool.Run("plan", project.Folder, "--stages", "9");
        Assert.Equal((1, "dho2: Net cannot be cut into 9 stages: it has too few places to cut at, or work that is not known.\n"), (status, errors));

        Assert.Equal(
            (1, "", "dho2: Net has no stage 7 that could recompute; it has stages 0 to 1.\n"), Tool.Run("plan", project.Folder, "--recompute", "0,7,9"));

        File.WriteAllText(project.PathOf("Net.cs"), "class Empty;");
        Assert.Equal((1, "", "dho2: the project has no class with [Pipeline].\n"), Tool.Run("plan", project.Folder));
    }

    private static string Fact(string[] lines, string name) => lines.First(l => l.StartsWith(name + "  ", StringComparison.Ordinal))[name.Length..].Trim();

    private static string[] Row(string[] lines, string name) =>
        [.. lines.First(line => line.StartsWith($"| {name} ", StringComparison.Ordinal)).Trim('|').Split('|').Skip(1).Select(cell => cell.Trim())];

    [GeneratedRegex(@"^\w+\(micro-batch \d, stage \d\): ")]
    private static partial Regex StepTooltip();

    [GeneratedRegex(@"^\|\s+\d+ \|\s+[\d,]+ \|\s+[\d,]+ \|")]
    private static partial Regex WorldRow();
}
