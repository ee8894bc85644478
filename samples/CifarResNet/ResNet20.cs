using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace CifarResNetSample;

/// <summary>
/// The residual network with 20 layers for 32 x 32 images (He et al. 2016, section 4.2), cut in the middle of a block: its
/// shortcut crosses the cut beside the block's own values.
/// </summary>
[Pipeline(MicroBatches = 4)]
[Input(3, 32, 32, Batch = 128)]
[Target]
[Device(Memory = "4 GiB")]
[Curvature(Rank = 10, Every = 400)]
public partial class ResNet20 : Module<Tensor, Tensor>
{
    private const int Width = 16;

    [Stage(0)] private readonly Conv2d conv = Conv2d(3, Width, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(Width);
    [Stage(0)] private readonly ModuleList<BasicBlock> wide = new(new(Width, Width), new(Width, Width), new(Width, Width));

    // The first block with 32 channels, taken apart: a module is never cut, its layers are.
    [Stage(0)] private readonly Conv2d cutConv1 = Conv2d(Width, 2 * Width, 3, stride: 2, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d cutNorm1 = BatchNorm2d(2 * Width);
    [Stage(0)] private readonly Conv2d cutProjection = Conv2d(Width, 2 * Width, 1, stride: 2, bias: false);
    [Stage(0)] private readonly BatchNorm2d cutProjectionNorm = BatchNorm2d(2 * Width);
    [Stage(1)] private readonly Conv2d cutConv2 = Conv2d(2 * Width, 2 * Width, 3, padding: 1, bias: false);
    [Stage(1)] private readonly BatchNorm2d cutNorm2 = BatchNorm2d(2 * Width);

    [Stage(1)]
    private readonly ModuleList<BasicBlock> deep = new(
        new(2 * Width, 2 * Width), new(2 * Width, 2 * Width),
        new(2 * Width, 4 * Width, 2), new(4 * Width, 4 * Width), new(4 * Width, 4 * Width));
    [Stage(1)] private readonly Linear head = Linear(4 * Width, 10);

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (BasicBlock block in wide)
        {
            x = block.forward(x);
        }

        Tensor shortcut = cutProjectionNorm.forward(cutProjection.forward(x));
        x = relu(cutNorm1.forward(cutConv1.forward(x)));
        x = relu(cutNorm2.forward(cutConv2.forward(x)) + shortcut);
        foreach (BasicBlock block in deep)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
