using Dho2;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

[Pipeline(MicroBatches = 2)]
[Input(1, 8, 8, Batch = 16)]
[Target(DType = DType.Int64)]
[Device(Memory = "1 GiB")]
[Curvature(Rank = 2, Every = 8)]
public partial class SmallNet : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv = Conv2d(1, 4, 3, padding: 1);
    [Stage(1)] private readonly Linear head = Linear(4 * 4 * 4, 2);

    public override Tensor forward(Tensor x)
    {
        x = max_pool2d(relu(conv.forward(x)), 2);
        return head.forward(x.flatten(1));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
