using System.Linq;
using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Benchmarks.Memory;

/// <summary>A residual block (He et al. 2016, figure 2), with a projection in its shortcut where sizes change.</summary>
public sealed class ResidualBlock : Module<Tensor, Tensor>
{
    private readonly Conv2d conv1;
    private readonly BatchNorm2d norm1;
    private readonly Conv2d conv2;
    private readonly BatchNorm2d norm2;
    private readonly Sequential? projection;

    public ResidualBlock(long from, long to) : base(nameof(ResidualBlock))
    {
        long stride = to / from;
        conv1 = Conv2d(from, to, 3, stride: stride, padding: 1, bias: false);
        norm1 = BatchNorm2d(to);
        conv2 = Conv2d(to, to, 3, padding: 1, bias: false);
        norm2 = BatchNorm2d(to);
        if (stride > 1)
        {
            projection = Sequential(("conv", Conv2d(from, to, 1, stride: stride, bias: false)), ("norm", BatchNorm2d(to)));
        }

        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        Tensor shortcut = projection is null ? x : projection.forward(x);
        Tensor y = relu(norm1.forward(conv1.forward(x)));
        return relu(norm2.forward(conv2.forward(y)) + shortcut);
    }
}

/// <summary>A transformer block with four heads, its attention written out.</summary>
public sealed class TransformerBlock : Module<Tensor, Tensor>
{
    private const int Width = 128;
    private const int Heads = 4;

    private readonly LayerNorm norm1;
    private readonly Linear attention;
    private readonly Linear output;
    private readonly LayerNorm norm2;
    private readonly Linear up;
    private readonly Linear down;

    public TransformerBlock() : base(nameof(TransformerBlock))
    {
        norm1 = LayerNorm(Width);
        attention = Linear(Width, 3 * Width);
        output = Linear(Width, Width);
        norm2 = LayerNorm(Width);
        up = Linear(Width, 4 * Width);
        down = Linear(4 * Width, Width);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        long length = x.shape[1];
        Tensor[] parts = attention.forward(norm1.forward(x)).chunk(3, dim: -1);
        Tensor query = parts[0].view(-1, length, Heads, Width / Heads).transpose(1, 2);
        Tensor key = parts[1].view(-1, length, Heads, Width / Heads).transpose(1, 2);
        Tensor value = parts[2].view(-1, length, Heads, Width / Heads).transpose(1, 2);
        Tensor weights = (query.matmul(key.transpose(-2, -1)) / 6).softmax(-1);
        x = x + output.forward(weights.matmul(value).transpose(1, 2).reshape(-1, length, Width));
        return x + down.forward(relu(up.forward(norm2.forward(x))));
    }
}

#pragma warning disable DHO1404 // The stages share out memory, at the price of time: early blocks need more bytes for their work than late ones.

