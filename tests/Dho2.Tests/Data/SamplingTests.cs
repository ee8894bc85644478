using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Data;

public sealed class SamplingTests
{
    [Theory]
    [InlineData(100, 8, 1)]
    [InlineData(100, 8, 3)]
    [InlineData(97, 10, 4)]
    [InlineData(5, 8, 2)]
    [InlineData(17, 4, 4)]
    public void EverySampleIsDealtOnceAnEpochAndNeverToTwoReplicas(int count, int batch, int replicas)
    {
        var sampler = new EpochSampler(count, batch, replicas, seed: 3);
        foreach (IEnumerable<long[][]> epoch in new[] { sampler.Shuffled(1), sampler.Shuffled(2), sampler.InOrder() })
        {
            long[][][] steps = [.. epoch];
            Assert.Equal(sampler.StepsPerEpoch, steps.Length);
            Assert.Equal(Enumerable.Range(0, count), steps.SelectMany(s => s).SelectMany(s => s).Order().Select(i => (int)i));
            Assert.All(steps[..^1], step => Assert.All(step, share => Assert.Equal(batch, share.Length)));
            Assert.True(steps[^1].Max(s => s.Length) - steps[^1].Min(s => s.Length) <= 1);
        }
    }

    [Fact]
    public void TheOrderDependsOnSeedAndEpochAlone()
    {
        Assert.Equal(Order(1, 1), Order(1, 1));
        Assert.NotEqual(Order(1, 1), Order(1, 2));
        Assert.NotEqual(Order(1, 1), Order(2, 1));

        // The whole batch holds the same samples, however many replicas share it.
        Assert.Equal(
            new EpochSampler(60, 12, 1, 5).Shuffled(1).Select(s => s.SelectMany(r => r)),
            new EpochSampler(60, 4, 3, 5).Shuffled(1).Select(s => s.SelectMany(r => r)));

        static long[] Order(long seed, int epoch) => [.. new EpochSampler(50, 7, 1, seed).Shuffled(epoch).SelectMany(s => s[0])];
    }

    [Fact]
    public void EveryPlaceIsEquallyLikely()
    {
        // Where sample 0 lands over 6,000 epochs of 6: 1,000 expected each, standard deviation 29.
        int[] hits = new int[6];
        var sampler = new EpochSampler(6, 6, 1, 0);
        for (int epoch = 0; epoch < 6000; epoch++)
        {
            hits[Array.IndexOf(sampler.Shuffled(epoch).Single()[0], 0L)]++;
        }

        Assert.All(hits, h => Assert.InRange(h, 850, 1150));
    }

    [Fact]
    public void ATensorDatasetGivesTheRowsAskedForAndOutlivesTheHandlesItWasMadeOf()
    {
        using DisposeScope scope = NewDisposeScope();
        TensorDataset data;
        using (Tensor x = arange(12, dtype: float32).view(6, 2))
        using (Tensor y = arange(6))
        {
            data = new TensorDataset(x, y);
        }

        using (data)
        {
            Assert.Equal(6, data.Count);
            Assert.Equal([10f, 11f, 0f, 1f], data.Inputs([5, 0])[0].data<float>().ToArray());
            Assert.Equal([5L, 0L], data.Targets([5, 0])[0].data<long>().ToArray());
        }
    }

    [Fact]
    public void RefusesTensorsOfDifferentLength()
    {
        using DisposeScope scope = NewDisposeScope();
        string message = Assert.Throws<ArgumentException>(() => new TensorDataset(zeros(5, 2), zeros(4))).Message;
        Assert.Contains("5 samples, another tensor 4", message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new Dho2.Pipelines.Batch([zeros(5, 2)], [zeros(4)]));
    }
}
