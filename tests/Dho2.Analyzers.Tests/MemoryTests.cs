using System.Globalization;
using System.Linq;
using System.Threading.Tasks;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using static Dho2.Analyzers.Tests.Source;
using static Dho2.Analyzers.Tests.Verifier;

namespace Dho2.Analyzers.Tests;

/// <summary>Diagnostics of what stages need.</summary>
public class MemoryTests
{
    // A stage of 1024 x 1024 + 1024 numbers of four bytes: parameters, gradients and velocity are 12.01 MiB.
    private const string Layers =
        """
        [Stage(0)] private readonly Linear first = Linear(1024, 1024);
        [Stage(1)] private readonly Linear second = Linear(1024, 1024);
        """;

    private static string Model(string attributes, string layers = Layers, string forward = Forward, string name = "Net") => Net(
        attributes: $"[Pipeline(MicroBatches = 8)] [Input(1024)] [Target] {attributes}",
        layers: layers,
        forward: forward,
        header: $"public partial class {name} : Module<Tensor, Tensor>");

    [Fact]
    public Task A_device_that_both_stages_exceed() =>
        VerifyAsync(Model("[Device(Memory = \"11 MiB\")]", name: "{|DHO1401:{|DHO1401:Net|}|}"));

    [Fact]
    public Task A_device_that_both_stages_nearly_fill() =>
        VerifyAsync(Model("[Device(Memory = \"14 MiB\")]", name: "{|DHO1402:{|DHO1402:Net|}|}"));

    [Theory]
    [InlineData("[Device(Name = \"A100-40GB\")]", "")]
    [InlineData("[Device(Name = \"t4\")]", "")]
    [InlineData("[Device(Name = {|DHO1006:\"A100\"|})]", "")]
    [InlineData("[Device(Name = \"A100-40GB\", Memory = \"11 MiB\")]", "{|DHO1401:{|DHO1401:Net|}|}")]
    public Task A_device_by_its_name(string attribute, string name) => VerifyAsync(Model(attribute, name: name.Length > 0 ? name : "Net"));

