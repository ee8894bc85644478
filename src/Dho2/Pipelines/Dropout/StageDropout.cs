using System;
using Dho2.Numerics;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>
/// Dropout in a stage (Srivastava et al. 2014). For the same seed its mask and its arithmetic are, on the CPU, bit for bit
/// those of TorchSharp's <c>Dropout</c>; but it draws from a generator of its own, since the default one is shared by all
/// ranks of the process.
/// </summary>
public sealed class StageDropout : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly MaskSeeds seeds;
    private readonly torch.Generator generator;

    /// <summary>Creates the layer.</summary>
    /// <param name="context">The stage's context: the run's seed, and the micro-batch being computed.</param>
    /// <param name="name">The layer's name in the unsplit model.</param>
    /// <param name="p">The probability that an element becomes zero, from 0 to 1.</param>
    /// <param name="inplace">Whether the input itself is changed.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="p"/> is no probability.</exception>
    public StageDropout(StageContext context, string name, double p = 0.5, bool inplace = false)
        : base(name)
    {
        if (!(p >= 0 && p <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(p), p, $"Dropout '{name}' takes a probability from 0 to 1.");
        }

        this.p = p;
        this.inplace = inplace;
        seeds = new MaskSeeds(context.Seed, name, context.Position);
        generator = new torch.Generator(0, context.Device);
    }

    // Named as in TorchSharp's Dropout, since copied statements may read them.
#pragma warning disable IDE1006, SA1300
    /// <summary>The probability that an element becomes zero.</summary>
    public double p { get; }

    /// <summary>Whether the input itself is changed.</summary>
    public bool inplace { get; }
#pragma warning restore IDE1006, SA1300

    /// <summary>Applies the mask of the current micro-batch; outside training, gives the input back.</summary>
    /// <param name="input">Any shape.</param>
    public override torch.Tensor forward(torch.Tensor input)
    {
        if (!training || p == 0 || input.numel() == 0)
        {
            return input.alias();
        }

        using torch.Tensor mask = p == 1 ? torch.zeros([], input.dtype, input.device) : Draw(input);
        return inplace ? input.mul_(mask).alias() : input.mul(mask);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            generator.Dispose();
        }

        base.Dispose(disposing);
    }

    private torch.Tensor Draw(torch.Tensor input)
    {
        generator.manual_seed(seeds.Next());
        using IDisposable noGrad = torch.no_grad();
        return torch.empty_like(input).bernoulli_(1 - p, generator).DivideBy(1 - p);
    }
}
