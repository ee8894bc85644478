using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Optimizers;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>Curvature in training: when it is estimated, of what, and that no partition changes it.</summary>
public sealed class CurvatureTrainingTests
{
    private static readonly CurvatureOptions Options = new(
        Rank: 3, Smallest: 1, Every: 4, Warmup: 3, Batch: 0, Alpha: 0.1, MaxScale: 3, CurvatureScope.Global);

    // A fixed number of products, enough for all pairs, in float64: nothing is decided by rounding.
    private static readonly LanczosSettings Fixed = new()
    {
        Tolerance = 0,
        MaxOrder = 60,
        CertificateProducts = 0,
        BasisType = ScalarType.Float64,
    };

    [Theory]
    [InlineData(BaseKind.HeavyBall)]
    [InlineData(BaseKind.Adam)]
    public void LossesAndEigenvaluesDoNotDependOnThePartition(BaseKind kind)
    {
        Run one = Train(1, new() { Base = kind, Curvature = Options }, 14, dropout: 0.2);
        Assert.Equal([3L, 7, 11], one.Refreshes.Select(r => r.Step));
        foreach (int stages in new[] { 2, 3 })
        {
            Run split = Train(stages, new() { Base = kind, Curvature = Options }, 14, dropout: 0.2);
            Compare.Near(one.Losses, split.Losses, 1e-8);
            Compare.Near(
                [.. one.Refreshes.SelectMany(r => r.Estimate.Eigenvalues)], [.. split.Refreshes.SelectMany(r => r.Estimate.Eigenvalues)], 1e-8);
        }
    }

    [Theory]
    [InlineData(2, 2, 3)]
    [InlineData(4, 2, 4)]
    [InlineData(6, 3, 5)]
    public void NorOnHowManyStagesARankHolds(int stages, int stagesPerRank, int microBatches)
    {
        PlanOverrides overrides = new() { MicroBatches = microBatches, Curvature = Options };
        Run plain = Train(1, overrides, 14, dropout: 0.2, blocks: 6);
        Run interleaved = Train(
            stages, overrides with { Schedule = Schedule.Interleaved, StagesPerRank = stagesPerRank }, 14, dropout: 0.2, blocks: 6);
        Assert.Equal(3, interleaved.Refreshes.Count);
        Compare.Near(plain.Losses, interleaved.Losses, 1e-8);
        Compare.Near(
            [.. plain.Refreshes.SelectMany(r => r.Estimate.Eigenvalues)], [.. interleaved.Refreshes.SelectMany(r => r.Estimate.Eigenvalues)], 1e-8);
    }

