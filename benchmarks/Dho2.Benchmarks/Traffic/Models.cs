using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.Traffic;

/// <summary>The small convolutional network of the <c>admm</c> table on one stage.</summary>
[Pipeline(MicroBatches = 4)]
[Input(1, 28, 28, Batch = 32)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 10, Every = 2, Warmup = 2, Alpha = 0.01)]
public partial class TrafficNet1 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(1, 8, 5, stride: 2, padding: 2);
    [Stage(0)] private readonly Conv2d conv2 = Conv2d(8, 16, 5, stride: 2, padding: 2);
    [Stage(0)] private readonly Linear fc = Linear(16 * 7 * 7, 32);
    [Stage(0)] private readonly Linear head = Linear(32, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(conv1.forward(x));
        x = relu(conv2.forward(x));
        return head.forward(relu(fc.forward(x.flatten(1))));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The small convolutional network of the <c>admm</c> table on two stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(1, 28, 28, Batch = 32)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 10, Every = 2, Warmup = 2, Alpha = 0.01)]
public partial class TrafficNet2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(1, 8, 5, stride: 2, padding: 2);
    [Stage(0)] private readonly Conv2d conv2 = Conv2d(8, 16, 5, stride: 2, padding: 2);
    [Stage(1)] private readonly Linear fc = Linear(16 * 7 * 7, 32);
    [Stage(1)] private readonly Linear head = Linear(32, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(conv1.forward(x));
        x = relu(conv2.forward(x));
        return head.forward(relu(fc.forward(x.flatten(1))));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The small convolutional network of the <c>admm</c> table on four stages.</summary>
[Pipeline(MicroBatches = 4)]
[Input(1, 28, 28, Batch = 32)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 10, Every = 2, Warmup = 2, Alpha = 0.01)]
public partial class TrafficNet4 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(1, 8, 5, stride: 2, padding: 2);
    [Stage(1)] private readonly Conv2d conv2 = Conv2d(8, 16, 5, stride: 2, padding: 2);
    [Stage(2)] private readonly Linear fc = Linear(16 * 7 * 7, 32);
    [Stage(3)] private readonly Linear head = Linear(32, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(conv1.forward(x));
        x = relu(conv2.forward(x));
        return head.forward(relu(fc.forward(x.flatten(1))));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
