using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Communication;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Pipelines;

/// <summary>A partition gives the losses and gradients of the unsplit model over the same micro-batches.</summary>
public sealed class ExecutorParityTests
{
    private const long Seed = 11;

    // Rounding of float64 sums that are formed in another order, with room for a few hundred operations.
    private const double Tolerance = 1e-10;

    public static TheoryData<int, Schedule, int> Partitions()
    {
        var data = new TheoryData<int, Schedule, int>();
        foreach (int ranks in new[] { 1, 2, 3, 4 })
        {
            data.Add(ranks, Schedule.GPipe, 1);
            data.Add(ranks, Schedule.OneForwardOneBackward, 1);
            data.Add(ranks, Schedule.ZeroBubble, 1);
        }

        foreach ((int ranks, int stagesPerRank) in new[] { (2, 2), (1, 2), (1, 3), (1, 4) })
        {
            data.Add(ranks, Schedule.Interleaved, stagesPerRank);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Partitions))]
    public void LossesGradientsAndRunningStatisticsEqualTheUnsplitModels(int ranks, Schedule schedule, int stagesPerRank)
    {
        for (int microBatches = 1; microBatches <= 8; microBatches++)
        {
            // 19 and 13 do not divide by most numbers of micro-batches; 9 stands for a smaller last batch.
            int[] batches = [19, 13, 9];
            Outcome expected = RunUnsplit(microBatches, batches);
            Outcome actual = RunStages(ranks, schedule, microBatches, batches, stagesPerRank);
            Close(expected.Losses, actual.Losses);
            Assert.Equal(expected.Tensors.Keys.Order(), actual.Tensors.Keys.Order());
            foreach ((string name, double[] values) in expected.Tensors)
            {
                Close(values, actual.Tensors[name]);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Partitions))]
    public void EvaluationEqualsTheUnsplitModels(int ranks, Schedule schedule, int stagesPerRank)
    {
        using DisposeScope scope = NewDisposeScope();
        Batch batch = BranchedModel.RandomBatch(10, float64);
        using BranchedModel.Unsplit unsplit = BranchedModel.CreateUnsplit(Seed, float64);
        unsplit.eval();
        double[] expected = unsplit.forward(batch.Inputs[0]).flatten().data<double>().ToArray();

        var results = new List<double>();
        double loss = 0;
        Ranks.Run(ranks, c =>
        {
            using DisposeScope rankScope = NewDisposeScope();
            using var rank = new StageRank(c, schedule, float64, Seed, stagesPerRank);
            rank.Executor.Evaluate(batch, MicroBatches.Split(10, 4), (r, t, l, _) =>
            {
                Assert.False(r[0].requires_grad);
                results.AddRange(r[0].flatten().data<double>());
                loss += l * t[0].shape[0] / 10;
            });
        });
        Close(expected, results);
        Close([BranchedModel.Loss([unsplit.forward(batch.Inputs[0])], batch.Targets).item<double>()], [loss]);
    }

    [Fact]
    public void DropoutMasksChangeFromStepToStepAndNotFromRunToRun()
    {
        // The same data twice: with batch norm in training mode only the masks can tell the two steps apart.
        double[] first = RunStages(2, Schedule.GPipe, 2, [8, 8]).Losses;
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(first, RunStages(2, Schedule.GPipe, 2, [8, 8]).Losses);
        }

        Assert.NotEqual(first[0], first[1]);
    }

    /// <summary>Bit for bit: whatever a stage draws or sums up, the second forward does as the first did.</summary>
    [Theory]
    [MemberData(nameof(Partitions))]
    public void RecomputedActivationsChangeNothing(int ranks, Schedule schedule, int stagesPerRank)
    {
        int[] batches = [19, 13, 9];
        foreach (ScalarType dtype in new[] { float64, float32 })
        {
            foreach (int microBatches in new[] { 1, 3, 6 })
            {
                Outcome expected = RunStages(ranks, schedule, microBatches, batches, stagesPerRank, dtype);
                Outcome actual = RunStages(ranks, schedule, microBatches, batches, stagesPerRank, dtype, recomputes: true);
                Assert.Equal(expected.Losses, actual.Losses);
                Assert.All(expected.Tensors, tensor => Assert.Equal(tensor.Value, actual.Tensors[tensor.Key]));
            }
        }
    }

    private static Outcome RunUnsplit(int microBatches, int[] batches)
    {
        using DisposeScope scope = NewDisposeScope();
        using BranchedModel.Unsplit model = BranchedModel.CreateUnsplit(Seed, float64);
        var position = new MicroBatchPosition();
        using var seeding = new DropoutSeeding(model, "", Seed, position);
        model.train();
        var losses = new List<double>();
        for (int step = 0; step < batches.Length; step++)
        {
            Batch batch = BranchedModel.RandomBatch(batches[step], float64);
            int start = 0;
            double sum = 0;
            int microBatch = 0;
            foreach (int size in MicroBatches.Split(batches[step], microBatches))
            {
                position.MoveTo(step, microBatch++);
                Tensor result = model.forward(Batch.Narrow(batch.Inputs, start, size)[0]);
                Tensor loss = BranchedModel.Loss([result], Batch.Narrow(batch.Targets, start, size)) * ((double)size / batches[step]);
                loss.backward();
                sum += loss.item<double>();
                start += size;
            }

            losses.Add(sum);
        }

        var tensors = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.grad!.flatten().data<double>().ToArray());
        foreach ((string name, Tensor buffer) in model.named_buffers())
        {
            tensors[name] = buffer.to(float64).flatten().data<double>().ToArray();
        }

        return new([.. losses], tensors);
    }

    private static Outcome RunStages(int ranks, Schedule schedule, int microBatches, int[] batches, int stagesPerRank = 1, ScalarType dtype = ScalarType.Float64, bool recomputes = false)
    {
        double[] losses = new double[batches.Length];
        var tensors = new Dictionary<string, double[]>();
        Ranks.Run(ranks, c =>
        {
            using DisposeScope scope = NewDisposeScope();
            using var rank = new StageRank(c, schedule, dtype, Seed, stagesPerRank, recomputes);
            for (int step = 0; step < batches.Length; step++)
            {
                double loss = rank.Step(BranchedModel.RandomBatch(batches[step], dtype), microBatches, step);
                if (rank.Executor.IsLast)
                {
                    losses[step] = loss;
                }
                else
                {
                    Assert.Equal(0, loss);
                }
            }

            lock (tensors)
            {
                foreach (FlatSegment segment in rank.Flat.Segments)
                {
                    tensors.Add(segment.Name, rank.Flat.Gradients.narrow(0, segment.Offset, segment.Length).to(float64).data<double>().ToArray());
                }

                foreach ((string name, Tensor buffer) in rank.Flat.Buffers)
                {
                    tensors.Add(name, buffer.to(float64).flatten().data<double>().ToArray());
                }
            }
        });
        return new(losses, tensors);
    }

    private static void Close(IReadOnlyCollection<double> expected, IReadOnlyCollection<double> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        Assert.All(expected.Zip(actual), p => Assert.InRange(p.Second, p.First - Tolerance, p.First + Tolerance));
    }

    private sealed record Outcome(double[] Losses, Dictionary<string, double[]> Tensors);
}