/// <summary>The residual network with 110 layers for 32 x 32 images (He et al. 2016, section 4.2), on 1 stage.</summary>
[Pipeline(MicroBatches = 8)]
[Input(3, 32, 32, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet110On1 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv = Conv2d(3, 16, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(16);
    [Stage(0)]
    private readonly ModuleList<ResidualBlock> blocks = ModuleList(Enumerable.Range(0, 54).Select(i => new ResidualBlock((i is 18 or 36 ? 8 : 16) << (i / 18), 16 << (i / 18))).ToArray());
    [Stage(0)] private readonly Linear head = Linear(64, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (ResidualBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The residual network with 110 layers for 32 x 32 images (He et al. 2016, section 4.2), on 2 stages.</summary>
[Pipeline(MicroBatches = 8)]
[Input(3, 32, 32, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet110On2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv = Conv2d(3, 16, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(16);
    [Stage(0), Stage(1, From = 16)]
    private readonly ModuleList<ResidualBlock> blocks = ModuleList(Enumerable.Range(0, 54).Select(i => new ResidualBlock((i is 18 or 36 ? 8 : 16) << (i / 18), 16 << (i / 18))).ToArray());
    [Stage(1)] private readonly Linear head = Linear(64, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (ResidualBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The residual network with 110 layers for 32 x 32 images (He et al. 2016, section 4.2), on 4 stages.</summary>
[Pipeline(MicroBatches = 8)]
[Input(3, 32, 32, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet110On4 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv = Conv2d(3, 16, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(16);
    [Stage(0), Stage(1, From = 8), Stage(2, From = 16), Stage(3, From = 30)]
    private readonly ModuleList<ResidualBlock> blocks = ModuleList(Enumerable.Range(0, 54).Select(i => new ResidualBlock((i is 18 or 36 ? 8 : 16) << (i / 18), 16 << (i / 18))).ToArray());
    [Stage(3)] private readonly Linear head = Linear(64, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (ResidualBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The residual network with 110 layers for 32 x 32 images (He et al. 2016, section 4.2), on 8 stages.</summary>
[Pipeline(MicroBatches = 8)]
[Input(3, 32, 32, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet110On8 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv = Conv2d(3, 16, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(16);
    [Stage(0), Stage(1, From = 4), Stage(2, From = 8), Stage(3, From = 12), Stage(4, From = 16), Stage(5, From = 22), Stage(6, From = 30), Stage(7, From = 40)]
    private readonly ModuleList<ResidualBlock> blocks = ModuleList(Enumerable.Range(0, 54).Select(i => new ResidualBlock((i is 18 or 36 ? 8 : 16) << (i / 18), 16 << (i / 18))).ToArray());
    [Stage(7)] private readonly Linear head = Linear(64, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (ResidualBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The residual network with 110 layers for 32 x 32 images (He et al. 2016, section 4.2), on 2 stages that share out what estimates of the curvature need.</summary>
[Pipeline(MicroBatches = 8)]
[Input(3, 32, 32, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet110CurvatureOn2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv = Conv2d(3, 16, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(16);
    [Stage(0), Stage(1, From = 18)]
    private readonly ModuleList<ResidualBlock> blocks = ModuleList(Enumerable.Range(0, 54).Select(i => new ResidualBlock((i is 18 or 36 ? 8 : 16) << (i / 18), 16 << (i / 18))).ToArray());
    [Stage(1)] private readonly Linear head = Linear(64, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (ResidualBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The residual network with 110 layers for 32 x 32 images (He et al. 2016, section 4.2), on 4 stages that share out what estimates of the curvature need.</summary>
[Pipeline(MicroBatches = 8)]
[Input(3, 32, 32, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet110CurvatureOn4 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv = Conv2d(3, 16, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(16);
    [Stage(0), Stage(1, From = 9), Stage(2, From = 18), Stage(3, From = 35)]
    private readonly ModuleList<ResidualBlock> blocks = ModuleList(Enumerable.Range(0, 54).Select(i => new ResidualBlock((i is 18 or 36 ? 8 : 16) << (i / 18), 16 << (i / 18))).ToArray());
    [Stage(3)] private readonly Linear head = Linear(64, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (ResidualBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>The residual network with 110 layers for 32 x 32 images (He et al. 2016, section 4.2), on 8 stages that share out what estimates of the curvature need.</summary>
[Pipeline(MicroBatches = 8)]
[Input(3, 32, 32, Batch = 128)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class ResNet110CurvatureOn8 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Conv2d conv = Conv2d(3, 16, 3, padding: 1, bias: false);
    [Stage(0)] private readonly BatchNorm2d norm = BatchNorm2d(16);
    [Stage(0), Stage(1, From = 4), Stage(2, From = 8), Stage(3, From = 13), Stage(4, From = 18), Stage(5, From = 27), Stage(6, From = 36), Stage(7, From = 45)]
    private readonly ModuleList<ResidualBlock> blocks = ModuleList(Enumerable.Range(0, 54).Select(i => new ResidualBlock((i is 18 or 36 ? 8 : 16) << (i / 18), 16 << (i / 18))).ToArray());
    [Stage(7)] private readonly Linear head = Linear(64, 10);

    public override Tensor forward(Tensor x)
    {
        x = relu(norm.forward(conv.forward(x)));
        foreach (ResidualBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([2L, 3L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

#pragma warning restore DHO1404

/// <summary>Sixteen transformer blocks over sequences of 64, on 1 stage.</summary>
[Pipeline(MicroBatches = 8)]
[Input(64, 64, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class TransformerOn1 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear embed = Linear(64, 128);
    [Stage(0)]
    private readonly ModuleList<TransformerBlock> blocks = ModuleList(Enumerable.Range(0, 16).Select(_ => new TransformerBlock()).ToArray());
    [Stage(0)] private readonly Linear head = Linear(128, 10);

    public override Tensor forward(Tensor x)
    {
        x = embed.forward(x);
        foreach (TransformerBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([1L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Sixteen transformer blocks over sequences of 64, on 2 stages.</summary>
[Pipeline(MicroBatches = 8)]
[Input(64, 64, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class TransformerOn2 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear embed = Linear(64, 128);
    [Stage(0), Stage(1, From = 8)]
    private readonly ModuleList<TransformerBlock> blocks = ModuleList(Enumerable.Range(0, 16).Select(_ => new TransformerBlock()).ToArray());
    [Stage(1)] private readonly Linear head = Linear(128, 10);

    public override Tensor forward(Tensor x)
    {
        x = embed.forward(x);
        foreach (TransformerBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([1L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Sixteen transformer blocks over sequences of 64, on 4 stages.</summary>
[Pipeline(MicroBatches = 8)]
[Input(64, 64, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class TransformerOn4 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear embed = Linear(64, 128);
    [Stage(0), Stage(1, From = 4), Stage(2, From = 8), Stage(3, From = 12)]
    private readonly ModuleList<TransformerBlock> blocks = ModuleList(Enumerable.Range(0, 16).Select(_ => new TransformerBlock()).ToArray());
    [Stage(3)] private readonly Linear head = Linear(128, 10);

    public override Tensor forward(Tensor x)
    {
        x = embed.forward(x);
        foreach (TransformerBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([1L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}

/// <summary>Sixteen transformer blocks over sequences of 64, on 8 stages.</summary>
[Pipeline(MicroBatches = 8)]
[Input(64, 64, Batch = 64)]
[Target(DType = DType.Int64)]
[Curvature(Rank = 4)]
public partial class TransformerOn8 : Module<Tensor, Tensor>
{
    [Stage(0)] private readonly Linear embed = Linear(64, 128);
    [Stage(0), Stage(1, From = 2), Stage(2, From = 4), Stage(3, From = 6), Stage(4, From = 8), Stage(5, From = 10), Stage(6, From = 12), Stage(7, From = 14)]
    private readonly ModuleList<TransformerBlock> blocks = ModuleList(Enumerable.Range(0, 16).Select(_ => new TransformerBlock()).ToArray());
    [Stage(7)] private readonly Linear head = Linear(128, 10);

    public override Tensor forward(Tensor x)
    {
        x = embed.forward(x);
        foreach (TransformerBlock block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(x.mean([1L]));
    }

    private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
}
