using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace CifarResNetSample;

/// <summary>
/// The residual network with 110 layers for 32 x 32 images (He et al. 2016, section 4.2): 54 blocks, made by a loop and
/// shared out over four stages.
/// </summary>
[Pipeline(MicroBatches = 8)]
[Input(3, 32, 32, Batch = 128)]
[Target]
[Device(Memory = "4 GiB")]
[Curvature(Rank = 10, Every = 400)]
public partial class ResNet110 : Module<Tensor, Tensor>
{
    private const int Width = 16;
    private const int BlocksPerGroup = 18;

    [Stage(0)] private readonly Conv2d conv = Conv2d(3, Width, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(Width);
    [Stage(0), Stage(1, From = 13), Stage(2, From = 27), Stage(3, From = 41)]
    private readonly ModuleList<BasicBlock> blocks = Blocks();
    [Stage(3)] private readonly Linear head = Linear(4 * Width, 10);

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (BasicBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static ModuleList<BasicBlock> Blocks()
    {
        var blocks = new ModuleList<BasicBlock>();
        long from = Width;
        for (int group = 0; group < 3; group++)
        {
            long to = Width << group;
            for (int i = 0; i < BlocksPerGroup; i++)
            {
                blocks.append(new BasicBlock(from, to, group > 0 && i == 0 ? 2 : 1));
                from = to;
            }
        }

        return blocks;
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
