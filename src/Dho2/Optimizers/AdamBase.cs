using System;
using System.Collections.Generic;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>Adam (Kingma and Ba 2015), with the bias corrections of its algorithm 1.</summary>
internal sealed class AdamBase : FlatBase
{
    private readonly BaseSettings settings;
    private readonly Tensor mean;
    private readonly Tensor square;
    private readonly Dictionary<string, Tensor> vectors;
    private readonly ScalarType type;
    private readonly IntPtr meanAddress;
    private readonly IntPtr squareAddress;

    public AdamBase(Tensor like, BaseSettings settings)
        : base(BaseKind.Adam)
    {
        this.settings = settings;
        mean = ZerosLike(like);
        square = ZerosLike(like);
        type = like.dtype;
        meanAddress = HostRows.AddressOrZero(mean);
        squareAddress = HostRows.AddressOrZero(square);
        vectors = new Dictionary<string, Tensor> { ["mean"] = mean, ["square"] = square };
    }

    private double Correction => 1 - Math.Pow(settings.Decay, Steps);

    private double SecondCorrection => 1 - Math.Pow(settings.SecondDecay, Steps);

    public override IReadOnlyDictionary<string, Tensor> Vectors => vectors;

    public override void Apply(Tensor gradient, double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        BeginStep();
        mean.ScaleBy(settings.Decay).AddScaled(gradient, 1 - settings.Decay);
        square.ScaleBy(settings.SecondDecay).AddScaledProduct(gradient, gradient, 1 - settings.SecondDecay);

        // The gradient's memory takes the denominator, and then the step.
        gradient.copy_(square).DivideBy(SecondCorrection).sqrt_().IncreaseBy(settings.Epsilon);
        gradient.reciprocal_().mul_(mean).ScaleBy(-learningRate / Correction);
    }

    // The mean of the squares is at least the square of the mean; without it the next steps would be far longer than Adam's are.
    internal override void TakeOver(Tensor mean)
    {
        this.mean.Increase(mean);
        square.AddScaledProduct(mean, mean, SecondCorrection);
    }

    internal override unsafe void ApplyTile(byte* gradient, long start, int count, double learningRate)
    {
        double gain = -learningRate / Correction;
        if (type == ScalarType.Float64)
        {
            BaseTiles.Adam(
                (double*)gradient, HostRows.At<double>(meanAddress, start), HostRows.At<double>(squareAddress, start), count,
                settings.Decay, settings.SecondDecay, SecondCorrection, settings.Epsilon, gain);
        }
        else
        {
            BaseTiles.Adam(
                (float*)gradient, HostRows.At<float>(meanAddress, start), HostRows.At<float>(squareAddress, start), count,
                settings.Decay, settings.SecondDecay, SecondCorrection, settings.Epsilon, gain);
        }
    }
}
