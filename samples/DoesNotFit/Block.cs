using System;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace DoesNotFitSample;

/// <summary>A transformer block: attention to what came before, then a small network, each added to its input.</summary>
public sealed class Block : Module<Tensor, Tensor>
{
    private readonly LayerNorm norm1;
    private readonly Linear attention;
    private readonly Linear output;
    private readonly LayerNorm norm2;
    private readonly Linear up;
    private readonly Linear down;
    private readonly int heads;

    /// <summary>Creates a block.</summary>
    /// <param name="width">Numbers per character.</param>
    /// <param name="heads">Heads of the attention; a divisor of <paramref name="width"/>.</param>
    public Block(int width, int heads) : base(nameof(Block))
    {
        this.heads = heads;
        norm1 = LayerNorm(width);
        attention = Linear(width, 3 * width);
        output = Linear(width, width);
        norm2 = LayerNorm(width);
        up = Linear(width, 4 * width);
        down = Linear(4 * width, width);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        long length = x.shape[1];
        long width = x.shape[2];
        Tensor[] parts = attention.forward(norm1.forward(x)).chunk(3, dim: -1);
        Tensor query = parts[0].view(-1, length, heads, width / heads).transpose(1, 2);
        Tensor key = parts[1].view(-1, length, heads, width / heads).transpose(1, 2);
        Tensor value = parts[2].view(-1, length, heads, width / heads).transpose(1, 2);

        // Written out: the fused attention has no second derivative, which curvature needs.
        Tensor scores = query.matmul(key.transpose(-2, -1)) / Math.Sqrt(width / heads);
        Tensor later = ones(length, length, dtype: torch.@bool).triu(1);
        Tensor weights = scores.masked_fill(later, double.NegativeInfinity).softmax(-1);
        x = x + output.forward(weights.matmul(value).transpose(1, 2).reshape(-1, length, width));
        return x + down.forward(gelu(up.forward(norm2.forward(x))));
    }
}
