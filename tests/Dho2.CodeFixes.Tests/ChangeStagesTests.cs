using System.Threading.Tasks;
using Verify = Dho2.CodeFixes.Tests.FixVerifier<Dho2.CodeFixes.ChangeNumbersCodeFix>;

namespace Dho2.CodeFixes.Tests;

public class ChangeStagesTests
{
    private static string Net(string layers, string forward = "d.forward(c.forward(b.forward(a.forward(x))))") =>
        $$"""
        [Pipeline(MicroBatches = 8)]
        [Input(8)]
        [Target]
        public partial class Net : Module<Tensor, Tensor>
        {
        {{layers}}

            public Net() : base(nameof(Net)) => RegisterComponents();

            public override Tensor forward(Tensor x) => {{forward}};

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }

        """;

    [Fact]
    public Task Layers_get_the_stage_of_the_one_before_else_of_the_one_after() => Verify.VerifyAsync(
        Net("""
                private readonly Linear {|DHO1101:a|} = Linear(8, 8);
                [Stage(0)] private readonly Linear b = Linear(8, 8);
                // Before.
                private readonly Linear {|DHO1101:c|} = Linear(8, 8); // After.
                [Stage(1)] private readonly Linear d = Linear(8, 8);
            """),
        Net("""
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(0)] private readonly Linear b = Linear(8, 8);
                // Before.
                [Stage(0)] private readonly Linear c = Linear(8, 8); // After.
                [Stage(1)] private readonly Linear d = Linear(8, 8);
            """));

    [Fact]
    public Task The_attribute_stands_where_the_others_stand() => Verify.VerifyAsync(
        Net("""
                [Stage(0)]
                private readonly Linear a = Linear(8, 8);

                /// <summary>A layer.</summary>
                private readonly Linear {|DHO1101:b|} = Linear(8, 8);

                [CurvatureRank(2)]
                private Linear {|DHO1101:c|} { get; } = Linear(8, 8);

                [Stage(0)]
                private readonly Linear d = Linear(8, 8);
            """),
        Net("""
                [Stage(0)]
                private readonly Linear a = Linear(8, 8);

                /// <summary>A layer.</summary>
                [Stage(0)]
                private readonly Linear b = Linear(8, 8);

                [Stage(0)]
                [CurvatureRank(2)]
                private Linear c { get; } = Linear(8, 8);

                [Stage(0)]
                private readonly Linear d = Linear(8, 8);
            """));

    [Fact]
    public Task Two_layers_in_one_declaration() => Verify.VerifyAsync(
        Net("""
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                private readonly Linear {|DHO1101:b|} = Linear(8, 8), {|DHO1101:c|} = Linear(8, 8);
                [Stage(0)] private readonly Linear d = Linear(8, 8);
            """),
        Net("""
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(0)] private readonly Linear b = Linear(8, 8), c = Linear(8, 8);
                [Stage(0)] private readonly Linear d = Linear(8, 8);
            """));

    [Fact]
    public Task A_layer_in_another_file() => Verify.VerifyAsync(
        [
            Net("    [Stage(0)] private readonly Linear a = Linear(8, 8);", "b.forward(a.forward(x))"),
            "partial class Net\n{\n    private readonly Linear {|DHO1101:b|} = Linear(8, 8);\n}\n",
        ],
        [
            Net("    [Stage(0)] private readonly Linear a = Linear(8, 8);", "b.forward(a.forward(x))"),
            "partial class Net\n{\n    [Stage(0)] private readonly Linear b = Linear(8, 8);\n}\n",
        ]);

    [Fact]
    public Task A_layer_that_a_later_stage_feeds_moves_there() => Verify.VerifyAsync(
        Net("""
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(1)] private readonly Linear b = Linear(8, 8);
                [Stage(0)] private readonly Linear c = Linear(8, 8);
                [Stage(1)] private readonly Linear d = Linear(8, 8);
            """,
            "d.forward({|DHO1104:c.forward(b.forward(a.forward(x)))|})"),
        Net("""
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(1)] private readonly Linear b = Linear(8, 8);
                [Stage(1)] private readonly Linear c = Linear(8, 8);
                [Stage(1)] private readonly Linear d = Linear(8, 8);
            """));

    [Theory]
    [InlineData("{|DHO1103:a|}", "b", "{|DHO1102:d|}", -1, 0, 2)]
    [InlineData("a", "b", "{|DHO1102:d|}", 0, 1, 4)]
    [InlineData("{|DHO1102:a|}", "b", "d", 1, 2, 3)]
    public Task Stages_are_numbered_without_gaps(string a, string b, string d, int first, int second, int third) => Verify.VerifyAsync(
        Net($$"""
                [Stage({{first}})] private readonly Linear {{a}} = Linear(8, 8);
                [Stage({{second}})] private readonly Linear {{b}} = Linear(8, 8), c = Linear(8, 8);
                [Stage(/* the last */ {{third}})] private readonly Linear {{d}} = Linear(8, 8);
            """),
        Net("""
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(1)] private readonly Linear b = Linear(8, 8), c = Linear(8, 8);
                [Stage(/* the last */ 2)] private readonly Linear d = Linear(8, 8);
            """));

    [Fact]
    public Task A_layer_that_has_its_type_s_stage_gets_its_own() => Verify.VerifyAsync(
        Net("""
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                private readonly Head {|DHO1102:b|} = new();
            """,
            "b.forward(a.forward(x))") + Head,
        Net("""
                [Stage(0)] private readonly Linear a = Linear(8, 8);
                [Stage(1)] private readonly Head b = new();
            """,
            "b.forward(a.forward(x))") + Head);

    private const string Head =
        """
        [Stage(2)]
        public class Head : Module<Tensor, Tensor>
        {
            public Head() : base(nameof(Head)) => RegisterComponents();

            public override Tensor forward(Tensor x) => relu(x);
        }

        """;
}
