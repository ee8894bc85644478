using System;
using System.Collections.Generic;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>The numbers of a first-order optimizer.</summary>
public sealed record BaseSettings
{
    /// <summary>Momentum decay (d), and Adam's first; in [0, 1).</summary>
    public double Decay { get; init; } = Defaults.Decay;

    /// <summary>Adam's second decay; in [0, 1).</summary>
    public double SecondDecay { get; init; } = 0.999;

    /// <summary>Adam's addition to the denominator; above 0.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="ArgumentException">A number is out of its range; the message names it and the range.</exception>
    public void Validate()
    {
        Ranges.Require(Decay is >= 0 and < 1, $"Decay ({Decay}) must lie in [0, 1).");
        Ranges.Require(SecondDecay is >= 0 and < 1, $"SecondDecay ({SecondDecay}) must lie in [0, 1).");
        Ranges.Require(Epsilon > 0 && double.IsFinite(Epsilon), $"Epsilon ({Epsilon}) must be above 0.");
    }
}

/// <summary>
/// A first-order optimizer on one flat vector: turns a gradient into a step, in place, with state that is allocated once.
/// </summary>
public abstract class FlatBase : IDisposable
{
    private protected FlatBase(BaseKind kind) => Kind = kind;

    /// <summary>Which optimizer this is.</summary>
    public BaseKind Kind { get; }

    /// <summary>Creates an optimizer for vectors of one shape.</summary>
    /// <param name="kind">Which one.</param>
    /// <param name="like">A vector of that shape, element type and device, shape (n_s).</param>
    /// <param name="settings">Its numbers.</param>
    public static FlatBase Create(BaseKind kind, Tensor like, BaseSettings? settings = null)
    {
        settings ??= new BaseSettings();
        settings.Validate();
        return kind switch
        {
            BaseKind.Adam => new AdamBase(like, settings),
            BaseKind.Sgd or BaseKind.HeavyBall or BaseKind.Nesterov => new MomentumBase(kind, like, settings),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Unknown base optimizer."),
        };
    }

    /// <summary>Replaces a gradient by the step to be added to the parameters.</summary>
    /// <param name="gradient">The gradient, shape (n_s); overwritten with the step, which points downhill.</param>
    /// <param name="learningRate">The rate.</param>
    public abstract void Apply(Tensor gradient, double learningRate);

    /// <summary>Counts a step that is taken tile by tile.</summary>
    internal void BeginStep() => Steps++;

    /// <summary>Replaces a tile of the gradient in host memory by the step, after <see cref="BeginStep"/>.</summary>
    /// <param name="gradient">The tile, of the vectors' element type.</param>
    /// <param name="start">Its first element in the vector.</param>
    /// <param name="count">Its number of elements.</param>
    /// <param name="learningRate">The rate.</param>
    internal abstract unsafe void ApplyTile(byte* gradient, long start, int count, double learningRate);

    /// <summary>Takes over what was kept from it: its momentum becomes what it would be with that as part of all gradients so far.</summary>
    /// <param name="mean">The mean of what was kept from it, weighted as its momentum weighs gradients, shape (n_s).</param>
    internal abstract void TakeOver(Tensor mean);

    /// <summary>Its vectors, by name: live, to be read or overwritten between steps; shape (n_s) each.</summary>
    public abstract IReadOnlyDictionary<string, Tensor> Vectors { get; }

    /// <summary>The number of steps taken, which Adam's bias correction depends on.</summary>
    public long Steps { get; set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor vector in Vectors.Values)
        {
            vector.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    private protected static Tensor ZerosLike(Tensor like) => zeros_like(like, requires_grad: false).DetachFromDisposeScope();
}
