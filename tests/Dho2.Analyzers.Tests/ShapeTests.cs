using System.Threading.Tasks;
using static Dho2.Analyzers.Tests.Source;
using static Dho2.Analyzers.Tests.Verifier;

namespace Dho2.Analyzers.Tests;

/// <summary>Diagnostics of shapes.</summary>
public class ShapeTests
{
    [Fact]
    public Task A_layer_that_gets_another_number_of_features() => VerifyAsync(Net(
        layers:
        """
        [Stage(0)] private readonly Linear first = Linear(8, 16);
        [Stage(1)] private readonly Linear second = Linear(8, 4);
        """,
        forward: "public override Tensor forward(Tensor x) => {|DHO1201:second.forward(relu(first.forward(x)))|};"));

    [Fact]
    public Task Tensors_that_do_not_broadcast() => VerifyAsync(Net(
        forward:
        """
        public override Tensor forward(Tensor x)
        {
            x = first.forward(x);
            return second.forward({|DHO1201:x + cat([x, x], 1)|});
        }
        """));

    [Fact]
    public Task A_mismatch_inside_a_module_class_is_shown_where_it_is_used() => VerifyAsync(Net(
        layers:
        """
        [Stage(0)] private readonly Linear first = Linear(8, 8);
        [Stage(1)] private readonly Head second = new(16);
        """,
        forward: "public override Tensor forward(Tensor x) => {|DHO1201:second.forward(relu(first.forward(x)))|};",
        after:
        """
        public class Head : Module<Tensor, Tensor>
        {
            private readonly Linear inner;

            public Head(long features) : base(nameof(Head))
            {
                inner = Linear(features, 4);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x) => inner.forward(x);
        }
        """));

    [Fact]
    public Task Tensors_that_broadcast() => VerifyAsync(Net(
        forward:
        """
        public override Tensor forward(Tensor x)
        {
            x = first.forward(x);
            return second.forward(x + x.mean([1], true));
        }
        """));

    [Fact]
    public Task What_is_not_known_is_not_judged() => VerifyAsync(Net(
        forward:
        """
        public override Tensor forward(Tensor x) => second.forward(Odd(first.forward(x)));

        private static Tensor Odd(Tensor x) => x.reshape(-1, 8);
        """));

    [Fact]
    public Task An_argument_that_is_refused() => VerifyAsync(Net(
        forward: "public override Tensor forward(Tensor x) => second.forward(first.forward(x).flatten({|DHO1202:3|}));"));
}
