using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.Experiments;

/// <summary>A convolutional network of 0.3 M parameters for 32 x 32 colour images; large strides keep a product cheap on two cores.</summary>
[Pipeline]
[Input(3, 32, 32, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature]
public partial class CifarCnn : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv1 = Conv2d(3, 32, 5, stride: 4, padding: 2);
    [Stage(0)] private readonly Conv2d conv2 = Conv2d(32, 48, 3, stride: 2, padding: 1);
    [Stage(0)] private readonly Conv2d conv3 = Conv2d(48, 96, 3, stride: 2, padding: 1);
    [Stage(0)] private readonly Linear fc = Linear(96 * 2 * 2, 640);
    [Stage(0)] private readonly Linear head = Linear(640, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(conv1.forward(x));
        x = relu(conv2.forward(x));
        x = relu(conv3.forward(x));
        x = relu(fc.forward(x.flatten(1)));
        return head.forward(x);
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>An autoencoder of 0.21 M parameters for 28 x 28 grey images; the loss is the binary cross-entropy of a pixel.</summary>
[Pipeline]
[Input(784, Batch = 128)]
[Target(784, DType = DType.Float32)]
[Curvature]
public partial class MnistAutoencoder : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear encode1 = Linear(784, 128);
    [Stage(0)] private readonly Linear encode2 = Linear(128, 32);
    [Stage(0)] private readonly Linear decode1 = Linear(32, 128);
    [Stage(0)] private readonly Linear decode2 = Linear(128, 784);

    public override Tensor forward(Tensor x)
    {
        x = tanh(encode1.forward(x));
        x = tanh(encode2.forward(x));
        x = tanh(decode1.forward(x));
        return decode2.forward(x);
    }

    private static Tensor Loss(Tensor logits, Tensor pixels) => binary_cross_entropy_with_logits(logits, pixels);
}
