using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Data;
using Dho2.Modeling.Tests;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Generators.Tests;

/// <summary>A generated pipeline trains as its unsplit model does over the same micro-batches, whatever the partition and schedule.</summary>
[Collection(nameof(TrainingParityTests))]
public sealed class TrainingParityTests
{
    private const long Seed = 3;
    private const double Rate = 0.1;

    // Steps of 21, 21 and 17 samples: most numbers of micro-batches divide neither, and the last batch is smaller. Batch
    // norm needs two samples in each micro-batch.
    private const int BatchSize = 21;
    private const int Samples = 59;

    // Rounding of float64 sums taken in another order, over three steps.
    private const double Tolerance = 1e-10;

    private static readonly int[][] Partitions = [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 1, 2], [0, 1, 2, 3]];

    public static TheoryData<int, Schedule> Cases()
    {
        var data = new TheoryData<int, Schedule>();
        foreach (int[] partition in Partitions)
        {
            data.Add(partition[^1] + 1, Schedule.GPipe);
            data.Add(partition[^1] + 1, Schedule.OneForwardOneBackward);
            data.Add(partition[^1] + 1, Schedule.ZeroBubble);
        }

        data.Add(2, Schedule.Interleaved);
        data.Add(4, Schedule.Interleaved);
        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void LossesParametersAndRunningStatisticsEqualTheUnsplitModels(int stages, Schedule schedule)
    {
        PipelineDefinition definition = new StageChain(Generation.Clean(Source(Partitions[stages - 1]))).Definition;
        Assert.Equal(stages, definition.Stages.Count);
        using TensorDataset data = CreateData();
        for (int microBatches = 1; microBatches <= 8; microBatches++)
        {
            using DisposeScope scope = NewDisposeScope();
            using nn.Module expected = definition.Unsplit(Seed).to(float64);
            using nn.Module actual = definition.Unsplit(Seed + 1).to(float64);
            List<double> expectedLosses = TrainUnsplit(definition, expected, data, microBatches);
            List<double> losses = Train(definition, actual, data, schedule, microBatches);
            Assert.Equal(3, losses.Count);
            Assert.All(expectedLosses.Zip(losses), pair => Assert.Equal(pair.First, pair.Second, Tolerance));

            Dictionary<string, Tensor> state = actual.state_dict();
            Assert.All(expected.state_dict(), entry =>
                Assert.True(entry.Value.allclose(state[entry.Key], rtol: 0, atol: Tolerance), $"{entry.Key} with {microBatches} micro-batches"));
        }
    }

    [Theory]
    [InlineData(Schedule.GPipe)]
    [InlineData(Schedule.OneForwardOneBackward)]
    [InlineData(Schedule.ZeroBubble)]
    [InlineData(Schedule.Interleaved)]
    public void RecomputedActivationsChangeNoBit(Schedule schedule)
    {
        // Layers of stages 1 and 2; the class for all of them.
        string source = Source(Partitions[3]);
        PipelineDefinition kept = new StageChain(Generation.Clean(source)).Definition;
        string some = source.Replace("[Stage(1)] private readonly Linear", "[Stage(1), Recompute] private readonly Linear", StringComparison.Ordinal)
            .Replace("[Stage(2)] private readonly BatchNorm1d", "[Stage(2), Recompute] private readonly BatchNorm1d", StringComparison.Ordinal);
        foreach (string changed in new[] { some, Source(Partitions[3], "[Recompute]"), Source(Partitions[3], "[Recompute(0, 3)]") })
        {
            PipelineDefinition recomputed = new StageChain(Generation.Clean(changed)).Definition;
            Assert.NotEqual(kept.PlanHash, recomputed.PlanHash);
            using TensorDataset data = CreateData();
            foreach (int microBatches in new[] { 1, 4 })
            {
                using DisposeScope scope = NewDisposeScope();
                using nn.Module expected = kept.Unsplit(Seed).to(float64);
                using nn.Module actual = kept.Unsplit(Seed + 1).to(float64);
                Assert.Equal(Train(kept, expected, data, schedule, microBatches), Train(recomputed, actual, data, schedule, microBatches));
                Dictionary<string, Tensor> state = actual.state_dict();
                Assert.All(expected.state_dict(), entry => Assert.True(entry.Value.equal(state[entry.Key]).all().item<bool>(), entry.Key));
            }
        }
    }

    [Theory]
    [InlineData(1, 4)]
    [InlineData(3, 4)]
    public void ALossThatReturnsSumAndCountIsDividedByTheCountOfAllMicroBatches(int stages, int microBatches)
    {
        PipelineDefinition definition = new StageChain(Generation.Clean(Source(Partitions[stages - 1], loss: CountedLoss))).Definition;
        Assert.NotNull(definition.CountedLoss);
        using TensorDataset data = CreateData();
        using DisposeScope scope = NewDisposeScope();
        using nn.Module expected = definition.Unsplit(Seed).to(float64);
        using nn.Module actual = definition.Unsplit(Seed + 1).to(float64);
        List<double> expectedLosses = TrainUnsplit(definition, expected, data, microBatches);
        List<double> losses = Train(definition, actual, data, Schedule.OneForwardOneBackward, microBatches);
        Assert.All(expectedLosses.Zip(losses), pair => Assert.Equal(pair.First, pair.Second, Tolerance));
        Dictionary<string, Tensor> state = actual.state_dict();
        Assert.All(expected.state_dict(), entry => Assert.True(entry.Value.allclose(state[entry.Key], rtol: 0, atol: Tolerance), entry.Key));
    }

    [Theory]
    [InlineData("")]
    [InlineData(", Relaxation = 1.1")]
    [InlineData(", Rule = AdmmRule.Dual")]
    public void TheGeneratedAdmmUpdateTrainsAsTheGeneralOne(string rule)
    {
        PipelineDefinition generated = new StageChain(Generation.Clean(Source(
            Partitions[1], $"[Admm(Period = 2, Sigma = 0.2{rule})]"))).Definition;
        Assert.Equal(2, generated.Admm!.Count);
        var general = new PipelineDefinition
        {
            DescriptionText = generated.DescriptionText,
            PlanHash = generated.PlanHash,
            Stages = generated.Stages,
            Loss = generated.Loss,
            Unsplit = generated.Unsplit,
        };
        using TensorDataset data = CreateData(float32);
        Assert.Equal(Losses(general), Losses(generated));

        List<double> Losses(PipelineDefinition definition)
        {
            var losses = new List<double>();
            using var world = World.Join();
            using var trainer = new Trainer(definition, world, new TrainingOptions
            {
                LearningRate = Rate,
                Seed = Seed,
                Epochs = 3,
                ThreadsPerRank = 1,
                Overrides = new() { Batch = 10, Replicas = 2 },
            });
            trainer.StepCompleted += step => losses.Add(step.Result.Loss);
            trainer.Fit(data);
            return losses;
        }
    }

    private static List<double> Train(PipelineDefinition definition, nn.Module result, TensorDataset data, Schedule schedule, int microBatches)
    {
        var losses = new List<double>();
        using var world = World.Join();
        using var trainer = new Trainer(definition, world, new TrainingOptions
        {
            LearningRate = Rate,
            Seed = Seed,
            Optimizer = OptimizerKind.FirstOrder,
            Overrides = new() { Batch = BatchSize, MicroBatches = microBatches, Schedule = schedule, Base = BaseKind.Sgd, DType = DType.Float64 },
        });
        trainer.StepCompleted += step => losses.Add(step.Result.Loss);
        trainer.Fit(data);
        trainer.CopyTo(result);
        return losses;
    }

    private static List<double> TrainUnsplit(PipelineDefinition definition, nn.Module module, TensorDataset data, int microBatches)
    {
        var model = (nn.Module<Tensor, Tensor>)module;
        var position = new MicroBatchPosition();
        using var seeding = new DropoutSeeding(model, "", Seed, position);
        model.train();
        var losses = new List<double>();
        foreach (long[][] dealt in new EpochSampler(Samples, BatchSize, 1, Seed).Shuffled(1))
        {
            var batch = new Batch(data.Inputs(dealt[0]), data.Targets(dealt[0]));
            model.zero_grad();
            Tensor sum = zeros(1, float64);
            Tensor count = zeros(1, float64);
            int start = 0;
            int microBatch = 0;
            foreach (int size in MicroBatches.Split(batch.Samples, microBatches))
            {
                position.MoveTo(losses.Count, microBatch++);
                Batch part = batch.Narrow(start, size);
                Tensor[] results = [model.forward(part.Inputs[0])];
                (Tensor loss, Tensor weight) = definition.CountedLoss?.Invoke(results, part.Targets)
                    ?? (definition.Loss(results, part.Targets) * size, tensor((double)size));
                sum = sum + loss;
                count = count + weight;
                start += size;
            }

            Tensor mean = (sum / count).sum();
            mean.backward();
            losses.Add(mean.item<double>());
            using IDisposable noGrad = no_grad();
            foreach (Tensor parameter in model.parameters())
            {
                parameter.sub_(parameter.grad! * Rate);
            }
        }

        return losses;
    }

    private static TensorDataset CreateData(ScalarType dtype = ScalarType.Float64)
    {
        using Tensor x = linspace(0, 60, Samples * 6, dtype).sin().view(Samples, 6);
        using Tensor y = arange(Samples, dtype: int64).remainder(3);
        return new TensorDataset(x, y);
    }

    // The first class does not count: every third label.
    private const string CountedLoss =
        "private static (Tensor Sum, Tensor Count) Loss(Tensor logits, Tensor labels) =>\n"
        + "        (cross_entropy(logits, labels, ignore_index: 0, reduction: Reduction.Sum), labels.ne(0).count_nonzero());";

    private static string Source(int[] stages, string more = "", string loss = ModelSource.Loss) => ModelSource.Net(
        loss: loss,
        layers: $"""
                [Stage({stages[0]})] private readonly Linear fc1 = Linear(6, 10);
                [Stage({stages[0]})] private readonly BatchNorm1d norm1 = BatchNorm1d(10);
                [Stage({stages[0]})] private readonly Dropout drop1 = Dropout(0.3);
                [Stage({stages[1]})] private readonly Linear fc2 = Linear(10, 10);
                [Stage({stages[1]})] private readonly Dropout drop2 = Dropout(0.2);
                [Stage({stages[2]})] private readonly Linear fc3 = Linear(10, 10);
                [Stage({stages[2]})] private readonly BatchNorm1d norm2 = BatchNorm1d(10);
                [Stage({stages[3]})] private readonly Linear head = Linear(20, 3);
            """,
        forward: """
                var skip = relu(norm1.forward(fc1.forward(x)));
                    var h = drop1.call(drop1.call(skip));
                    h = drop2.call(tanh(fc2.forward(h)) + skip);
                    h = relu(norm2.forward(fc3.forward(h)));
                    return head.forward(cat([h, skip], 1));
            """,
        attributes: "[Pipeline(MicroBatches = 2)]\n[Input(6, Batch = 21)]\n[Target]\n" + more);
}

/// <summary>The unsplit model's dropout draws from the process's default generator: nothing else may run beside it.</summary>
[CollectionDefinition(nameof(TrainingParityTests), DisableParallelization = true)]
public sealed class AloneInTheProcess;
