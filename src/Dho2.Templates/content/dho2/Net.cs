using Dho2;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2Training;

/// <summary>Tells two spirals apart: an ordinary TorchSharp module whose layers say which stage they are on.</summary>
[Pipeline(MicroBatches = 4, Base = BaseKind.Adam)]
[Input(2, Batch = 64)]
[Target]
[Device(Memory = "1 GiB")]
[Curvature(Rank = 4, Every = 50)]
public partial class Net : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear inner = Linear(2, 64);
    [Stage(0)] private readonly Linear middle = Linear(64, 64);
    [Stage(1)] private readonly Linear outer = Linear(64, 64);
    [Stage(1)] private readonly Linear head = Linear(64, 2);

    public override Tensor forward(Tensor x)
    {
        x = tanh(middle.forward(tanh(inner.forward(x))));
        return head.forward(tanh(outer.forward(x)));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