    [Theory]
    [InlineData("Dho2DeviceMemory", "11 MiB", "", true, true)]
    [InlineData("Dho2DeviceMemory", "16 MiB", "", false, true)]
    [InlineData("Dho2Device", "T4", "", false, true)]
    [InlineData("Dho2Device", "no such device", "", false, false)]
    [InlineData("Dho2DeviceMemory", "11 MiB", "[Device(Memory = \"16 MiB\")]", false, true)]
    public async Task A_device_of_the_project(string property, string value, string attribute, bool exceeded, bool known)
    {
        Diagnostic[] diagnostics = [.. await Analysis.DiagnosticsAsync(Analysis.Compile(Model(attribute)), properties: (property, value))];

        Assert.Equal(exceeded, diagnostics.Any(d => d.Id == DiagnosticIds.StageDoesNotFit));
        Assert.Equal(known, diagnostics.Single(d => d.Id == DiagnosticIds.PlanSummary).GetMessage().Contains("of its device", System.StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", false)]
    [InlineData(", Schedule = Schedule.Interleaved", true)]
    public async Task Interleaved_stages_share_a_device(string schedule, bool exceeded)
    {
        string source = Model("[Device(Memory = \"16 MiB\")]").Replace("MicroBatches = 8", "MicroBatches = 8" + schedule, System.StringComparison.Ordinal);
        Diagnostic[] diagnostics = [.. (await Analysis.DiagnosticsAsync(Analysis.Compile(source))).Where(d => d.Id == DiagnosticIds.StageDoesNotFit)];

        Assert.Equal(exceeded ? 2 : 0, diagnostics.Length);
        Assert.All(diagnostics, d => Assert.Matches(@"stage [01], which is on the same device, \d", d.GetMessage()));
    }

    [Fact]
    public Task A_device_that_is_large_enough() => VerifyAsync(Model("[Device(Memory = \"16 MiB\")]"));

    [Fact]
    public Task A_device_of_one_stage_alone() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 8)] [Input(1024)] [Target] [Device(Memory = \"16 MiB\")]",
        layers: "[Stage(0)] private readonly Linear first = Linear(1024, 1024); private readonly Head second = new();",
        header: "public partial class {|DHO1401:Net|} : Module<Tensor, Tensor>",
        after:
        """
        [Stage(1), Device(Memory = "11 MiB")]
        public class Head : Module<Tensor, Tensor>
        {
            private readonly Linear inner = Linear(1024, 1024);

            public Head() : base(nameof(Head)) => RegisterComponents();

            public override Tensor forward(Tensor x) => inner.forward(x);
        }
        """));

    [Theory]
    [InlineData("[Device(Memory = \"11 MiB\")]", Layers, "; neither a lower rank nor more micro-batches nor recomputed activations nor moving one layer would make it fit")]
    [InlineData("[Device(Memory = \"200 MiB\")] [Curvature(Rank = 10)]", Layers, @"; curvature and its basis 2\d\d MiB: rank \d would fit \(1\d\d MiB\)")]
    [InlineData("[Device(Memory = \"20 MiB\")] [Curvature(Rank = 10)]", Layers, @"; curvature and its basis 2\d\d MiB: without would fit \(12\.\d MiB\)")]
    [InlineData(
        "[Device(Memory = \"16 MiB\")]",
        "[Stage(0)] private readonly Linear first = Linear(1024, 1024); [Stage(0)] private readonly Linear second = Linear(1024, 1024); "
            + "[Stage(1)] private readonly Linear third = Linear(4, 4);",
        @"; 'second' 12\.\d+ MiB: on stage 1 it would fit \(12\.\d+ MiB, and there 12\.\d+ MiB\)")]
    public async Task The_message_names_each_change_that_suffices(string attributes, string layers, string levers)
    {
        string forward = layers.Contains("third")
            ? "public override Tensor forward(Tensor x) => third.forward(second.forward(first.forward(x)).reshape(-1, 4));"
            : Forward;
        Diagnostic[] diagnostics = [.. await Analysis.DiagnosticsAsync(Analysis.Compile(Model(attributes, layers, forward)))];
        Diagnostic first = diagnostics.First(d => d.Id == DiagnosticIds.StageDoesNotFit);

        Assert.Matches(levers + "$", first.GetMessage());
    }

    [Fact]
    public async Task More_micro_batches_are_named_where_activations_fill_the_device()
    {
        string source = Net(
            attributes: "[Pipeline(MicroBatches = 2)] [Input(64, Batch = 65536)] [Target] [Device(Memory = \"48 MiB\")]",
            layers: "[Stage(0)] private readonly Linear first = Linear(64, 64); [Stage(1)] private readonly Linear second = Linear(64, 64);");
        Diagnostic[] diagnostics = [.. await Analysis.DiagnosticsAsync(Analysis.Compile(source))];

        Assert.All(
            diagnostics.Where(d => d.Id == DiagnosticIds.StageDoesNotFit), d => Assert.Matches(@"; activations and graphs \d+(\.\d+)? MiB: MicroBatches = (4|8|16) would fit \(\d+(\.\d+)? MiB\); or the quickest for all stages: ", d.GetMessage()));
        Assert.Contains(diagnostics, d => d.Id == DiagnosticIds.StageDoesNotFit);
    }

    // 65,536 rows of 64 numbers: 16 MiB for each value that a stage keeps.
    private static string Wide(string pipeline, string memory) => Net(
        attributes: $"[Pipeline({pipeline})] [Input(64, Batch = 65536)] [Target] [Device(Memory = \"{memory}\")]",
        layers: "[Stage(0)] private readonly Linear first = Linear(64, 64); [Stage(1)] private readonly Linear second = Linear(64, 64);");

    [Theory]
    [InlineData("MicroBatches = 64, Schedule = Schedule.GPipe", "40 MiB", "Schedule = Schedule.ZeroBubble, MicroBatches = 4", 36.5)]
    [InlineData("MicroBatches = 64, Schedule = Schedule.GPipe", "20 MiB", "Schedule = Schedule.ZeroBubble, MicroBatches = 32", 18.5)]
    [InlineData("MicroBatches = 2", "48 MiB", "Schedule = Schedule.ZeroBubble, MicroBatches = 4", 36.5)]
    public async Task The_message_names_the_quickest_way_in_which_all_stages_fit(string pipeline, string memory, string way, double most)
    {
        string[] messages = await DoNotFitAsync(Wide(pipeline, memory));

        Assert.NotEmpty(messages);
        Assert.All(messages, message => Assert.EndsWith(
            string.Create(CultureInfo.InvariantCulture, $"; or the quickest for all stages: {way} would fit (at most {most} MiB)"), message, System.StringComparison.Ordinal));

        // What it promises, it keeps.
        Assert.Empty(await DoNotFitAsync(Wide(way, memory)));
    }

    [Theory]
    [InlineData("MicroBatches = 2, Schedule = Schedule.ZeroBubble", "48 MiB", "MicroBatches = 4 would fit (36.5 MiB)")]
    [InlineData("MicroBatches = 2", "8 MiB", "MicroBatches = 16 would fit (6.55 MiB)")]
    public async Task A_way_that_a_single_change_is_already_or_that_does_not_exist_is_not_named(string pipeline, string memory, string end)
    {
        string[] messages = await DoNotFitAsync(Wide(pipeline, memory));

        Assert.EndsWith(end, messages[1], System.StringComparison.Ordinal);
        Assert.All(messages, message => Assert.DoesNotContain("quickest", message, System.StringComparison.Ordinal));
    }

    [Fact]
    public void Of_many_changes_those_that_work_on_most_are_named()
    {
        CSharpCompilation compilation = Analysis.Compile(Model(""));
        ModelReading reading = ModelReader.Read(compilation.GetTypeByMetadataName("Net")!, compilation, default)!;
        ModelDescription model = reading.Model.Description;
        var advice = new MemoryAdvice(model, Planner.Plan(model).Plan!, 0, new Placement(reading, default));
        MemoryLever[] levers =
        [
            new(MemoryLeverKind.Rank, 2, Concerned: 4096, Needed: 1),
            new(MemoryLeverKind.MicroBatches, 16, Concerned: 1024, Needed: 2),
            new(MemoryLeverKind.Recompute, 0, Concerned: 512, Needed: 3),
            new(MemoryLeverKind.Layer, 1, Concerned: 2048, Needed: 4, Layer: 0, NeededThere: 5),
        ];

        Assert.Equal(
            "; curvature and its basis 4 KiB: rank 2 would fit (1 B); or activations and graphs 1 KiB: MicroBatches = 16 would fit (2 B); or 'first' 2 KiB: on stage 1 it would fit (4 B, and there 5 B)",
            advice.Describe(levers, way: null));
        Assert.EndsWith(
            "; or the quickest for all stages: MicroBatches = 16, [Recompute(0, 1)] would fit (at most 6 B)",
            advice.Describe(levers, new(null, 16, new[] { 0, 1 }.ToEquatableArray(), 6)),
            System.StringComparison.Ordinal);
    }

    private static async Task<string[]> DoNotFitAsync(string source) =>
        [.. (await Analysis.DiagnosticsAsync(Analysis.Compile(source))).Where(d => d.Id == DiagnosticIds.StageDoesNotFit).Select(d => d.GetMessage())];

    [Fact]
    public Task Every_pipeline_has_a_summary() => VerifyWithSummaryAsync(Net(header: "public partial class {|DHO1403:Net|} : Module<Tensor, Tensor>"));

    [Fact]
    public async Task The_summary_says_what_each_stage_needs()
    {
        Diagnostic summary = Assert.Single(
            await Analysis.DiagnosticsAsync(Analysis.Compile(Model("[Device(Memory = \"1 GiB\")]"))), d => d.Id == DiagnosticIds.PlanSummary);

        // The bubble of 1F1B with equal stages is (S - 1) / (M + S - 1) = 1 / 9.
        Assert.Matches(
            @"^'Net': stage 0 needs 12\.\d+ MiB \(1 % of its device\), stage 1 needs 12\.\d+ MiB \(1 % of its device\); stages wait for each other 11 % of a step$",
            summary.GetMessage());
    }

    [Fact]
    public Task A_rank_above_the_parameters_of_the_model() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 8)] [Input(8)] [Target] [Curvature(Rank = {|DHO1502:109|})]"));

    [Fact]
    public Task A_rank_of_all_parameters_of_the_model() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 8)] [Input(8)] [Target] [Curvature(Rank = 108)]"));

    [Fact]
    public Task A_rank_above_the_parameters_of_a_stage() => VerifyAsync(Net(
        attributes: "[Pipeline(MicroBatches = 8)] [Input(8)] [Target] [Curvature(Rank = {|DHO1502:37|}, Scope = CurvatureScope.Stage)]"));
}
