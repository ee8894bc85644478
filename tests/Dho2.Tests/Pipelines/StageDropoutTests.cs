using System;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Pipelines;

public sealed class StageDropoutTests
{
    [Theory]
    [InlineData(0.0, false)]
    [InlineData(0.3, false)]
    [InlineData(0.3, true)]
    [InlineData(0.9, false)]
    [InlineData(1.0, false)]
    public void ComputesBitForBitWhatTorchSharpsDropoutDoes(double p, bool inplace)
    {
        foreach (ScalarType dtype in new[] { float32, float64 })
        {
            using DisposeScope scope = NewDisposeScope();
            var context = new StageContext(3);
            using var ours = new StageDropout(context, "block.drop", p, inplace);
            using nn.Module<Tensor, Tensor> theirs = nn.Sequential(("drop", nn.Dropout(p, inplace)));
            using var seeding = new DropoutSeeding(theirs, "block", 3, context.Position);

            // Wide enough for the generator to work in parallel.
            Tensor x = linspace(-1, 1, 70_001, dtype);
            (Tensor y, Tensor dx) = Apply(ours.forward, context.Position, x);
            (Tensor expected, Tensor expectedDx) = Apply(theirs.forward, context.Position, x);
            Assert.True(expected.equal(y).all().item<bool>());
            Assert.True(expectedDx.equal(dx).all().item<bool>());
            Assert.InRange((y == 0).sum().ToDouble() / x.numel(), p - 0.01, p + 0.01);
        }
    }

    [Fact]
    public void MasksDependOnSeedNameStepMicroBatchAndCallOnly()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = ones(64);
        bool[][] masks =
        [
            Mask(1, "a", 0, 0), Mask(2, "a", 0, 0), Mask(1, "b", 0, 0), Mask(1, "a", 1, 0), Mask(1, "a", 0, 1), Mask(1, "a", 0, 0, calls: 2),
        ];
        for (int i = 0; i < masks.Length; i++)
        {
            for (int j = 0; j < i; j++)
            {
                Assert.NotEqual(masks[i], masks[j]);
            }
        }

        torch.random.manual_seed(99);
        Assert.Equal(masks[0], Mask(1, "a", 0, 0));

        bool[] Mask(long seed, string name, long step, int microBatch, int calls = 1)
        {
            var context = new StageContext(seed);
            using var layer = new StageDropout(context, name);
            context.Position.MoveTo(step, microBatch);
            bool[] mask = [];
            for (int i = 0; i < calls; i++)
            {
                mask = [.. (layer.forward(x) == 0).data<bool>()];
            }

            return mask;
        }
    }

    [Fact]
    public void GivesTheInputBackOutsideTraining()
    {
        using DisposeScope scope = NewDisposeScope();
        using var layer = new StageDropout(new StageContext(0), "drop");
        layer.eval();
        Tensor x = ones(100);
        Assert.Equal(100, layer.forward(x).sum().item<float>());
    }

    [Theory]
    [InlineData(-0.1)]
    [InlineData(1.5)]
    [InlineData(double.NaN)]
    public void RefusesWhatIsNoProbability(double p) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new StageDropout(new StageContext(0), "drop", p));

    private static (Tensor Result, Tensor Gradient) Apply(Func<Tensor, Tensor> layer, MicroBatchPosition position, Tensor x)
    {
        position.MoveTo(4, 2);
        Tensor leaf = x.clone().requires_grad_();
        Tensor y = layer(leaf * 1);
        (y * y).sum().backward();
        return (y, leaf.grad!);
    }
}