    [Fact]
    public void ASubspaceForEachStageTakesOneStageOnEachRank()
    {
        PlanOverrides overrides = new() { Schedule = Schedule.Interleaved, Curvature = Options with { Scope = CurvatureScope.Stage } };
        ArgumentException refused = Assert.Throws<ArgumentException>(() => Train(2, overrides, 3));
        Assert.Contains("CurvatureScope.Global", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ReplicasEstimateTheHessianOfTheirCommonLoss()
    {
        Run one = Train(2, new() { Batch = 32, MicroBatches = 4, Curvature = Options }, 9);
        Run two = Train(2, new() { Batch = 16, MicroBatches = 2, Replicas = 2, Curvature = Options }, 9);
        Compare.Near(one.Losses, two.Losses, 1e-8);
    }

    [Fact]
    public void TheSubspaceChangesTheCourseAndTheFirstOrderOptimizerHasNone()
    {
        Run hybrid = Train(2, new() { Curvature = Options }, 8);
        Run alone = Train(2, new() { Curvature = Options }, 8, optimizer: OptimizerKind.FirstOrder);
        Assert.Empty(alone.Refreshes);
        Assert.Equal(hybrid.Losses[..3], alone.Losses[..3]);
        Assert.NotEqual(hybrid.Losses[3], alone.Losses[3]);
    }

    [Fact]
    public void EachStagesBlockHasItsOwnEigenvaluesWithinThoseOfTheWhole()
    {
        Run whole = Train(3, new() { Curvature = Options }, 3);
        Run blocks = Train(3, new() { Curvature = Options with { Scope = CurvatureScope.Stage } }, 3);
        CurvatureEstimate all = Assert.Single(whole.Refreshes).Estimate;
        Assert.Equal([0, 1, 2], blocks.Refreshes.Select(r => r.Stage));
        Assert.All(blocks.Refreshes, block =>
        {
            // Cauchy's interlacing: a diagonal block's extremes lie within the whole matrix's.
            Assert.Equal(4, block.Estimate.Eigenvalues.Count);
            Assert.True(block.Estimate.Eigenvalues[^1] <= all.Eigenvalues[^1] + 1e-9);
            Assert.True(block.Estimate.Eigenvalues[0] >= all.Eigenvalues[0] - 1e-9);
            Assert.True(block.Estimate.Products > 0);
        });
        Assert.Equal(3, blocks.Refreshes.Select(b => b.Estimate.Eigenvalues[^1]).Distinct().Count());
    }

    [Fact]
    public void BlocksThatCouldOvershootTogetherAreRefused()
    {
        PlanOverrides overrides = new() { DType = DType.Float64, Curvature = Options with { Scope = CurvatureScope.Stage, Alpha = 2 } };
        using var world = World.Join();
        ArgumentException refused = Assert.Throws<ArgumentException>(() => new Trainer(ChainModel.Define(3), world, new() { Overrides = overrides }));
        Assert.Contains("overshoot", refused.Message, StringComparison.OrdinalIgnoreCase);
        using var allowed = new Trainer(ChainModel.Define(3), world, new() { Overrides = overrides, Update = new() { AllowOvershoot = true } });
        using var global = new Trainer(ChainModel.Define(3), world, new() { Overrides = overrides with { Curvature = Options with { Alpha = 2 } } });
    }

    [Fact]
    public void TheGaussNewtonMatrixHasNoNegativeEigenvalues()
    {
        CurvatureEstimate hessian = Train(2, new() { Curvature = Options }, 3).Refreshes[0].Estimate;
        CurvatureEstimate gaussNewton = Train(2, new() { Curvature = Options }, 3, products: new() { Matrix = CurvatureMatrix.GaussNewton }).Refreshes[0].Estimate;
        Assert.True(hessian.Eigenvalues[0] < -1e-6);
        Assert.True(gaussNewton.Eigenvalues[0] > -1e-12);
    }

    [Fact]
    public void ControlsTakeNoPartOfTheCurvature()
    {
        Run estimated = Train(2, new() { Curvature = Options }, 8);
        Run random = Train(2, new() { Curvature = Options }, 8, update: new() { RandomDirections = true });
        Run without = Train(2, new() { Curvature = Options with { Alpha = 0, MaxScale = 1 } }, 8, update: new() { RandomDirections = true });
        Assert.Equal(estimated.Losses[..3], random.Losses[..3]);
        Assert.NotEqual(estimated.Losses[3], random.Losses[3]);
        Assert.NotEqual(random.Losses[3], without.Losses[3]);
        Assert.Equal(estimated.Refreshes[0].Estimate.Eigenvalues, random.Refreshes[0].Estimate.Eigenvalues);
    }

    [Fact]
    public void UnderConsensusARefreshWaitsForTheNextRound()
    {
        var admm = new AdmmOptions(Period: 4, Sigma: 0.1, Relaxation: 1, AdmmRule.Consensus);
        Run run = Train(2, new() { Batch = 16, Replicas = 2, Admm = admm, Curvature = Options with { Every = 3 } }, 14);

        // Due before 3, 6, 9 and 12; rounds end after 4, 8 and 12.
        Assert.Equal([5L, 9, 13], run.Refreshes.Select(r => r.Step));
    }

    [Theory]
    [InlineData(8)]
    [InlineData(96)]
    public void TheCurvatureBatchMayBeSmallerOrLargerThanTheTrainingBatch(int samples)
    {
        CurvatureEstimate usual = Train(2, new() { Curvature = Options }, 3).Refreshes[0].Estimate;
        CurvatureEstimate other = Train(2, new() { Curvature = Options with { Batch = samples } }, 3).Refreshes[0].Estimate;
        Assert.NotEqual(usual.Eigenvalues, other.Eigenvalues);
        Assert.All(other.Eigenvalues, value => Assert.True(double.IsFinite(value)));
    }

    [Fact]
    public void TheNumberOfLiveTensorsStaysTheSameOverRefreshes()
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor points, Tensor labels) = ChainModel.Data(32, float64);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2), world, new()
        {
            Estimation = Fixed,
            Overrides = new() { DType = DType.Float64, Curvature = Options with { Every = 1, Warmup = 1 } },
        });
        var counts = new List<long>();
        for (int i = 0; i < 6; i++)
        {
            trainer.TrainStep(new([points], [labels]));
            if (i == 1)
            {
                LiveTensors.Settle();
            }

            counts.Add(LiveTensors.Count);
        }

        Assert.All(counts.Skip(2), count => Assert.Equal(counts[2], count));
    }

    private static Run Train(
        int stages, PlanOverrides overrides, int steps, double dropout = 0, OptimizerKind optimizer = OptimizerKind.Hybrid,
        PipelineHessianSettings? products = null, HybridSettings? update = null, int blocks = 3)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(32 * steps, float64);
        using (points)
        using (labels)
        {
            using var data = new TensorDataset(points, labels);
            var run = new Run([], []);
            using var world = World.Join();
            using var trainer = new Trainer(ChainModel.Define(stages, blocks, dropout: dropout), world, new()
            {
                LearningRate = RateFor(overrides),
                Optimizer = optimizer,
                GradientClip = 1,
                Estimation = Fixed,
                Products = products ?? new(),
                Update = update ?? new(),
                Overrides = overrides with { DType = DType.Float64 },
            });
            trainer.StepCompleted += step => run.Losses.Add(step.Result.Loss);
            trainer.CurvatureRefreshed += run.Refreshes.Add;
            trainer.Fit(data);
            Assert.Equal(steps, run.Losses.Count);
            return run;
        }

        static double RateFor(PlanOverrides overrides) => overrides.Base == BaseKind.Adam ? 0.01 : 0.1;
    }

    private sealed record Run(List<double> Losses, List<CurvatureRefreshed> Refreshes);
}
