using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Data;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>Optimizer state and curvature shared out over replicas, and gradients reduced in buckets: the numbers stay the same.</summary>
public sealed class ShardedTrainingTests
{
    private static readonly CurvatureOptions Curvature = new(3, 1, 3, 2, 0, 0.1, 2, CurvatureScope.Global);

    // Rounding of float64 sums in another order, over six steps; an estimate's eigenvectors amplify it.
    public static TheoryData<int, int, BaseKind, CurvatureScope?, double> Cases() => new()
    {
        { 1, 2, BaseKind.HeavyBall, null, 1e-10 },
        { 2, 3, BaseKind.Adam, null, 1e-10 },
        { 2, 2, BaseKind.HeavyBall, CurvatureScope.Global, 1e-9 },
        { 2, 3, BaseKind.Adam, CurvatureScope.Global, 1e-9 },
        { 2, 2, BaseKind.Nesterov, CurvatureScope.Stage, 1e-9 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void ASharedOutOptimizerTrainsAsAWholeOne(int stages, int replicas, BaseKind kind, CurvatureScope? scope, double tolerance)
    {
        PlanOverrides whole = new()
        {
            DType = DType.Float64,
            Batch = 8,
            Replicas = replicas,
            Base = kind,
            Curvature = scope is { } s ? Curvature with { Scope = s } : null,
        };
        Compare.Near(Run(stages, whole, 1).Losses, Run(stages, whole with { ShardOptimizer = true }, 1).Losses, tolerance);
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 5)]
    public void GradientsReducedInBucketsBesideTheBackwardAreTheSame(int stages, int buckets)
    {
        PlanOverrides overrides = new() { DType = DType.Float64, Batch = 8, MicroBatches = 3, Replicas = 2 };
        (List<double> plain, List<RankTraffic> sent) = Run(stages, overrides, 1);
        (List<double> bucketed, List<RankTraffic> inBuckets) = Run(stages, overrides, buckets);
        Assert.Equal(plain, bucketed);

        // Two replicas halve every call without a rest.
        Assert.Equal(sent.Select(t => t.Sent), inBuckets.Select(t => t.Sent));
    }

    [Fact]
    public void ShardsHoldEveryParameterOnceAndKnowItsPlace()
    {
        // 51 elements in all do not divide by 4 replicas.
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(1), world, new() { Overrides = new() { Replicas = 4, Batch = 4, ShardOptimizer = true } });
        long count = trainer.Ranks[0].Flat.Count;
        Assert.NotEqual(0, count % 4);
        long[] lengths = [.. trainer.Ranks.Select(rank => rank.Optimizer.Base.Vectors["momentum"].numel())];
        Assert.Equal(count, lengths.Sum());
        Assert.All(lengths[..3], length => Assert.Equal((count + 3) / 4, length));
    }

    [Fact]
    public void SharingOutIsRefusedWhereReplicasTrainLocally()
    {
        using var world = World.Join();
        string message = Assert.Throws<ArgumentException>(() => new Trainer(ChainModel.Define(1), world, new()
        {
            Overrides = new() { Replicas = 2, ShardOptimizer = true, Admm = new AdmmOptions(4, 0.1, 1, AdmmRule.Consensus) },
        })).Message;
        Assert.Contains("ShardOptimizer", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(4, new[] { 3, 2, 1, 0 })]
    [InlineData(2, new[] { 2, 0 })]
    [InlineData(1, new[] { 0 })]
    [InlineData(9, new[] { 3, 2, 1, 0 })]
    public void BucketsBeginWithTheLastParametersAndLeaveNothingOut(int wanted, int[] firsts)
    {
        IReadOnlyList<GradientBucket> buckets = GradientBucket.Split([10, 10, 10, 10], wanted);
        Assert.Equal(firsts, buckets.Select(b => b.FirstParameter));
        Assert.Equal(40, buckets.Sum(b => b.Length));
        Assert.Equal(0, buckets[^1].Start);
        Assert.All(buckets.Zip(buckets.Skip(1)), pair => Assert.Equal(pair.First.Start, pair.Second.Start + pair.Second.Length));
        Assert.Equal(4, buckets.Sum(b => b.Parameters));
        Assert.Throws<ArgumentOutOfRangeException>(() => GradientBucket.Split([1], 0));
    }

    private static (List<double> Losses, List<RankTraffic> Traffic) Run(int stages, PlanOverrides overrides, int buckets)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(100, float64);
        using TensorDataset data = new(points, labels);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(stages, blocks: 2), world, new()
        {
            LearningRate = 0.05,
            GradientClip = 1,
            GradientBuckets = buckets,
            Estimation = new() { BasisType = float64, MaxOrder = 20, Tolerance = 0 },
            Overrides = overrides,
        });
        var losses = new List<double>();
        trainer.StepCompleted += step => losses.Add(step.Result.Loss);
        trainer.Fit(data);
        losses.Add(trainer.Evaluate(data).Loss);
        points.Dispose();
        labels.Dispose();
        return (losses, [.. trainer.Traffic]);
    }
}
