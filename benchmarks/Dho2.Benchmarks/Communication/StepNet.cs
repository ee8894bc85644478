using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.Communication;

/// <summary>The network of the MNIST sample, without curvature: what every step sends.</summary>
[Pipeline(MicroBatches = 4)]
[Input(1, 28, 28, Batch = 256)]
[Target(DType = DType.Int64)]
public partial class StepNet : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(1, 16, 3, padding: 1);
    [Stage(0)] private readonly Conv2d conv2 = Conv2d(16, 32, 3, padding: 1);
    [Stage(1)] private readonly Linear fc = Linear(32 * 7 * 7, 128);
    [Stage(1)] private readonly Linear head = Linear(128, 10);

    public override Tensor forward(Tensor x)
    {
        x = max_pool2d(relu(conv1.forward(x)), 2);
        x = max_pool2d(relu(conv2.forward(x)), 2);
        return head.forward(relu(fc.forward(x.flatten(1))));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
