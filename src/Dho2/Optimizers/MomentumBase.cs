using System;
using System.Collections.Generic;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>
/// The bases that are linear in the gradient: gradient descent, heavy-ball and Nesterov momentum. With
/// <c>b = d b + g</c> the steps are <c>-lr g</c>, <c>-lr b</c> and <c>-lr (g + d b)</c>.
/// </summary>
internal sealed class MomentumBase : FlatBase
{
    private readonly Dictionary<string, Tensor> vectors = [];
    private readonly ScalarType type;
    private readonly IntPtr momentum;

    public MomentumBase(BaseKind kind, Tensor like, BaseSettings settings)
        : base(kind)
    {
        Decay = settings.Decay;
        type = like.dtype;
        (GradientGain, MomentumGain) = kind switch
        {
            BaseKind.Sgd => (1, 0),
            BaseKind.HeavyBall => (0, 1),
            _ => (1.0, Decay),
        };

        if (kind != BaseKind.Sgd)
        {
            Momentum = ZerosLike(like);
            vectors["momentum"] = Momentum;
            momentum = HostRows.AddressOrZero(Momentum);
        }
    }

    /// <summary>The factor of the momentum from one step to the next.</summary>
    public double Decay { get; }

    /// <summary>The step's gain on the gradient.</summary>
    public double GradientGain { get; }

    /// <summary>The step's gain on the momentum that already contains the gradient.</summary>
    public double MomentumGain { get; }

    /// <summary>The momentum, shape (n_s); null for gradient descent.</summary>
    public Tensor? Momentum { get; }

    public override IReadOnlyDictionary<string, Tensor> Vectors => vectors;

    public override void Apply(Tensor gradient, double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        BeginStep();
        if (Momentum is null)
        {
            gradient.ScaleBy(-learningRate);
            return;
        }

        Momentum.ScaleBy(Decay).Increase(gradient);
        if (GradientGain == 0)
        {
            gradient.copy_(Momentum).ScaleBy(-learningRate);
        }
        else
        {
            gradient.AddScaled(Momentum, MomentumGain).ScaleBy(-learningRate);
        }
    }

    internal override void TakeOver(Tensor mean) => Momentum?.AddScaled(mean, 1 / (1 - Decay));

    internal override unsafe void ApplyTile(byte* gradient, long start, int count, double learningRate)
    {
        double gradientGain = -learningRate * GradientGain;
        double momentumGain = -learningRate * MomentumGain;
        if (type == ScalarType.Float64)
        {
            BaseTiles.Momentum((double*)gradient, HostRows.At<double>(momentum, start), count, Decay, gradientGain, momentumGain);
        }
        else
        {
            BaseTiles.Momentum((float*)gradient, HostRows.At<float>(momentum, start), count, Decay, gradientGain, momentumGain);
        }
    }
}
