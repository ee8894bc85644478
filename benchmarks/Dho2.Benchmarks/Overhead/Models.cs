using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.Overhead;

/// <summary>A perceptron of 236,000 parameters on one stage, whose steps are short.</summary>
[Pipeline(MicroBatches = 1)]
[Input(784, Batch = 256)]
[Target(DType = DType.Int64)]
public partial class OverheadMlp : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear first = Linear(784, 256);
    [Stage(0)] private readonly Linear second = Linear(256, 128);
    [Stage(0)] private readonly Linear head = Linear(128, 10);

    public override Tensor forward(Tensor x) => head.forward(tanh(second.forward(tanh(first.forward(x)))));

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>A perceptron on four stages, over sequences: only its plan is looked at.</summary>
[Pipeline(MicroBatches = 8)]
[Input(128, 1024, Batch = 32)]
[Target(128, DType = DType.Int64)]
public partial class ScheduledMlp : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear fc00 = Linear(1024, 1024);
    [Stage(0)] private readonly Linear fc01 = Linear(1024, 1024);
    [Stage(0)] private readonly Linear fc02 = Linear(1024, 1024);
    [Stage(1)] private readonly Linear fc10 = Linear(1024, 1024);
    [Stage(1)] private readonly Linear fc11 = Linear(1024, 1024);
    [Stage(1)] private readonly Linear fc12 = Linear(1024, 1024);
    [Stage(2)] private readonly Linear fc20 = Linear(1024, 1024);
    [Stage(2)] private readonly Linear fc21 = Linear(1024, 1024);
    [Stage(2)] private readonly Linear fc22 = Linear(1024, 1024);
    [Stage(3)] private readonly Linear fc30 = Linear(1024, 1024);
    [Stage(3)] private readonly Linear fc31 = Linear(1024, 1024);
    [Stage(3)] private readonly Linear fc32 = Linear(1024, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(fc00.forward(x));
        x = relu(fc01.forward(x));
        x = relu(fc02.forward(x));
        x = relu(fc10.forward(x));
        x = relu(fc11.forward(x));
        x = relu(fc12.forward(x));
        x = relu(fc20.forward(x));
        x = relu(fc21.forward(x));
        x = relu(fc22.forward(x));
        x = relu(fc30.forward(x));
        x = relu(fc31.forward(x));
        return fc32.forward(x);
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits.flatten(0, 1), labels.flatten());
}

/// <summary>A convolutional network of 55,000 parameters on one stage.</summary>
[Pipeline(MicroBatches = 1)]
[Input(1, 28, 28, Batch = 64)]
[Target(DType = DType.Int64)]
public partial class OverheadCnn : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(1, 16, 3, padding: 1);
    [Stage(0)] private readonly Conv2d conv2 = Conv2d(16, 32, 3, stride: 2, padding: 1);
    [Stage(0)] private readonly Conv2d conv3 = Conv2d(32, 64, 3, stride: 2, padding: 1);
    [Stage(0)] private readonly Linear head = Linear(64 * 7 * 7, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(conv1.forward(x));
        x = relu(conv2.forward(x));
        x = relu(conv3.forward(x));
        return head.forward(x.flatten(1));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
