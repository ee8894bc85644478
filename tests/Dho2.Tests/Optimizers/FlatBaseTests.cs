using System;
using Dho2.Optimizers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Tests.Optimizers;

public class FlatBaseTests
{
    [Theory]
    [InlineData(BaseKind.Sgd, ScalarType.Float64, 1e-14)]
    [InlineData(BaseKind.HeavyBall, ScalarType.Float64, 1e-14)]
    [InlineData(BaseKind.Nesterov, ScalarType.Float64, 1e-14)]
    [InlineData(BaseKind.Adam, ScalarType.Float64, 1e-13)]
    [InlineData(BaseKind.Nesterov, ScalarType.Float32, 2e-6)]
    [InlineData(BaseKind.Adam, ScalarType.Float32, 2e-6)]
    public void Steps_are_those_of_TorchSharps_optimizer(BaseKind kind, ScalarType type, double tolerance)
    {
        random.manual_seed(1);
        using Tensor start = randn(1000, type);
        using Parameter theirs = new(start.clone());
        using Tensor ours = start.clone();
        using optim.Optimizer reference = kind switch
        {
            BaseKind.Sgd => optim.SGD([theirs], 0.05),
            BaseKind.HeavyBall => optim.SGD([theirs], 0.05, momentum: 0.9),
            BaseKind.Nesterov => optim.SGD([theirs], 0.05, momentum: 0.9, nesterov: true),
            _ => optim.Adam([theirs], 0.05),
        };
        using FlatBase flat = FlatBase.Create(kind, ours);
        for (int i = 0; i < 20; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor gradient = randn(1000, type);
            theirs.grad = gradient.clone();
            reference.step();
            flat.Apply(gradient, 0.05);
            ours.add_(gradient);
        }

        Compare.Near(Numbers(theirs), Numbers(ours), tolerance);
        Assert.Equal(20, flat.Steps);
        Assert.All(flat.Vectors.Values, vector => Assert.Equal(type, vector.dtype));
    }

    [Fact]
    public void Numbers_out_of_range_are_refused()
    {
        using Tensor like = zeros(3);
        Check(new BaseSettings { Decay = 1 }, "Decay (1)");
        Check(new BaseSettings { SecondDecay = -0.5 }, "SecondDecay (-0.5)");
        Check(new BaseSettings { Epsilon = 0 }, "Epsilon (0)");

        void Check(BaseSettings settings, string part) =>
            Assert.Contains(part, Assert.Throws<ArgumentException>(() => FlatBase.Create(BaseKind.Adam, like, settings)).Message);
    }

    private static double[] Numbers(Tensor tensor) => tensor.detach().to(ScalarType.Float64).data<double>().ToArray();
}
