using System.Threading.Tasks;
using Verify = Dho2.CodeFixes.Tests.FixVerifier<Dho2.CodeFixes.ChangeNumbersCodeFix>;

namespace Dho2.CodeFixes.Tests;

/// <summary>Changes that make a stage fit its device.</summary>
public class ChangeNumbersTests
{
    private static string Net(string attributes, string layers, string name, string forward = "second.forward(relu(first.forward(x)))") =>
        $$"""
        {{attributes}}
        public partial class {{name}} : Module<Tensor, Tensor>
        {
        {{layers}}

            public Net() : base("Net") => RegisterComponents();

            public override Tensor forward(Tensor x) => {{forward}};

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }

        """;

    private const string Layers =
        """
            [Stage(0)] private readonly Linear first = Linear(1024, 1024);
            [Stage(1)] private readonly Linear second = Linear(1024, 1024);
        """;

    private const string Small =
        """
            [Stage(0)] private readonly Linear first = Linear(64, 64);
            [Stage(1)] private readonly Linear second = Linear(64, 64);
        """;

    [Theory]
    [InlineData(204, "[Curvature(Rank = /* k */ 10)]", "[Curvature(Rank = /* k */ 5)]")]
    [InlineData(194, "[Curvature]", "[Curvature(Rank = 4)]")]
    [InlineData(194, "[Curvature(Every = 50)]", "[Curvature(Every = 50, Rank = 4)]")]
    public Task A_lower_rank(int memory, string before, string after) => Verify.VerifyAsync(
        Net($"[Pipeline(MicroBatches = 8), Input(1024), Target]\n[Device(Memory = \"{memory} MiB\")]\n{before}", Layers, "{|DHO1401:{|DHO1401:Net|}|}"),
        Net($"[Pipeline(MicroBatches = 8), Input(1024), Target]\n[Device(Memory = \"{memory} MiB\")]\n{after}", Layers, "{|DHO1402:{|DHO1402:Net|}|}"));

    [Fact]
    public Task A_lower_rank_of_one_stage() => Verify.VerifyAsync(
        Net(
            "[Pipeline(MicroBatches = 8), Input(1024), Target]\n[Device(Memory = \"204 MiB\")]\n[Curvature(Rank = 1, Scope = CurvatureScope.Stage)]",
            """
                [Stage(0)] private readonly Linear first = Linear(1024, 1024);
                [Stage(1), CurvatureRank(10)] private readonly Linear second = Linear(1024, 1024);
            """,
            "{|DHO1401:Net|}"),
        Net(
            "[Pipeline(MicroBatches = 8), Input(1024), Target]\n[Device(Memory = \"204 MiB\")]\n[Curvature(Rank = 1, Scope = CurvatureScope.Stage)]",
            """
                [Stage(0)] private readonly Linear first = Linear(1024, 1024);
                [Stage(1), CurvatureRank(6)] private readonly Linear second = Linear(1024, 1024);
            """,
            "{|DHO1402:Net|}"));

    [Fact]
    public Task More_micro_batches() => Verify.VerifyAsync(
        Net("[Pipeline(MicroBatches = 2)]\n[Input(64, Batch = 65536), Target]\n[Device(Memory = \"48 MiB\")]", Small, "{|DHO1401:{|DHO1401:Net|}|}"),
        Net("[Pipeline(MicroBatches = 4)]\n[Input(64, Batch = 65536), Target]\n[Device(Memory = \"48 MiB\")]", Small, "Net"));

    /// <summary>One sample a micro-batch: there is no way to have less of it but to recompute.</summary>
    [Fact]
    public Task Recomputed_activations() => Verify.VerifyAsync(
        Net(
            "[Pipeline(MicroBatches = 8, Schedule = Schedule.GPipe)]\n[Input(65536, 64, Batch = 8), Target(65536)]\n[Device(Memory = \"256 MiB\")]",
            """
                [Stage(0)] private readonly Linear first = Linear(64, 64);
                [Stage(0)] private readonly Linear second = Linear(64, 4);
                [Stage(1)] private readonly Linear third = Linear(4, 4);
            """,
            "{|DHO1401:Net|}",
            "third.forward(second.forward(relu(first.forward(x)))).transpose(1, 2)"),
        Net(
            "[Pipeline(MicroBatches = 8, Schedule = Schedule.GPipe)]\n[Input(65536, 64, Batch = 8), Target(65536)]\n[Device(Memory = \"256 MiB\")]",
            """
                [Recompute] [Stage(0)] private readonly Linear first = Linear(64, 64);
                [Stage(0)] private readonly Linear second = Linear(64, 4);
                [Stage(1)] private readonly Linear third = Linear(4, 4);
            """,
            "Net",
            "third.forward(second.forward(relu(first.forward(x)))).transpose(1, 2)"));

    [Fact]
    public Task A_layer_on_the_neighbouring_stage() => Verify.VerifyAsync(
        Net(
            "[Pipeline(MicroBatches = 8), Input(1024), Target]\n[Device(Memory = \"16 MiB\")]",
            """
                [Stage(0)] private readonly Linear first = Linear(1024, 1024);
                [Stage(0)] private readonly Linear second = Linear(1024, 1024);
                [Stage(1)] private readonly Linear third = Linear(1024, 4);
            """,
            "{|DHO1401:Net|}",
            "third.forward(second.forward(first.forward(x)))"),
        Net(
            "[Pipeline(MicroBatches = 8), Input(1024), Target]\n[Device(Memory = \"16 MiB\")]",
            """
                [Stage(0)] private readonly Linear first = Linear(1024, 1024);
                [Stage(1)] private readonly Linear second = Linear(1024, 1024);
                [Stage(1)] private readonly Linear third = Linear(1024, 4);
            """,
            "Net",
            "third.forward(second.forward(first.forward(x)))"));
}
