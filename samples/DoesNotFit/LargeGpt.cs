using System;
using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace DoesNotFitSample;

/// <summary>A GPT of 24 blocks on two devices of 24 GiB, for which it is too large: the compiler says so.</summary>
[Pipeline(MicroBatches = 8, Base = BaseKind.Adam)]
[Input(512, DType = DType.Int64, Batch = 8)]
[Target(512)]
[Device(Memory = "24 GiB")]
#if FITS
[Curvature(Rank = 1, Order = 4, Every = 500)]
#else
[Curvature(Rank = 20, Every = 500)]
#endif
public partial class LargeGpt : Module<Tensor, Tensor>
{
    private const int Vocabulary = 50_257;
    private const int Width = 1024;
    private const int Depth = 24;

    [Stage(0)] private readonly Embedding tokens = Embedding(Vocabulary, Width);
    [Stage(0), Stage(1, From = Depth / 2)] private readonly ModuleList<Block> blocks = Blocks();
    [Stage(1)] private readonly LayerNorm norm = LayerNorm(Width);
    [Stage(1)] private readonly Linear head = Linear(Width, Vocabulary, hasBias: false);

    /// <inheritdoc/>
    public override Tensor forward(Tensor ids)
    {
        Tensor x = tokens.forward(ids);
        foreach (Block block in blocks)
        {
            x = block.forward(x);
        }

        return head.forward(norm.forward(x));
    }

    private static ModuleList<Block> Blocks()
    {
        var blocks = new ModuleList<Block>();
        for (int i = 0; i < Depth; i++)
        {
            blocks.append(new Block(Width, heads: 16));
        }

        return blocks;
    }

    private static Tensor Loss(Tensor scores, Tensor next) => cross_entropy(scores.flatten(0, 1), next.flatten());
}
