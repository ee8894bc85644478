using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace CifarResNetSample;

/// <summary>A residual block (He et al. 2016, figure 2), with a projection in its shortcut where sizes change.</summary>
public sealed class BasicBlock : Module<Tensor, Tensor>
{
    private readonly Conv2d conv1;
    private readonly BatchNorm2d norm1;
    private readonly Conv2d conv2;
    private readonly BatchNorm2d norm2;
    private readonly Sequential? projection;

    /// <summary>Creates a block.</summary>
    /// <param name="from">Channels of its input.</param>
    /// <param name="to">Channels of its output.</param>
    /// <param name="stride">How many times smaller the output's sides are.</param>
    public BasicBlock(long from, long to, long stride = 1) : base(nameof(BasicBlock))
    {
        conv1 = Conv2d(from, to, 3, stride: stride, padding: 1, bias: false);
        norm1 = BatchNorm2d(to);
        conv2 = Conv2d(to, to, 3, padding: 1, bias: false);
        norm2 = BatchNorm2d(to);
        if (stride != 1 || from != to)
        {
            projection = Sequential(("conv", Conv2d(from, to, 1, stride: stride, bias: false)), ("norm", BatchNorm2d(to)));
        }

        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        Tensor shortcut = projection is null ? x : projection.forward(x);
        Tensor y = relu(norm1.forward(conv1.forward(x)));
        return relu(norm2.forward(conv2.forward(y)) + shortcut);
    }
}
