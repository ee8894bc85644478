using System;
using Dho2;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace CharGptSample;

/// <summary>
/// A small GPT (Radford et al. 2019) over characters: eight blocks on four stages. The first stage's embedding is the last
/// stage's output layer as well (Press and Wolf 2017).
/// </summary>
[Pipeline(MicroBatches = 8, Base = BaseKind.Adam)]
[Input(CharGpt.Context, DType = DType.Int64, Batch = 32)]
[Target(CharGpt.Context)]
[Device(Memory = "2 GiB")]
[Curvature(Rank = 8, Every = 500)]
public partial class CharGpt : Module<Tensor, Tensor>
{
    /// <summary>Characters that the model looks at.</summary>
    public const int Context = 64;

    private const int Width = 64;
    private const int Heads = 4;
    private const int Depth = 8;

    [Stage(0)] private readonly Embedding tokens = Embedding(Characters.Count, Width);
    [Stage(0)] private readonly Embedding positions = Embedding(Context, Width);
    [Stage(0), Stage(1, From = 2), Stage(2, From = 4), Stage(3, From = 6)]
    private readonly ModuleList<Block> blocks = Blocks();
    [Stage(3)] private readonly LayerNorm norm = LayerNorm(Width);
    [Stage(3), TiedTo(nameof(tokens))] private readonly Linear head = Linear(Width, Characters.Count, hasBias: false);

    /// <summary>Scores of the next character, after each of some.</summary>
    /// <param name="ids">Numbers of characters, int64 (N, T); T at most <see cref="Context"/>.</param>
    /// <returns>(N, T, <see cref="Characters.Count"/>).</returns>
    public override Tensor forward(Tensor ids)
    {
        Tensor x = tokens.forward(ids) + positions.forward(arange(ids.shape[1], dtype: int64));
        foreach (Block block in blocks)
        {
            x = block.forward(x);
        }

        // The embedding's numbers are drawn with deviation 1: as an output layer it would begin with scores as large as 8.
        return head.forward(norm.forward(x)) / Math.Sqrt(Width);
    }

    private static ModuleList<Block> Blocks()
    {
        var blocks = new ModuleList<Block>();
        for (int i = 0; i < Depth; i++)
        {
            blocks.append(new Block(Width, Heads));
        }

        return blocks;
    }

    private static Tensor Loss(Tensor scores, Tensor next) => cross_entropy(scores.flatten(0, 1), next.flatten());
}
