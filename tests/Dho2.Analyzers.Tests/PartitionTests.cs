using System.Threading.Tasks;
using static Dho2.Analyzers.Tests.Source;
using static Dho2.Analyzers.Tests.Verifier;

namespace Dho2.Analyzers.Tests;

/// <summary>Diagnostics of the stages and of what crosses between them.</summary>
public class PartitionTests
{
    [Fact]
    public Task A_layer_without_stage() => VerifyAsync(Net(layers:
        """
        [Stage(0)] private readonly Linear first = Linear(8, 8);
        private readonly Linear {|DHO1101:second|} = Linear(8, 4);
        """));

    [Fact]
    public Task A_property_without_stage() => VerifyAsync(Net(layers:
        """
        [Stage(0)] private Linear first { get; } = Linear(8, 8);
        private Linear {|DHO1101:second|} { get; } = Linear(8, 4);
        """));

    [Fact]
    public Task A_layer_that_has_its_type_s_stage() => VerifyAsync(Net(
        layers:
        """
        private readonly Head second = new();
        [Stage(0)] private readonly Linear first = Linear(8, 8);
        """,
        after:
        """
        [Stage(1)]
        public class Head : Module<Tensor, Tensor>
        {
            private readonly Linear inner = Linear(8, 4);

            public Head() : base(nameof(Head)) => RegisterComponents();

            public override Tensor forward(Tensor x) => inner.forward(x);
        }
        """));

    [Fact]
    public Task A_layer_without_stage_in_another_file() => VerifyAsync(
        Net(layers: "[Stage(0)] private readonly Linear first = Linear(8, 8);"),
        Usings + "public partial class Net { private readonly Linear {|DHO1101:second|} = Linear(8, 4); }");

    [Fact]
    public Task A_gap_in_the_stages() => VerifyAsync(Net(layers:
        """
        [Stage(0)] private readonly Linear first = Linear(8, 8);
        [Stage(2)] private readonly Linear {|DHO1102:second|} = Linear(8, 4);
        """));

    [Fact]
    public Task A_negative_stage() => VerifyAsync(Net(layers:
        """
        [Stage(-1)] private readonly Linear {|DHO1103:first|} = Linear(8, 8);
        [Stage(0)] private readonly Linear second = Linear(8, 4);
        """));

    [Fact]
    public Task One_stage_for_all() => VerifyAsync(Net(layers:
        """
        [Stage(0)] private readonly Linear first = Linear(8, 8);
        [Stage(0)] private readonly Linear second = Linear(8, 4);
        """));

    [Fact]
    public Task A_later_stage_that_feeds_an_earlier_one() => VerifyAsync(Net(
        layers:
        """
        [Stage(1)] private readonly Linear first = Linear(8, 8);
        [Stage(0)] private readonly Linear second = Linear(8, 4);
        """,
        forward: "public override Tensor forward(Tensor x) => {|DHO1104:second.forward(relu(first.forward(x)))|};"));

    [Fact]
    public Task A_value_that_skips_a_stage() => VerifyAsync(Net(
        layers:
        """
        [Stage(0)] private readonly Linear first = Linear(8, 8);
        [Stage(1)] private readonly Linear middle = Linear(8, 8);
        [Stage(2)] private readonly Linear second = Linear(8, 4);
        """,
        forward:
        """
        public override Tensor forward(Tensor x)
        {
            Tensor skip = first.forward(x);
            return second.forward(middle.forward(skip) + skip);
        }
        """));

    [Fact]
    public Task A_return_from_within() => VerifyAsync(Net(forward:
        """
        public override Tensor forward(Tensor x)
        {
            x = first.forward(x);
            if (x.shape[0] == 1)
            {
                {|DHO1105:return x;|}
            }

            return second.forward(relu(x));
        }
        """));

    [Fact]
    public Task A_loop_over_layers_of_several_stages() => VerifyAsync(Net(forward:
        """
        public override Tensor forward(Tensor x)
        {
            {|DHO1106:for (int i = 0; i < 2; i++)
            {
                x = first.forward(x);
                x = cat([second.forward(x), second.forward(x)], 1);
            }|}

            return x;
        }
        """));

    [Fact]
    public Task A_conditional_over_one_stage() => VerifyAsync(Net(forward:
        """
        public override Tensor forward(Tensor x)
        {
            if (x.shape[0] > 1)
            {
                x = first.forward(x);
            }

            return second.forward(relu(x));
        }
        """));

    [Fact]
    public Task A_list_that_cannot_cross() => VerifyAsync(Net(forward:
        """
        public override Tensor forward(Tensor x)
        {
            var kept = {|DHO1107:new List<Tensor>([first.forward(x)])|};
            return Join(second.forward(kept[0]), kept);
        }

        private static Tensor Join(Tensor x, List<Tensor> parts) => x + parts[0].sum();
        """));

    [Fact]
    public Task A_tensor_of_a_list_that_crosses() => VerifyAsync(Net(forward:
        """
        public override Tensor forward(Tensor x)
        {
            var kept = new List<Tensor>([first.forward(x)]);
            Tensor part = kept[0];
            return Join(second.forward(part), part);
        }

        private static Tensor Join(Tensor x, Tensor part) => x + part.sum();
        """));

    [Fact]
    public Task A_number_that_crosses() => VerifyAsync(Net(forward:
        """
        public override Tensor forward(Tensor x)
        {
            long batch = x.shape[0];
            x = first.forward(x);
            return second.forward(x.view(batch, 8));
        }
        """));

    [Fact]
    public Task An_instance_method_in_forward() => VerifyAsync(Net(
        forward: "public override Tensor forward(Tensor x) => second.forward(first.forward({|DHO1108:Halve(x)|}));",
        members: "public Net() : base(nameof(Net)) => RegisterComponents(); private Tensor Halve(Tensor x) => x / 2;"));

    [Fact]
    public Task An_instance_field_in_forward() => VerifyAsync(Net(
        forward: "public override Tensor forward(Tensor x) => second.forward(first.forward(x * {|DHO1108:factor|}));",
        members: "public Net() : base(nameof(Net)) => RegisterComponents(); private float factor = 2;"));

    [Theory]
    [InlineData("private static Tensor Halve(Tensor x) => x / Two; private const int Two = 2;")]
    [InlineData("private static readonly float half = 0.5f; private static Tensor Halve(Tensor x) => x * half;")]
    public Task A_static_method_in_forward(string members) => VerifyAsync(Net(
        forward: "public override Tensor forward(Tensor x) => second.forward(first.forward(Halve(x)));",
        members: "public Net() : base(nameof(Net)) => RegisterComponents();" + members));

    [Fact]
    public Task Functional_dropout() => VerifyAsync(Net(
        forward: "public override Tensor forward(Tensor x) => second.forward({|DHO1109:dropout(first.forward(x), 0.5, true)|});"));

    [Fact]
    public Task A_dropout_layer() => VerifyAsync(Net(
        layers: "[Stage(0)] private readonly Dropout drop = Dropout(0.5); " + Layers,
        forward: "public override Tensor forward(Tensor x) => second.forward(drop.forward(first.forward(x)));"));
}
