using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Admm;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>What several replicas share, and what each has of its own.</summary>
public sealed class ReplicaTrainingTests
{
    private const double Rate = 0.1;
    private static readonly PlanOverrides Two = new() { DType = DType.Float64, Batch = 16, Replicas = 2 };

    [Fact]
    public void ReplicasWithDataOfTheirOwnTrainSynchronouslyOnTheMeanOverBoth()
    {
        // The first replica has 40 samples (steps of 16, 16, 8), the second 20 (16, 4 and then none).
        using TensorDataset first = CreateData(40, 1);
        using TensorDataset second = CreateData(20, 2);
        var losses = new List<(double Loss, int Samples)>();
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2), world, new() { LearningRate = Rate, Epochs = 2, Seed = 3, Overrides = Two });
        trainer.StepCompleted += step => losses.Add((step.Result.Loss, step.Result.Samples));
        trainer.Fit([first, second]);

        Assert.Equal([32, 20, 8, 32, 20, 8], losses.Select(l => l.Samples));
        Assert.Contains("1 data sets for 2 replicas", Assert.Throws<ArgumentException>(() => trainer.Fit([first])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EachReplicaDrawsEverySampleOfItsOwnOnceAnEpochInAnOrderThatChanges()
    {
        using TensorDataset first = CreateData(40, 1);
        using TensorDataset second = CreateData(20, 2);
        ReplicaData data = ReplicaData.Own([first, second], 2, 16, seed: 5);
        long[][] epochs = [.. new[] { 1, 2 }.Select(epoch => data.Epoch(epoch).SelectMany(step => step[0]).ToArray())];
        Assert.Equal(60, data.Count);
        Assert.Equal(3, data.StepsPerEpoch);
        Assert.All(epochs, epoch => Assert.Equal(Enumerable.Range(0, 40).Select(i => (long)i), epoch.Order()));
        Assert.NotEqual(epochs[0], epochs[1]);
        Assert.Equal(Enumerable.Range(0, 20).Select(i => (long)i), data.Epoch(1).SelectMany(step => step[1]).Order());
        Assert.All(data.DrawForCurvature(1, 18, 7), i => Assert.InRange(i, 0, 19));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(2, 3)]
    public void WhatALossCountsOverAllMicroBatchesAndReplicasDividesIt(int stages, int replicas)
    {
        // Every label of the first third is ignored: micro-batches and replicas count different numbers of them.
        using TensorDataset data = CreateData(48, 1, ignored: 16);
        long[] all = [.. Enumerable.Range(0, 48).Select(i => (long)i)];
        using DisposeScope scope = NewDisposeScope();
        PipelineDefinition definition = Ignoring(ChainModel.Define(stages));
        var batch = new Batch(data.Inputs(all), data.Targets(all));
        using var unsplit = (nn.Module<Tensor, Tensor>)definition.Unsplit(0);
        unsplit.to(float64);
        Tensor expected = nn.functional.cross_entropy(unsplit.forward(batch.Inputs[0]), batch.Targets[0], ignore_index: -100);
        expected.backward();
        double norm = Math.Sqrt(unsplit.parameters().Sum(p => p.grad!.pow(2).sum().item<double>()));

        using var world = World.Join();
        using var trainer = new Trainer(definition, world, new()
        {
            LearningRate = Rate,
            Overrides = new() { DType = DType.Float64, Batch = 48 / replicas, MicroBatches = 4, Replicas = replicas },
        });
        Evaluation before = trainer.Evaluate(data);
        StepResult result = trainer.TrainStep(batch);
        Assert.Equal(expected.item<double>(), result.Loss, 1e-12);
        Assert.Equal(expected.item<double>(), before.Loss, 1e-12);
        Assert.Equal(norm, result.GradientNorm, 1e-12);
        Assert.Equal(48, before.Samples);
        Tensor labelled = batch.Targets[0].narrow(0, 16, 32);
        Tensor guesses = unsplit.forward(batch.Inputs[0]).argmax(1).narrow(0, 16, 32);
        Assert.Equal(guesses.eq(labelled).count_nonzero().item<long>() / 32.0, before.Accuracy);
    }

    [Fact]
    public void CurvatureOfALossThatCountsIsThatOfTheSamplesItCounts()
    {
        // Samples with ignored labels change neither loss nor Hessian: the same eigenvalues as without them.
        double[] Eigenvalues(int ignored)
        {
            using TensorDataset data = CreateData(32 + ignored, 1, ignored);
            using var world = World.Join();
            var found = new List<double>();
            using var trainer = new Trainer(Ignoring(ChainModel.Define(2)), world, new()
            {
                LearningRate = Rate,
                Estimation = new() { Tolerance = 0, BasisType = float64, MaxOrder = 30 },
                Overrides = new()
                {
                    DType = DType.Float64,
                    Batch = 32 + ignored,
                    MicroBatches = 4,
                    Curvature = new(3, 0, 100, 1, 0, 0.1, 1, CurvatureScope.Global),
                },
            });
            trainer.CurvatureRefreshed += refreshed => found.AddRange(refreshed.Estimate.Eigenvalues);
            long[] all = [.. Enumerable.Range(0, 32 + ignored).Select(i => (long)i)];
            using DisposeScope scope = NewDisposeScope();
            trainer.TrainStep(new Batch(data.Inputs(all), data.Targets(all)));
            return [.. found];
        }

        // The first samples of both data sets are the same; the ignored ones come first.
        double[] plain = Eigenvalues(0);
        Assert.Equal(3, plain.Length);
        Compare.Near(plain, Eigenvalues(17), 1e-8);
    }

    [Fact]
    public void AStepThatCountsNothingChangesNothing()
    {
        using TensorDataset data = CreateData(16, 1, ignored: 16);
        long[] all = [.. Enumerable.Range(0, 16).Select(i => (long)i)];
        using DisposeScope scope = NewDisposeScope();
        using var world = World.Join();
        using var trainer = new Trainer(Ignoring(ChainModel.Define(2)), world, new() { LearningRate = Rate, Overrides = new() { DType = DType.Float64 } });
        StepResult result = trainer.TrainStep(new Batch(data.Inputs(all), data.Targets(all)));
        Assert.Equal(0, result.Loss);
        Assert.Equal(0, result.GradientNorm);
    }

    [Theory]
    [InlineData(ScheduleUnit.Step)]
    [InlineData(ScheduleUnit.Epoch)]
    public void ASchedulesRateIsTheBasesAndTheNewtonPartFollowsIt(ScheduleUnit unit)
    {
        using TensorDataset data = CreateData(64, 1);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2), world, new()
        {
            LearningRate = 0.08,
            Epochs = 2,
            LearningRateSchedule = optimizer => torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5),
            ScheduleUnit = unit,
            Overrides = Two,
        });
        var rates = new List<double>();
        trainer.StepCompleted += step => rates.Add(step.Result.LearningRate);
        trainer.Fit(data);
        Compare.Near(unit == ScheduleUnit.Step ? [0.08, 0.04, 0.02, 0.01] : [0.08, 0.08, 0.04, 0.04], rates, 1e-15);
    }

    [Fact]
    public void TwoSchedulesAtOnceAreRefused()
    {
        using var world = World.Join();
        Assert.Contains("FinalLearningRate", Assert.Throws<ArgumentException>(() => new Trainer(ChainModel.Define(1), world, new()
        {
            FinalLearningRate = 0,
            LearningRateSchedule = optimizer => torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
        })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ASchedulesLossIsTheStepsSoThatAPlateauIsSeen()
    {
        // Patience 0 and an absolute threshold that no loss beats: every step but the first is a plateau.
        using TensorDataset data = CreateData(64, 1);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(1), world, new()
        {
            LearningRate = 0.08,
            Epochs = 2,
            LearningRateSchedule = optimizer => torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", 0.5, 0, 1e9, "abs"),
            Overrides = Two,
        });
        var rates = new List<double>();
        trainer.StepCompleted += step => rates.Add(step.Result.LearningRate);
        trainer.Fit(data);
        Assert.Equal(0.08, rates[0]);
        Assert.True(rates[^1] < 0.08, string.Join(", ", rates));
    }

    [Fact]
    public void RoundsTellResidualsAndEndEveryPeriod()
    {
        using TensorDataset data = CreateData(32 * 7, 1);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2), world, new()
        {
            LearningRate = Rate,
            Overrides = Two with { Admm = new AdmmOptions(3, 0.2, 1, AdmmRule.Consensus) },
        });
        var rounds = new List<(long Step, AdmmRound? Round)>();
        trainer.StepCompleted += step => rounds.Add((step.Result.Step, step.Result.Round));
        trainer.Fit(data);
        Assert.Equal([3, 6], rounds.Where(r => r.Round is not null).Select(r => r.Step));
        Assert.All(rounds.Where(r => r.Round is not null), r =>
            Assert.True(r.Round is { PrimalResidual: > 0, DualResidual: > 0, Sigma: 0.2 }, r.Round!.ToString()));
    }

    [Fact]
    public void CurvatureIsRefreshedAtTheFirstPeriodBoundaryWhereItIsDue()
    {
        // Due before steps 2, 7, 12 and 17; periods begin with steps 1, 5, 9, 13, 17.
        using TensorDataset data = CreateData(32 * 18, 1);
        foreach (bool local in new[] { false, true })
        {
            using var world = World.Join();
            using var trainer = new Trainer(ChainModel.Define(2), world, new()
            {
                LearningRate = Rate,
                Overrides = Two with
                {
                    Curvature = new(2, 0, 5, 2, 0, 0.05, 1, CurvatureScope.Global),
                    Admm = new AdmmOptions(4, 0.2, 1, AdmmRule.Consensus) { LocalCurvature = local },
                },
            });
            var steps = new List<long>();
            trainer.CurvatureRefreshed += refreshed => steps.Add(refreshed.Step);
            trainer.Fit(data);
            Assert.Equal([5, 9, 13, 17], steps);
        }
    }

    [Fact]
    public void SharedCurvatureIsThatOfAllReplicasAndLocalCurvatureThatOfOne()
    {
        using TensorDataset data = CreateData(32, 1);
        using DisposeScope scope = NewDisposeScope();
        long[] all = [.. Enumerable.Range(0, 32).Select(i => (long)i)];
        var whole = new Batch(data.Inputs(all), data.Targets(all));

        double[] Eigenvalues(PlanOverrides overrides, Batch batch)
        {
            using var world = World.Join();
            using var trainer = new Trainer(ChainModel.Define(2), world, new()
            {
                LearningRate = Rate,
                Estimation = new() { Tolerance = 0, BasisType = float64, MaxOrder = 30 },
                Overrides = overrides with { Curvature = new(3, 0, 100, 1, 0, 0.1, 1, CurvatureScope.Global) },
            });
            var found = new List<double>();
            trainer.CurvatureRefreshed += refreshed => found.AddRange(refreshed.Estimate.Eigenvalues);
            trainer.TrainStep(batch);
            return [.. found];
        }

        PlanOverrides one = Two with { Replicas = 1, Batch = 32 };
        AdmmOptions admm = new(1, 0.2, 1, AdmmRule.Consensus);
        Compare.Near(Eigenvalues(one, whole), Eigenvalues(Two with { Admm = admm }, whole), 1e-8);
        Compare.Near(Eigenvalues(one, whole.Narrow(0, 16)), Eigenvalues(Two with { Admm = admm with { LocalCurvature = true } }, whole), 1e-8);
    }

    [Fact]
    public void WhatIsCopiedIsTheConsensusAndTheMeanOfTheRunningStatistics()
    {
        using TensorDataset data = CreateData(64, 1);
        using DisposeScope scope = NewDisposeScope();
        long[] all = [.. Enumerable.Range(0, 64).Select(i => (long)i)];
        var batch = new Batch(data.Inputs(all), data.Targets(all));
        PipelineDefinition definition = ChainModel.Define(2, batchNorm: true);

        Dictionary<string, Tensor> State(AdmmOptions? admm, int steps)
        {
            using var world = World.Join();
            using var trainer = new Trainer(definition, world, new() { LearningRate = Rate, Overrides = Two with { Batch = 32, Admm = admm } });
            for (int i = 0; i < steps; i++)
            {
                trainer.TrainStep(batch);
            }

            nn.Module copy = definition.Unsplit(9);
            copy.to(float64);
            trainer.CopyTo(copy);

            // Clones: a module that nobody holds any more is collected with its tensors.
            var state = copy.state_dict().ToDictionary(e => e.Key, e => e.Value.clone());
            GC.KeepAlive(copy);
            return state;
        }

        void Same(Dictionary<string, Tensor> expected, Dictionary<string, Tensor> actual) =>
            Assert.All(expected.Where(e => e.Value.is_floating_point()), e => Assert.True(e.Value.allclose(actual[e.Key], 0, 1e-12), e.Key));

        // Between two rounds it is what the last round made; and a round's statistics are the mean of both replicas'.
        AdmmOptions admm = new(2, 0.1, 1, AdmmRule.Consensus);
        Dictionary<string, Tensor> round = State(admm, 2);
        Same(round, State(admm, 3));
        Assert.Contains(round.Keys, key => key.Contains("running_mean", StringComparison.Ordinal));

        Tensor Mean(Batch half)
        {
            using var model = (nn.Module<Tensor, Tensor>)definition.Unsplit(0);
            model.to(float64);
            model.train();
            foreach (Batch micro in new[] { half.Narrow(0, 16), half.Narrow(16, 16) })
            {
                model.forward(micro.Inputs[0]);
            }

            return model.state_dict()["block0.norm.running_mean"].clone();
        }

        // One step from the same weights: the two replicas' statistics are those of the unsplit model on each half.
        Tensor expected = (Mean(batch.Narrow(0, 32)) + Mean(batch.Narrow(32, 32))) / 2;
        Assert.True(expected.allclose(State(null, 1)["block0.norm.running_mean"], 0, 1e-12), "reduced gradients");
        Assert.True(expected.allclose(State(admm with { Period = 1 }, 1)["block0.norm.running_mean"], 0, 1e-12), "consensus");
    }

    /// <summary>The same model with a loss that returns the sum over labels that are not -100, and their number.</summary>
    private static PipelineDefinition Ignoring(PipelineDefinition definition) => new()
    {
        DescriptionText = definition.DescriptionText,
        PlanHash = definition.PlanHash,
        Stages = definition.Stages,
        Loss = (results, targets) => nn.functional.cross_entropy(results[0], targets[0], ignore_index: -100),
        CountedLoss = (results, targets) => (
            nn.functional.cross_entropy(results[0], targets[0], ignore_index: -100, reduction: nn.Reduction.Sum),
            targets[0].ge(0).count_nonzero()),
        Unsplit = definition.Unsplit,
    };

    /// <summary>Points of the plane; so many more with ignored labels come first.</summary>
    private static TensorDataset CreateData(int samples, int seed, int ignored = 0)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor points, Tensor labels) = ChainModel.Data(samples, float64, seed);
        if (ignored > 0)
        {
            // What follows the ignored ones is the data set's beginning, so that runs with and without them compare.
            points = cat([points.narrow(0, 0, ignored) * 3, points.narrow(0, 0, samples - ignored)]);
            labels = cat([full_like(labels.narrow(0, 0, ignored), -100), labels.narrow(0, 0, samples - ignored)]);
        }

        return new TensorDataset(points, labels);
    }
}
