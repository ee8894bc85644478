using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Curvature;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>Training in bfloat16: what is computed in which type, and that what is trained is float32.</summary>
public sealed class MixedPrecisionTests : IDisposable
{
    private const int Blocks = 3;

    // A power of two: what is subtracted from a parameter is exact, so that a step rounds once, however it is written.
    private const double Rate = 0.125;

    private static readonly PlanOverrides Mixed = new() { DType = DType.BFloat16, Base = BaseKind.Sgd, Batch = 12 };

    private static readonly CurvatureOptions Curvature = new(3, 1, Every: 100, Warmup: 2, 0, 0.05, 2, CurvatureScope.Global);

    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    public static TheoryData<int, int> Splits()
    {
        var splits = new TheoryData<int, int>();
        foreach (int stages in new[] { 1, 2, 3 })
        {
            foreach (int microBatches in new[] { 1, 2, 3, 4 })
            {
                splits.Add(stages, microBatches);
            }
        }

        return splits;
    }

    // The same operations on the same numbers in the same order: not even rounding differs.
    [Theory]
    [MemberData(nameof(Splits))]
    public void StagesTrainBitForBitAsTheModelInOnePieceDoesInALoopOfItsOwn(int stages, int microBatches)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(12, float32);
        (double[] losses, Dictionary<string, float[]> masters) = InOnePiece(points, labels, microBatches, steps: 4);
        using var world = World.Join();
        using Trainer trainer = Create(world, stages, Mixed with { MicroBatches = microBatches });
        Assert.Equal(losses, Enumerable.Range(0, 4).Select(_ => trainer.TrainStep(new Batch([points], [labels])).Loss));
        foreach ((string name, float[] values) in MastersOf(trainer))
        {
            Assert.Equal(masters[name], values);
        }
    }

    [Theory]
    [InlineData(Schedule.GPipe)]
    [InlineData(Schedule.ZeroBubble)]
    [InlineData(Schedule.Interleaved)]
    public void TheScheduleChangesNothing(Schedule schedule)
    {
        int stages = schedule == Schedule.Interleaved ? 4 : 2;
        double[] expected = Losses(stages, Mixed with { MicroBatches = 4 }, blocks: 4);
        double[] actual = Losses(stages, Mixed with { MicroBatches = 4, Schedule = schedule }, blocks: 4);

        // Interleaved stages lie on one flat buffer for each rank; sums over micro-batches are taken in the schedule's order.
        Compare.NearRelative(expected, actual, 1e-4);
    }

    [Fact]
    public void UpdatesTooSmallForBfloat16AddUp()
    {
        // The gradient of a bias of 1 under a loss of its mean is 1: every step subtracts a sixteenth of bfloat16's spacing below 1.
        var context = new StageContext(0) { DType = bfloat16, MasterType = float32 };
        TorchSharp.Modules.Linear linear = context.Create("fc", () => nn.Linear(1, 1));
        using var flat = new FlatParameters([new("fc", linear)], context);
        flat.Values.fill_(1);
        float[] seen = [.. Enumerable.Range(0, 17).Select(_ => Step())];
        Assert.All(seen[..8], value => Assert.Equal(1, value));
        Assert.Equal(1 - (1 / 256f), seen[^1]);
        Assert.Equal(1 - (17 / 4096f), flat.Values[1].item<float>());

        // Without masters it stays where it is, for ever.
        Assert.Equal(1, (ones(1, bfloat16) - (1 / 4096f)).to(float32).item<float>());

        float Step()
        {
            flat.PublishValues();
            float bias = linear.bias!.to(float32).item<float>();
            linear.forward(zeros(1, 1, bfloat16)).mean().backward();
            flat.CollectGradients();
            using IDisposable noGrad = no_grad();
            flat.Values.sub_(flat.Gradients.mul(1 / 4096f));
            flat.Gradients.zero_();
            return bias;
        }
    }

    [Fact]
    public void GradientsOfMicroBatchesAddUpInFloat32()
    {
        var context = new StageContext(0) { DType = bfloat16, MasterType = float32 };
        TorchSharp.Modules.Parameter parameter = context.Create("p", () => nn.Parameter(rand(300_000)));
        using var flat = new FlatParameters([new("p", parameter)], context);
        (parameter * 256).sum().backward();
        flat.CollectGradients();
        for (int i = 0; i < 5; i++)
        {
            // In bfloat16, 256 + 1 is 256.
            parameter.sum().backward();
            flat.CollectGradients();
        }

        Assert.Equal([261f], flat.Gradients.unique().Item1.data<float>().ToArray());
        Assert.Equal(0, parameter.grad!.abs().sum().to(float32).item<float>());
    }

    [Fact]
    public void MastersBeginUnroundedAndModulesWithTheirRounding()
    {
        float[] exact = new StageContext(7).Create("fc", () => nn.Linear(5, 4)).weight!.data<float>().ToArray();
        var context = new StageContext(7) { DType = bfloat16, MasterType = float32 };
        TorchSharp.Modules.Linear linear = context.Create("fc", () => nn.Linear(5, 4));
        using var flat = new FlatParameters([new("fc", linear), new("same", linear)], context);
        Assert.Equal(["fc.weight", "fc.bias"], flat.Segments.Select(s => s.Name));
        Assert.Equal(exact, flat.Values.narrow(0, 0, 20).data<float>().ToArray());
        Assert.Equal(ScalarType.BFloat16, linear.weight!.dtype);
        Assert.True(linear.weight.flatten().equal(flat.Values.narrow(0, 0, 20).to(bfloat16)).all().item<bool>());
    }

    [Fact]
    public void BatchNormalisationsStayInFloat32()
    {
        var context = new StageContext(7) { DType = bfloat16, MasterType = float32 };
        TorchSharp.Modules.Sequential block = context.Create("b", () => nn.Sequential(("conv", nn.Conv2d(2, 3, 3)), ("norm", nn.BatchNorm2d(3))));
        using var flat = new FlatParameters([new("b", block)], context);
        Tensor y = block.forward(rand(4, 2, 6, 6).to(bfloat16));
        Assert.Equal(ScalarType.BFloat16, y.dtype);
        y.pow(2).sum().backward();
        Assert.Equal([ScalarType.Float32, ScalarType.Float32], flat.Buffers.Where(b => b.Buffer.is_floating_point()).Select(b => b.Buffer.dtype));

        // Their gradients need no collecting.
        FlatSegment weight = flat.Segments.Single(s => s.Name == "b.norm.weight");
        Assert.True(flat.Gradients.narrow(0, weight.Offset, weight.Length).abs().min().item<float>() > 1);
        Assert.Equal(0, flat.Gradients.narrow(0, 0, 54).abs().max().item<float>());
        flat.CollectGradients();
        Assert.True(flat.Gradients.narrow(0, 0, 54).abs().max().item<float>() > 0);
    }

    [Theory]
    [InlineData(CurvatureMode.Blocking, 1)]
    [InlineData(CurvatureMode.Blocking, 3)]
    [InlineData(CurvatureMode.Amortized, 2)]
    [InlineData(CurvatureMode.Dedicated, 2)]
    public void CurvatureIsThatOfTheFloat32RunAtTheSameMasters(CurvatureMode mode, int stages)
    {
        PlanOverrides overrides = Mixed with
        {
            MicroBatches = 2,
            Curvature = Curvature with { Warmup = 1, Mode = mode, Delay = mode == CurvatureMode.Dedicated ? 2 : 0 },
        };
        double[] mixed = Eigenvalues(stages, overrides);
        Assert.Equal(4, mixed.Length);
        Assert.Equal(Eigenvalues(stages, overrides with { DType = null }), mixed);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void TiedParametersTrainAsInOnePiece(int stages)
    {
        HandModel model = HandModels.All["ties"];
        random.manual_seed(3);
        Tensor tokens = model.Inputs(48)[0], labels = model.Targets(48)[0];
        double[] one = Train(1), split = Train(stages);

        // In one piece the uses of a parameter add up in bfloat16 within a micro-batch; its owner and its mirrors add up in float32.
        Compare.NearRelative(one, split, 5e-3);
        Assert.True(split[^1] < 0.9 * split[0], string.Join(", ", split));

        double[] Train(int stages)
        {
            using var world = World.Join();
            using var trainer = new Trainer(HandDefinition.Of(model, stages), world, new() { LearningRate = 0.1, Overrides = Mixed with { Batch = 48, MicroBatches = 4 } });
            return [.. Enumerable.Range(0, 40).Select(_ => trainer.TrainStep(new Batch([tokens], [labels])).Loss)];
        }
    }

    [Theory]
    [InlineData(false, 1)]
    [InlineData(false, 3)]
    [InlineData(true, 1)]
    public void ReplicasAddUpGradientsInFloat32(bool sharded, int buckets)
    {
        // Two replicas of two micro-batches each, or one of four: the same sums, but for the order of float32 ones.
        double[] one = Losses(2, Mixed with { Batch = 24, MicroBatches = 4 });
        double[] two = Losses(2, Mixed with { MicroBatches = 2, Replicas = 2, ShardOptimizer = sharded }, buckets: buckets);
        Compare.NearRelative(one, two, 1e-4);
    }

    [Fact]
    public void ReplicasUnderConsensusAgreeOnFloat32Parameters()
    {
        PlanOverrides overrides = Mixed with { Replicas = 2, MicroBatches = 2, Base = BaseKind.HeavyBall, Admm = new(Period: 4, Sigma: 0.1, Relaxation: 1, AdmmRule.Consensus) };
        double exact = FinalLoss(2, overrides with { DType = null }, batchNorm: true);
        Assert.Equal(1, FinalLoss(2, overrides, batchNorm: true) / exact, 0.02);
    }

    [Theory]
    [InlineData(BaseKind.HeavyBall, false)]
    [InlineData(BaseKind.Adam, false)]
    [InlineData(BaseKind.HeavyBall, true)]
    public void ASmallProblemIsSolvedNearlyAsWellAsInFloat32(BaseKind kind, bool curvature)
    {
        PlanOverrides overrides = Mixed with { Base = kind, Curvature = curvature ? Curvature : null };
        double exact = FinalLoss(3, overrides with { DType = null });
        Assert.True(exact < 0.5, $"{exact}");
        Assert.Equal(1, FinalLoss(3, overrides) / exact, 0.02);
    }

    [Fact]
    public void ARunGoesOnFromItsCheckpointBitForBit()
    {
        using var folder = new TemporaryFolder();
        using var world = World.Join();
        (Tensor points, Tensor labels) = ChainModel.Data(96, float32);
        using var data = new TensorDataset(points, labels);
        PlanOverrides overrides = Mixed with { Base = BaseKind.Adam, Curvature = Curvature };
        double[] whole = Fit(null, 4);
        double[] first = Fit(folder.File("run"), 2);
        double[] rest = Fit(folder.File("run"), 4);
        Assert.Equal(whole, first.Concat(rest));

        double[] Fit(string? root, int epochs)
        {
            using Trainer trainer = Create(world, 2, overrides, options => options with
            {
                LearningRate = 0.01,
                Epochs = epochs,
                Checkpoints = root is null ? null : new CheckpointOptions { Folder = root },
            });
            var losses = new List<double>();
            trainer.StepCompleted += step => losses.Add(step.Result.Loss);
            trainer.Fit(data);
            return [.. losses];
        }
    }

    [Fact]
    public void ACheckpointOfAFloat32RunGoesOnInBfloat16WithTheSameParameters()
    {
        using var folder = new TemporaryFolder();
        using var world = World.Join();
        (Tensor points, Tensor labels) = ChainModel.Data(48, float32);
        using var data = new TensorDataset(points, labels);
        Dictionary<string, float[]> saved = Fit(null, 2, out _);
        Dictionary<string, float[]> loaded = Fit(DType.BFloat16, 2, out long steps);
        Assert.Equal(8, steps);
        Assert.All(saved, entry => Assert.Equal(entry.Value, loaded[entry.Key]));
        Assert.NotEqual(saved["block0.fc.weight"], Fit(DType.BFloat16, 3, out _)["block0.fc.weight"]);

        Dictionary<string, float[]> Fit(DType? type, int epochs, out long steps)
        {
            using Trainer trainer = Create(
                world, 2, Mixed with { DType = type }, options => options with { Epochs = epochs, Checkpoints = new CheckpointOptions { Folder = folder.File("run") } }, batchNorm: true);
            trainer.Fit(data);
            steps = trainer.Steps;
            return MastersOf(trainer);
        }
    }

    [Fact]
    public void OtherTypesAreRefused()
    {
        using var world = World.Join();
        ArgumentException refused = Assert.Throws<ArgumentException>(() => Create(world, 2, Mixed with { DType = DType.Float16 }));
        Assert.Contains("float16", refused.Message, StringComparison.Ordinal);
        Assert.Contains("float32, float64 or bfloat16", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NothingIsLeftBehindBySteps()
    {
        using var world = World.Join();
        using Trainer trainer = Create(world, 2, Mixed with { MicroBatches = 3 }, batchNorm: true);
        (Tensor points, Tensor labels) = ChainModel.Data(12, float32);
        using var batch = new DisposableBatch(points, labels);
        trainer.TrainStep(batch.Value);
        LiveTensors.Settle();
        trainer.TrainStep(batch.Value);
        long before = LiveTensors.Count;
        for (int i = 0; i < 3; i++)
        {
            trainer.TrainStep(batch.Value);
        }

        Assert.Equal(before, LiveTensors.Count);
    }

    [Theory]
    [InlineData(Schedule.GPipe)]
    [InlineData(Schedule.ZeroBubble)]
    public void RecomputedActivationsAreRoundedAlike(Schedule schedule)
    {
        PlanOverrides overrides = Mixed with { Schedule = schedule, MicroBatches = 3 };
        Assert.Equal(Losses(3, overrides), Losses(3, overrides with { Recompute = RecomputeOptions.Everywhere }));
    }

    private static Trainer Create(
        World world, int stages, PlanOverrides overrides, Func<TrainingOptions, TrainingOptions>? change = null, int blocks = Blocks, bool batchNorm = false)
    {
        var options = new TrainingOptions { LearningRate = Rate, Seed = 5, Overrides = overrides };
        return new Trainer(ChainModel.Define(stages, blocks, batchNorm: batchNorm), world, change?.Invoke(options) ?? options);
    }

    private static double[] Losses(int stages, PlanOverrides overrides, int blocks = Blocks, int buckets = 1)
    {
        using var world = World.Join();
        using Trainer trainer = Create(world, stages, overrides, options => options with { GradientBuckets = buckets }, blocks);
        (Tensor points, Tensor labels) = ChainModel.Data(overrides.Batch!.Value * (overrides.Replicas ?? 1), float32);
        return [.. Enumerable.Range(0, 8).Select(_ => trainer.TrainStep(new Batch([points], [labels])).Loss)];
    }

    private static double[] Eigenvalues(int stages, PlanOverrides overrides)
    {
        using var world = World.Join();
        using Trainer trainer = Create(world, stages, overrides);
        double[] found = [];
        trainer.CurvatureRefreshed += refreshed => found = found.Length == 0 ? [.. refreshed.Estimate.Eigenvalues] : found;
        (Tensor points, Tensor labels) = ChainModel.Data(12, float32);
        for (int i = 0; i < 80 && found.Length == 0; i++)
        {
            trainer.TrainStep(new Batch([points], [labels]));
        }

        return found;
    }

    private static double FinalLoss(int stages, PlanOverrides overrides, bool batchNorm = false)
    {
        using var world = World.Join();
        (Tensor points, Tensor labels) = ChainModel.Data(120, float32);
        using var data = new TensorDataset(points, labels);
        double rate = overrides.Base == BaseKind.Adam ? 0.02 : 0.05;
        using Trainer trainer = Create(world, stages, overrides, options => options with { LearningRate = rate, FinalLearningRate = rate / 10, Epochs = 12 }, batchNorm: batchNorm);
        trainer.Fit(data);
        return trainer.Evaluate(data).Loss;
    }

    private static Dictionary<string, float[]> MastersOf(Trainer trainer) => trainer.Ranks
        .Where(rank => rank.Replica == 0)
        .SelectMany(rank => rank.Flat.Segments.Select(s => (s.Name, Values: rank.Flat.Values.narrow(0, s.Offset, s.Length).data<float>().ToArray())))
        .ToDictionary(entry => entry.Name, entry => entry.Values);

    // What a user would write without stages: float32 masters, a bfloat16 model beside them, the loss in float32.
    private static (double[] Losses, Dictionary<string, float[]> Masters) InOnePiece(Tensor points, Tensor labels, int microBatches, int steps)
    {
        var masters = (nn.Module<Tensor, Tensor>)ChainModel.Define(1, Blocks).Unsplit(5);
        var model = (nn.Module<Tensor, Tensor>)ChainModel.Define(1, Blocks).Unsplit(5);
        model.to(bfloat16);
        (string Name, TorchSharp.Modules.Parameter Master, TorchSharp.Modules.Parameter Rounded)[] parameters =
            [.. masters.named_parameters().Zip(model.named_parameters(), (a, b) => (a.name, a.parameter, b.parameter))];
        var losses = new List<double>();
        for (int step = 0; step < steps; step++)
        {
            using (no_grad())
            {
                Array.ForEach(parameters, p => p.Rounded.copy_(p.Master));
            }

            Tensor[] gradients = [.. parameters.Select(p => zeros_like(p.Master))];
            double loss = 0;
            int start = 0;
            foreach (int size in MicroBatches.Split((int)points.shape[0], microBatches))
            {
                double weight = (double)size / points.shape[0];
                Tensor scores = model.forward(points.narrow(0, start, size).to(bfloat16)).to(float32);
                Tensor value = nn.functional.cross_entropy(scores, labels.narrow(0, start, size));
                loss += weight * value.ToDouble();
                value.backward([full_like(value, weight)]);
                using IDisposable noGrad = no_grad();
                foreach ((Tensor gradient, var parameter) in gradients.Zip(parameters))
                {
                    gradient.add_(parameter.Rounded.grad!.to(float32));
                    parameter.Rounded.grad!.zero_();
                }

                start += size;
            }

            losses.Add(loss);
            using (no_grad())
            {
                foreach ((Tensor gradient, var parameter) in gradients.Zip(parameters))
                {
                    parameter.Master.sub_(gradient.mul_(Rate));
                }
            }
        }

        return ([.. losses], parameters.ToDictionary(p => p.Name, p => p.Master.data<float>().ToArray()));
    }

    private sealed class DisposableBatch(Tensor points, Tensor labels) : IDisposable
    {
        public Batch Value { get; } = new([points], [labels]);

        public void Dispose()
        {
            points.Dispose();
            labels.Dispose();
        }
    }
}
