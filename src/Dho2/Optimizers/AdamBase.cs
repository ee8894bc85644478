using System;
using System.Collections.Generic;
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

    public AdamBase(Tensor like, BaseSettings settings)
        : base(BaseKind.Adam)
    {
        this.settings = settings;
        mean = ZerosLike(like);
        square = ZerosLike(like);
        vectors = new Dictionary<string, Tensor> { ["mean"] = mean, ["square"] = square };
    }

    public override IReadOnlyDictionary<string, Tensor> Vectors => vectors;

    public override void Apply(Tensor gradient, double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        Steps++;
        double correction = 1 - Math.Pow(settings.Decay, Steps);
        double secondCorrection = 1 - Math.Pow(settings.SecondDecay, Steps);
        mean.mul_(settings.Decay).add_(gradient, 1 - settings.Decay);
        square.mul_(settings.SecondDecay).addcmul_(gradient, gradient, 1 - settings.SecondDecay);

        // The gradient's memory takes the denominator, and then the step.
        gradient.copy_(square).div_(secondCorrection).sqrt_().add_(settings.Epsilon);
        gradient.reciprocal_().mul_(mean).mul_(-learningRate / correction);
    }
}
