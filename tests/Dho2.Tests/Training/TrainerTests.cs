using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Communication;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

public sealed class TrainerTests
{
    private const double Rate = 0.1;
    private static readonly PlanOverrides Float64 = new() { DType = DType.Float64 };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void LossesAreThoseOfTheUnsplitModelTrainedBesideIt(int stages)
    {
        // 150 samples in batches of 32: the last batch of an epoch has 22.
        PipelineDefinition definition = ChainModel.Define(stages, dropout: 0.2);
        using TensorDataset data = CreateData(150);
        var losses = new List<double>();
        using var world = World.Join();
        using var trainer = new Trainer(definition, world, new() { LearningRate = Rate, Epochs = 3, Seed = 4, GradientClip = 0.5, Overrides = Float64 });
        trainer.StepCompleted += step => losses.Add(step.Result.Loss);
        trainer.Fit(data);

        Assert.Equal(15, losses.Count);
        Compare.Near(TrainUnsplit(definition, data, epochs: 3, seed: 4, clip: 0.5), losses, 1e-10);
    }

    [Fact]
    public void LearnsAndEvaluatesWhatTheUnsplitModelWithItsWeightsDoes()
    {
        PipelineDefinition definition = ChainModel.Define(2);
        using TensorDataset data = CreateData(300);
        using TensorDataset test = CreateData(101, seed: 2);
        var epochs = new List<EpochCompleted>();
        using var world = World.Join();
        using var trainer = new Trainer(definition, world, new() { LearningRate = Rate, Epochs = 12, Overrides = Float64 });
        trainer.EpochCompleted += epochs.Add;
        trainer.Fit(data, test);
        Evaluation evaluation = trainer.Evaluate(test);

        Assert.Equal(Enumerable.Range(1, 12), epochs.Select(e => e.Epoch));
        Assert.Equal(evaluation, epochs[^1].Test);
        Assert.Equal(101, evaluation.Samples);
        Assert.True(evaluation.Accuracy > 0.9, $"Accuracy is {evaluation.Accuracy}.");

        using DisposeScope scope = NewDisposeScope();
        using var model = (nn.Module<Tensor, Tensor>)definition.Unsplit(0);
        model.to(float64);
        trainer.CopyTo(model);
        model.eval();
        long[] all = [.. Enumerable.Range(0, 101).Select(i => (long)i)];
        Tensor scores = model.forward(test.Inputs(all)[0]);
        Tensor labels = test.Targets(all)[0];
        Assert.Equal(scores.argmax(1).eq(labels).sum().item<long>() / 101.0, evaluation.Accuracy);
        Assert.Equal(nn.functional.cross_entropy(scores, labels).item<double>(), evaluation.Loss, 1e-12);
    }

    [Fact]
    public void RunsRepeatBitForBit()
    {
        double[] first = Run();
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(first, Run());
        }

