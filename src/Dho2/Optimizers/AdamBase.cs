using System;
using System.Collections.Generic;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>Adam (Kingma and Ba 2015), with the bias corrections of its algorithm 1.</summary>
internal sealed class AdamBase : FlatBase
{
    private readonly BaseSettings _settings;
    private readonly Tensor _mean;
    private readonly Tensor _square;
    private readonly Dictionary<string, Tensor> _vectors;

    public AdamBase(Tensor like, BaseSettings settings)
        : base(BaseKind.Adam)
    {
        _settings = settings;
        _mean = ZerosLike(like);
        _square = ZerosLike(like);
        _vectors = new Dictionary<string, Tensor> { ["mean"] = _mean, ["square"] = _square };
    }

    public override IReadOnlyDictionary<string, Tensor> Vectors => _vectors;

    public override void Apply(Tensor gradient, double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        Steps++;
        double correction = 1 - Math.Pow(_settings.Decay, Steps);
        double secondCorrection = 1 - Math.Pow(_settings.SecondDecay, Steps);
        _mean.mul_(_settings.Decay).add_(gradient, 1 - _settings.Decay);
        _square.mul_(_settings.SecondDecay).addcmul_(gradient, gradient, 1 - _settings.SecondDecay);

        // The gradient's memory takes the denominator, and then the step.
        gradient.copy_(_square).div_(secondCorrection).sqrt_().add_(_settings.Epsilon);
        gradient.reciprocal_().mul_(_mean).mul_(-learningRate / correction);
    }
}
