using System.Threading.Tasks;
using Verify = Dho2.CodeFixes.Tests.FixVerifier<Dho2.CodeFixes.ChangeNumbersCodeFix>;

namespace Dho2.CodeFixes.Tests;

/// <summary>The planner's partition, written into the source.</summary>
public class RebalanceTests
{
    private const string Block =
        """
        [Stage(1)]
        public class Block : Module<Tensor, Tensor>
        {
            private readonly Linear inner = Linear(4096, 4096);

            public Block() : base("Block") => RegisterComponents();

            public override Tensor forward(Tensor x) => inner.forward(x);
        }

        """;

    private static string Net(string name, params string[] layers) =>
        $$"""
        [Pipeline(MicroBatches = 8), Input(4096, Batch = 8192), Target]
        public partial class {{name}} : Module<Tensor, Tensor>
        {
        {{string.Join("\n", layers)}}

            public Net() : base("Net") => RegisterComponents();

            public override Tensor forward(Tensor x) => d.forward(c.forward(b.forward(a.forward(x))));

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }

        """;

    private static string Linear(string attributes, string name) => $"    {attributes} private readonly Linear {name} = Linear(4096, 4096);";

    [Fact]
    public Task All_layers_at_once() => Verify.VerifyAsync(
        Net("{|DHO1404:Net|}", Linear("[Stage(0)]", "a"), Linear("[Stage(/* b */ 1)]", "b"), Linear("[Stage(2)]", "c"), "    [Stage(2)] private readonly Linear d = Linear(4096, 16384);"),
        Net("Net", Linear("[Stage(0)]", "a"), Linear("[Stage(/* b */ 0)]", "b"), Linear("[Stage(1)]", "c"), "    [Stage(2)] private readonly Linear d = Linear(4096, 16384);"));

    [Fact]
    public Task A_stage_that_its_class_states() => Verify.VerifyAsync(
        Net("{|DHO1404:Net|}", Linear("[Stage(0)]", "a"), "    private readonly Block b = new();", "    private readonly Block c = new();", Linear("[Stage(1)]", "d")) + Block,
        Net("Net", Linear("[Stage(0)]", "a"), "    [Stage(0)] private readonly Block b = new();", "    private readonly Block c = new();", Linear("[Stage(1)]", "d")) + Block);

    [Fact]
    public Task One_layer_to_the_neighbouring_stage() => Verify.VerifyAsync(
        Net("{|DHO1404:Net|}", Linear("[Stage(0)]", "a"), Linear("[Stage(0)]", "b"), Linear("[Stage(0)]", "c"), Linear("[Stage(1)]", "d")),
        Net("Net", Linear("[Stage(0)]", "a"), Linear("[Stage(0)]", "b"), Linear("[Stage(1)]", "c"), Linear("[Stage(1)]", "d")),
        choice: 1);

    [Fact]
    public Task A_larger_order_of_estimates() => FixVerifier<ChangeNumbersCodeFix>.VerifyAsync(
        Small("[Curvature(Rank = 5, Order = {|DHO1504:7|})]"), Small("[Curvature(Rank = 5, Order = 20)]"));

    private static string Small(string curvature) =>
        $$"""
        [Pipeline(MicroBatches = 8), Input(64), Target]
        {{curvature}}
        public partial class Net : Module<Tensor, Tensor>
        {
            [Stage(0)] private readonly Linear a = Linear(64, 64);

            public Net() : base("Net") => RegisterComponents();

            public override Tensor forward(Tensor x) => a.forward(x);

            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        }

        """;
}