        static double[] Run()
        {
            using TensorDataset data = CreateData(100, dtype: float32);
            var losses = new List<double>();
            using var world = World.Join();
            using var trainer = new Trainer(ChainModel.Define(3, dropout: 0.3), world, new() { LearningRate = Rate, Epochs = 2, ThreadsPerRank = 1 });
            trainer.StepCompleted += step => losses.Add(step.Result.Loss);
            trainer.Fit(data);
            return [.. losses, trainer.Evaluate(data).Loss];
        }
    }

    [Fact]
    public void ReplicasWithReducedGradientsTrainAsOnePipelineOverTheWholeBatch()
    {
        // With dropout: the second replica's micro-batches count on from the first's. 72 samples leave a last batch of 8.
        double[] Losses(PlanOverrides overrides)
        {
            using TensorDataset data = CreateData(72);
            var losses = new List<double>();
            using var world = World.Join();
            using var trainer = new Trainer(
                ChainModel.Define(2, dropout: 0.2), world, new() { LearningRate = Rate, Epochs = 2, GradientClip = 0.5, Overrides = overrides });
            trainer.StepCompleted += step => losses.AddRange([step.Result.Loss, step.Result.GradientNorm]);
            trainer.Fit(data);
            return [.. losses, trainer.Evaluate(data).Loss];
        }

        double[] one = Losses(Float64 with { Batch = 32, MicroBatches = 4 });
        double[] two = Losses(Float64 with { Batch = 16, MicroBatches = 2, Replicas = 2 });
        Compare.Near(one, two, 1e-10);
    }

    [Theory]
    [InlineData(BaseKind.Sgd)]
    [InlineData(BaseKind.HeavyBall)]
    [InlineData(BaseKind.Nesterov)]
    public void ConsensusAfterEveryStepEqualsReducedGradients(BaseKind kind)
    {
        // Equal shards, no clipping, a base that is linear in the gradient: the sum of the dual variables is 0 and the
        // proximal term vanishes at the consensus, whatever sigma is.
        double[] Losses(AdmmOptions? admm)
        {
            using TensorDataset data = CreateData(64);
            using var world = World.Join();
            using var trainer = new Trainer(ChainModel.Define(2), world, new()
            {
                LearningRate = Rate,
                Epochs = 5,
                Overrides = Float64 with { Batch = 16, Replicas = 2, Base = kind, Admm = admm },
            });
            var losses = new List<double>();
            trainer.StepCompleted += step => losses.Add(step.Result.Loss);
            trainer.Fit(data);
            return [.. losses, trainer.Evaluate(data).Loss];
        }

        Compare.Near(Losses(null), Losses(new AdmmOptions(1, 0.3, 1, AdmmRule.Consensus)), 1e-12);
    }

    [Fact]
    public void TheDualRuleReducesGradientsAndExtrapolatesAfterEachPeriod()
    {
        List<double> Losses(AdmmOptions? admm)
        {
            using TensorDataset data = CreateData(32 * 6);
            using var world = World.Join();
            using var trainer = new Trainer(ChainModel.Define(2), world, new()
            {
                LearningRate = Rate,
                Overrides = Float64 with { Batch = 16, Replicas = 2, Admm = admm },
            });
            var losses = new List<double>();
            trainer.StepCompleted += step => losses.Add(step.Result.Loss);
            trainer.Fit(data);
            return losses;
        }

        // The dual variable is 0 in the first period; after it comes the first step along it.
        List<double> reduced = Losses(null);
        List<double> dual = Losses(new AdmmOptions(4, 0.3, 1, AdmmRule.Dual));
        Compare.Near(reduced[..4], dual[..4], 1e-12);
        Assert.NotEqual(reduced[4], dual[4], 1e-6);
    }

    [Fact]
    public void BetweenTwoRoundsTheConsensusIsEvaluated()
    {
        using TensorDataset data = CreateData(64);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2), world, new()
        {
            LearningRate = Rate,
            Overrides = Float64 with { Batch = 16, Replicas = 2, Admm = new AdmmOptions(3, 0.1, 1, AdmmRule.Consensus) },
        });
        Batch batch = WholeBatch(data);
        double before = trainer.Evaluate(data).Loss;
        trainer.TrainStep(batch);
        trainer.TrainStep(batch);
        Assert.Equal(before, trainer.Evaluate(data).Loss);
        trainer.TrainStep(batch);
        Assert.NotEqual(before, trainer.Evaluate(data).Loss);
    }

    [Fact]
    public void TheRateGoesToItsFinalValueInAStraightLine()
    {
        using TensorDataset data = CreateData(64);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2), world, new() { LearningRate = 0.08, FinalLearningRate = 0, Epochs = 2, Overrides = Float64 });
        var rates = new List<double>();
        trainer.StepCompleted += step => rates.Add(step.Result.LearningRate);
        trainer.Fit(data);
        Compare.Near([0.08, 0.06, 0.04, 0.02], rates, 1e-15);
    }

    [Fact]
    public void DivergenceEndsTheRunWithOneClearMessage()
    {
        using TensorDataset data = CreateData(64, dtype: float32);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2), world, new() { LearningRate = 3e38, Epochs = 5 });
        var diverged = Assert.Throws<TrainingDivergedException>(() => trainer.Fit(data));
        Assert.Contains($"in step {diverged.Step} the", diverged.Message, StringComparison.Ordinal);
        Assert.Contains("3E+38", diverged.Message, StringComparison.Ordinal);
        string message = Assert.Throws<InvalidOperationException>(() => trainer.Evaluate(data)).Message;
        Assert.Contains("diverged", message, StringComparison.Ordinal);
    }

    [Fact]
    public void AFailureNamesRankStageMicroBatchAndInstruction()
    {
        // The second stage of the second replica fails in its fourth forward: step 1, micro-batch 1.
        int built = 0;
        using TensorDataset data = CreateData(128);
        using var world = World.Join();
        using var trainer = new Trainer(
            ChainModel.Define(2, beforeForward: (stage, forward) =>
            {
                if (stage == 1 && forward == 3 && System.Threading.Interlocked.Increment(ref built) == 1)
                {
                    throw new InvalidOperationException("out of paper");
                }
            }),
            world,
            new() { Overrides = Float64 });
        var failure = Assert.Throws<PipelineException>(() => trainer.Fit(data));
        Assert.Equal("Rank 1, stage 1, step 1, micro-batch 1, Forward: out of paper", failure.Message);
    }

    [Fact]
    public void ARankThatHangsEndsTheRunAndIsLeftBehind()
    {
        using var release = new System.Threading.ManualResetEventSlim();
        using TensorDataset data = CreateData(64);
        using var world = World.Join(TimeSpan.FromSeconds(2));
        using var trainer = new Trainer(
            ChainModel.Define(2, beforeForward: (stage, forward) =>
            {
                if (stage == 0 && forward == 2)
                {
                    release.Wait();
                }
            }),
            world,
            new() { Overrides = Float64 });
        string message = Assert.Throws<PipelineException>(() => trainer.Fit(data)).Message;
        release.Set();
        Assert.Matches("^Rank 1, stage 1, step 1, micro-batch 0, ReceiveActivation: Rank 1 waited [0-9.]+ s in Receive for rank 0", message);
    }

    [Fact]
    public void AnExceptionInAHandlerEndsTheRunAndAHandlerCannotUseTheTrainer()
    {
        using TensorDataset data = CreateData(64);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2), world, new() { Overrides = Float64 });
        trainer.StepCompleted += _ => trainer.Evaluate(data);
        Assert.Contains("event handler", Assert.Throws<InvalidOperationException>(() => trainer.Fit(data)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheNumberOfLiveTensorsStaysTheSameFromStepToStep()
    {
        using TensorDataset data = CreateData(64);
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2, dropout: 0.1), world, new() { Overrides = Float64 with { Base = BaseKind.Adam } });
        Batch batch = WholeBatch(data);
        var counts = new List<long>();
        for (int i = 0; i < 6; i++)
        {
            trainer.TrainStep(batch);
            trainer.Evaluate(data);
            if (i == 0)
            {
                LiveTensors.Settle();
            }

            counts.Add(LiveTensors.Count);
        }

        Assert.All(counts.Skip(1), count => Assert.Equal(counts[1], count));
    }

    [Fact]
    public void RanksWithDifferentPlansRefuseToRunTogether()
    {
        Exception?[] failures = Ranks.RunAll(2, c =>
        {
            var options = new TrainingOptions { Overrides = Float64 with { Batch = 32 + (16 * c.Rank) } };
            new TrainingRank(new TrainingSetup(ChainModel.Define(2), options), c).Dispose();
        });
        Assert.All(failures, f => Assert.Contains("same build with the same options", f!.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void CodeThatWasGeneratedForAnotherPlanIsRefused()
    {
        PipelineDefinition current = ChainModel.Define(2);
        var stale = new PipelineDefinition
        {
            DescriptionText = current.DescriptionText,
            PlanHash = "12ab",
            Stages = current.Stages,
            Loss = current.Loss,
            Unsplit = current.Unsplit,
        };
        using var world = World.Join();
        string message = Assert.Throws<ArgumentException>(() => new Trainer(stale, world)).Message;
        Assert.Contains("plan 12ab", message, StringComparison.Ordinal);
        Assert.Contains(current.PlanHash, message, StringComparison.Ordinal);
    }

    [Fact]
    public void NumbersThatThePlanRefusesAreNamed()
    {
        using var world = World.Join();
        string message = Assert.Throws<ArgumentException>(
            () => new Trainer(ChainModel.Define(2), world, new() { Overrides = new() { Replicas = 0 } })).Message;
        Assert.Contains("Replicas", message, StringComparison.OrdinalIgnoreCase);
    }

    private static TensorDataset CreateData(int samples, int seed = 1, ScalarType dtype = ScalarType.Float64)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(samples, dtype, seed);
        using (points)
        using (labels)
        {
            return new TensorDataset(points, labels);
        }
    }

    private static Batch WholeBatch(TensorDataset data)
    {
        long[] all = [.. Enumerable.Range(0, (int)data.Count).Select(i => (long)i)];
        return new(data.Inputs(all), data.Targets(all));
    }

    /// <summary>Heavy-ball with clipping, written out, on the model that nobody has split.</summary>
    private static List<double> TrainUnsplit(PipelineDefinition definition, TensorDataset data, int epochs, long seed, double clip)
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = (nn.Module<Tensor, Tensor>)definition.Unsplit(seed);
        model.to(float64);
        model.train();
        var position = new MicroBatchPosition();
        using var seeding = new DropoutSeeding(model, "", seed, position);
        Tensor[] parameters = [.. model.parameters()];
        Tensor[] momentum = [.. parameters.Select(p => zeros_like(p))];
        var losses = new List<double>();
        var sampler = new EpochSampler(data.Count, 32, 1, seed);
        for (int epoch = 1; epoch <= epochs; epoch++)
        {
            foreach (long[][] dealt in sampler.Shuffled(epoch))
            {
                var batch = new Batch(data.Inputs(dealt[0]), data.Targets(dealt[0]));
                double sum = 0;
                int start = 0;
                int microBatch = 0;
                model.zero_grad();
                foreach (int size in MicroBatches.Split(batch.Samples, 2))
                {
                    position.MoveTo(losses.Count, microBatch++);
                    Batch part = batch.Narrow(start, size);
                    Tensor loss = definition.Loss([model.forward(part.Inputs[0])], part.Targets) * ((double)size / batch.Samples);
                    loss.backward();
                    sum += loss.item<double>();
                    start += size;
                }

                losses.Add(sum);
                using IDisposable noGrad = no_grad();
                double norm = Math.Sqrt(parameters.Sum(p => p.grad!.pow(2).sum().item<double>()));
                for (int i = 0; i < parameters.Length; i++)
                {
                    momentum[i].mul_(0.9).add_(parameters[i].grad! * Math.Min(1, clip / norm));
                    parameters[i].sub_(momentum[i] * Rate);
                }
            }
        }

        return losses;
    }
}
