using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Communication;
using Dho2.Tests.Curvature;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>
/// Parameters that several stages use train as in one piece, where they are one tensor: values, gradients, norms,
/// curvature and averaging over replicas.
/// </summary>
public sealed class TiedTrainingTests
{
    private static readonly HandModel Model = HandModels.All["ties"];

    [Theory]
    [InlineData(BaseKind.HeavyBall)]
    [InlineData(BaseKind.Adam)]
    public void TiedParametersTrainAsInOnePiece(BaseKind kind)
    {
        PlanOverrides overrides = new() { Base = kind, Curvature = new(3, 0, Every: 4, Warmup: 3, 0, 0.1, 3, CurvatureScope.Global) };
        Run one = Train(1, overrides);
        foreach (int stages in new[] { 2, 3, 4 })
        {
            Run split = Train(stages, overrides);
            Compare.Near(one.Losses, split.Losses, 1e-8);
            Compare.Near(one.Norms, split.Norms, 1e-8);
            Compare.Near(one.Eigenvalues, split.Eigenvalues, 1e-8);
            Assert.Equal(one.Evaluation, split.Evaluation, 1e-8);
        }
    }

    [Theory]
    [InlineData(Schedule.GPipe)]
    [InlineData(Schedule.OneForwardOneBackward)]
    [InlineData(Schedule.ZeroBubble)]
    public void RecomputedActivationsChangeNeitherTiesNorCurvature(Schedule schedule)
    {
        PlanOverrides overrides = new() { Schedule = schedule, MicroBatches = 4, Curvature = new(3, 0, Every: 4, Warmup: 3, 0, 0.1, 3, CurvatureScope.Global) };
        Run kept = Train(4, overrides);
        Run recomputed = Train(4, overrides with { Recompute = RecomputeOptions.Everywhere });
        Assert.Equal(kept.Losses, recomputed.Losses);
        Assert.Equal(kept.Norms, recomputed.Norms);
        Assert.Equal(kept.Eigenvalues, recomputed.Eigenvalues);
    }

    [Fact]
    public void ReplicasAverageTiedParametersAsOne()
    {
        PlanOverrides overrides = new() { Replicas = 2, Batch = 8, Admm = new(Period: 3, Sigma: 0.1, Relaxation: 1, AdmmRule.Consensus) };
        Compare.Near(Train(1, overrides).Losses, Train(4, overrides).Losses, 1e-9);
    }

    [Theory]
    [InlineData("tokens.weight", 0, "1", "uses the tied parameter 'tokens.weight'")]
    [InlineData("head.bias", 0, "3", "'head.bias'")]
    [InlineData("tokens.weight", 0, "3, 3", "ascending")]
    [InlineData("tokens.weight", 0, "0", "different")]
    [InlineData("tokens.weight", 0, "4", "of 4")]
    [InlineData("shift", 2, "1", "mirrors 'tokens.weight', which no tie gives it")]
    public void EndsThatDoNotFitAreRefused(string name, int owner, string mirrors, string message)
    {
        TiedParameter[] ties = [new(name, owner, [.. mirrors.Split(", ").Select(int.Parse)])];
        Exception?[] failures = Ranks.RunAll(4, pipeline =>
        {
            var context = new StageContext(1) { DType = float64 };
            using IPipelineStage stage = Model.Stage(context, pipeline.Rank, 4);
            using FlatParameters flat = new(stage.Layers, float64, CPU, stage.Mirrors);
            _ = new TieExchange(stage, flat, ties, pipeline);
        });
        Assert.Contains(failures.OfType<ArgumentException>(), failure => failure.Message.Contains(message, StringComparison.Ordinal));
    }

    private static Run Train(int stages, PlanOverrides overrides)
    {
        random.manual_seed(3);
        using Tensor tokens = Model.Inputs(88)[0];
        using Tensor labels = Model.Targets(88)[0];
        using var data = new TensorDataset(tokens, labels);
        using var world = World.Join();
        using var trainer = new Trainer(HandDefinition.Of(Model, stages), world, new()
        {
            LearningRate = overrides.Base == BaseKind.Adam ? 0.01 : 0.1,
            GradientClip = 0.5,
            Epochs = 2,
            Estimation = new() { Tolerance = 0, MaxOrder = 60, CertificateProducts = 0, BasisType = float64 },
            Overrides = overrides with { DType = DType.Float64 },
        });
        var run = new Run([], [], []);
        trainer.StepCompleted += step =>
        {
            run.Losses.Add(step.Result.Loss);
            run.Norms.Add(step.Result.GradientNorm);
        };
        trainer.CurvatureRefreshed += refreshed => run.Eigenvalues.AddRange(refreshed.Estimate.Eigenvalues);
        trainer.Fit(data);
        return run with { Evaluation = trainer.Evaluate(data).Loss };
    }

    private sealed record Run(List<double> Losses, List<double> Norms, List<double> Eigenvalues, double Evaluation = 0);
}
