using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Planning;
using Dho2.Tests.Curvature;
using Dho2.Tests.Training;
using TorchSharp;
using Xunit.Abstractions;
using static TorchSharp.torch;

namespace Dho2.Tests.Checkpoints;

/// <summary>A checkpoint of any number of stages and replicas goes on with any other.</summary>
public sealed class ReshardingTests : IDisposable
{
    private const int Blocks = 6;
    private const int StepsBefore = 5;
    private const int StepsAfter = 4;

    // One estimate, whose eigenvectors are in force from the third step on and travel with the checkpoint.
    private static readonly CurvatureOptions Curvature = new(
        Rank: 3, Smallest: 1, Every: 100, Warmup: 3, Batch: 0, Alpha: 0.05, MaxScale: 3, CurvatureScope.Global);

    private readonly ITestOutputHelper output;
    private readonly TemporaryFolder folder = new();
    private readonly TensorDataset data;

    public ReshardingTests(ITestOutputHelper output)
    {
        this.output = output;
        (Tensor points, Tensor labels) = ChainModel.Data(32 * (StepsBefore + StepsAfter), float64);
        using (points)
        using (labels)
        {
            data = new TensorDataset(points, labels);
        }
    }

    public void Dispose()
    {
        data.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData(BaseKind.Nesterov)]
    [InlineData(BaseKind.Adam)]
    public void LossesFollowWhateverTheStagesAndReplicas(BaseKind kind)
    {
        (int Stages, int Replicas)[] layouts = [(1, 1), (2, 1), (3, 1), (6, 1), (1, 2), (2, 2), (3, 2), (1, 4), (2, 4)];
        int tried = 0;
        double worst = 0;
        foreach ((int stages, int replicas) in layouts.Where((_, i) => i % 2 == (kind == BaseKind.Adam ? 0 : 1)))
        {
            string path;
            List<double> expected;
            using (Trainer source = Create(stages, replicas, kind))
            {
                path = SaveAfter(source, StepsBefore);
                expected = Train(source, StepsAfter);
            }

            foreach ((int otherStages, int otherReplicas) in layouts)
            {
                using Trainer target = Create(otherStages, otherReplicas, kind);
                Assert.Equal(StepsBefore, target.Load(path).Step);
                List<double> losses = Train(target, StepsAfter);
                worst = Math.Max(worst, expected.Zip(losses, (e, l) => Math.Abs(e - l)).Max());
                Compare.Near(expected, losses, 1e-10);
                tried++;
            }
        }

        output.WriteLine($"{tried} re-shardings; the largest difference of a loss was {worst:E2}.");
    }

    [Theory]
    [InlineData(BaseKind.HeavyBall)]
    [InlineData(BaseKind.Adam)]
    public void SharesOfReplicasGoOnWithAnyOtherSharesAndWithNone(BaseKind kind)
    {
        (int Stages, int Replicas, bool Shards)[] layouts = [(1, 1, false), (2, 2, true), (3, 2, true), (2, 4, true), (2, 2, false), (1, 4, true)];
        int tried = 0;
        foreach ((int stages, int replicas, bool shards) in layouts[1..].Where((_, i) => i % 2 == (kind == BaseKind.Adam ? 0 : 1)))
        {
            string path;
            List<double> expected;
            using (Trainer source = Create(stages, replicas, kind, shards: shards))
            {
                path = SaveAfter(source, StepsBefore);
                Assert.Equal(shards, NamesOfState(path).Any(name => name.Contains('[', StringComparison.Ordinal)));
                expected = Train(source, StepsAfter);
            }

            foreach ((int otherStages, int otherReplicas, bool otherShards) in layouts.Where(l => l.Shards || shards))
            {
                using Trainer target = Create(otherStages, otherReplicas, kind, shards: otherShards);
                target.Load(path);
                Compare.Near(expected, Train(target, StepsAfter), 1e-10);
                tried++;
            }
        }

        output.WriteLine($"{tried} re-shardings of shared-out state.");
    }

    [Fact]
    public void AnEstimateThatWaitsItsTurnIsSharedOutAnew()
    {
        // Amortized estimates: begun before step 3, complete a few products later, saved in between.
        CurvatureOptions beside = Curvature with { Mode = CurvatureMode.Amortized };
        string path;
        List<double> expected;
        using (Trainer source = Create(2, 2, BaseKind.HeavyBall, shards: true, curvature: beside))
        {
            path = SaveAfter(source, StepsBefore);
            Assert.Contains(NamesOfState(path), name => name.StartsWith("curvature.pending/", StringComparison.Ordinal));
            expected = Train(source, 2 * StepsAfter);
        }

        foreach ((int stages, int replicas, bool shards) in new[] { (2, 2, true), (2, 4, true), (3, 2, true), (1, 1, false) })
        {
            using Trainer target = Create(stages, replicas, BaseKind.HeavyBall, shards: shards, curvature: beside);
            target.Load(path);
            Compare.Near(expected, Train(target, 2 * StepsAfter), 1e-10);
        }
    }

    [Fact]
    public void TiedParametersAreStoredOnceAndGoOnWithAnyStages()
    {
        HandModel model = HandModels.All["ties"];
        using Tensor tokens = model.Inputs(16)[0], labels = model.Targets(16)[0];
        List<double> Losses(Trainer trainer, int steps) =>
            [.. Enumerable.Range(0, steps).Select(_ => trainer.TrainStep(new([tokens], [labels])).Loss)];
        Trainer Tied(int stages) => new(HandDefinition.Of(model, stages), World.Join(), new()
        {
            LearningRate = 0.01,
            Overrides = new() { DType = DType.Float64, Base = BaseKind.Adam, Curvature = Curvature },
        });

        int[] layouts = [1, 2, 3, 4];
        var stored = new List<string[]>();
        foreach (int stages in layouts)
        {
            string path;
            List<double> expected;
            using (Trainer source = Tied(stages))
            {
                Losses(source, StepsBefore);
                path = source.Save(folder.File($"tied-{stages}"));
                expected = Losses(source, StepsAfter);
            }

            CheckpointFolder checkpoint = CheckpointFolder.Open(path);
            stored.Add([.. checkpoint.Manifest.Files.Where(f => f.Kind == StoredKind.Weights).SelectMany(f => NamesOf(checkpoint, f)).Order(StringComparer.Ordinal)]);
            foreach (int other in layouts)
            {
                using Trainer target = Tied(other);
                target.Load(path);
                Compare.Near(expected, Losses(target, StepsAfter), 1e-10);
            }
        }

        // Each parameter once, and the same ones whatever the stages.
        Assert.Contains("tokens.weight", stored[0]);
        Assert.All(stored, names => Assert.Equal(stored[0], names));
        Assert.Equal(stored[0].Distinct(), stored[0]);
    }

    [Fact]
    public void InterleavedStagesGoOnAsPlainOnesAndTheOtherWayRound()
    {
        Trainer Chain(int stages, int perRank) => new(ChainModel.Define(stages, Blocks, dropout: 0.1), World.Join(), new()
        {
            LearningRate = 0.02,
            Seed = 3,
            Overrides = new()
            {
                DType = DType.Float64,
                MicroBatches = 4,
                Curvature = Curvature,
                Schedule = perRank > 1 ? Schedule.Interleaved : Schedule.OneForwardOneBackward,
                StagesPerRank = perRank,
            },
        });
        (int Stages, int PerRank)[] layouts = [(4, 2), (6, 3), (2, 1), (1, 1)];
        foreach ((int stages, int perRank) in layouts)
        {
            string path;
            List<double> expected;
            using (Trainer source = Chain(stages, perRank))
            {
                path = SaveAfter(source, StepsBefore);
                expected = Train(source, StepsAfter);
            }

            foreach ((int otherStages, int otherPerRank) in layouts)
            {
                using Trainer target = Chain(otherStages, otherPerRank);
                target.Load(path);
                Compare.Near(expected, Train(target, StepsAfter), 1e-10);
            }
        }
    }

    [Fact]
    public void TheUnsplitModelTakesACheckpointAndGivesItsWeights()
    {
        using Trainer source = Create(3, 1, BaseKind.HeavyBall, norm: true);
        string path = SaveAfter(source, StepsBefore);
        double expected = source.Evaluate(data).Loss;

        using var model = (nn.Module<Tensor, Tensor>)ChainModel.Define(1, Blocks, batchNorm: true).Unsplit(77);
        model.to(float64);
        ModelWeights.Load(model, path);
        model.eval();
        using (no_grad())
        using (NewDisposeScope())
        {
            long[] all = [.. Enumerable.Range(0, (int)data.Count).Select(i => (long)i)];
            Assert.Equal(expected, nn.functional.cross_entropy(model.call(data.Inputs(all)[0]), data.Targets(all)[0]).item<double>(), 1e-12);
        }

        string file = folder.File("model.safetensors");
        ModelWeights.Save(model, file);
        using Trainer target = Create(2, 2, BaseKind.Sgd, norm: true);
        target.LoadWeights(file);
        Assert.Equal(expected, target.Evaluate(data).Loss, 1e-12);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void WithAnotherNumberOfReplicasTheDualsAreMeansOverSharesAndStillAddUpToZero(int steps)
    {
        // Period 4: after 4 steps the replicas stand at the consensus, after 6 each elsewhere.
        string path;
        using (Trainer source = CreateConsensus(4))
        {
            path = SaveAfter(source, steps);
        }

        Dictionary<int, double[]> before = Duals(path, 4);
        Assert.Equal(steps == 6, before[0].Length > 0 && Parameters(path, 4).Count > 0);
        foreach (int replicas in new[] { 1, 2, 3, 4, 8 })
        {
            using Trainer target = CreateConsensus(replicas);
            target.Load(path);
            string saved = target.Save(folder.File($"r{replicas}-{steps}"));
            Compare.Near(WeightsOf(path, replicas == 1 && steps == 6), WeightsOf(saved, false), replicas == 1 ? 1e-15 : 0);
            if (replicas == 1)
            {
                continue;
            }

            Dictionary<int, double[]> after = Duals(saved, replicas);
            for (int i = 0; i < before[0].Length; i++)
            {
                Assert.Equal(0, after.Values.Sum(u => u[i]), 1e-15);
                for (int r = 0; r < replicas; r++)
                {
                    double share = Enumerable.Range(0, 4).Sum(old =>
                        before[old][i] * replicas * Math.Max(0, Math.Min((r + 1.0) / replicas, (old + 1) / 4.0) - Math.Max((double)r / replicas, old / 4.0)));
                    Assert.Equal(share, after[r][i], 1e-14);
                }
            }

            // And it trains on.
            Assert.All(Train(target, 4), loss => Assert.True(double.IsFinite(loss)));
        }
    }

    [Fact]
    public void ConsensusFromOneReplicaBeginsWithDualsOfZero()
    {
        string path;
        using (Trainer source = Create(2, 1, BaseKind.HeavyBall))
        {
            path = SaveAfter(source, 3);
        }

        using Trainer target = CreateConsensus(2);
        target.Load(path);
        string saved = target.Save(folder.File("two"));
        Assert.All(Duals(saved, 2).Values, u => Assert.All(u, value => Assert.Equal(0, value)));
        Assert.Equal(WeightsOf(path, false), WeightsOf(saved, false));
    }

    [Fact]
    public void EigenvectorsOfAStagesBlockGoOnWithTheSameStagesOnly()
    {
        string path;
        List<double> expected;
        using (Trainer source = CreateBlocks(2))
        {
            path = SaveAfter(source, StepsBefore);
            expected = Train(source, 2);
        }

        foreach ((int stages, bool keeps) in new[] { (2, true), (3, false) })
        {
            using Trainer target = CreateBlocks(stages);
            target.Load(path);
            var refreshed = new List<long>();
            target.CurvatureRefreshed += r => refreshed.Add(r.Step);
            List<double> losses = Train(target, 2);
            Assert.Equal(expected[0], losses[0], 1e-10);
            Assert.Equal(keeps ? [] : [StepsBefore + 1, StepsBefore + 1, StepsBefore + 1], refreshed);
        }
    }

    private static Trainer Create(
        int stages, int replicas, BaseKind kind, bool norm = false, bool shards = false, CurvatureOptions? curvature = null) => new(
        ChainModel.Define(stages, Blocks, dropout: norm ? 0 : 0.1, batchNorm: norm),
        World.Join(),
        new()
        {
            LearningRate = 0.02,
            Seed = 3,
            GradientClip = 1,
            Overrides = new()
            {
                DType = DType.Float64,
                Base = kind,
                Replicas = replicas,
                Batch = 32 / replicas,
                MicroBatches = 4 / replicas,
                Curvature = norm ? null : curvature ?? Curvature,
                ShardOptimizer = shards,
            },
        });

    private static Trainer CreateConsensus(int replicas) => new(
        ChainModel.Define(2, Blocks),
        World.Join(),
        new()
        {
            LearningRate = 0.02,
            Seed = 3,
            Overrides = new()
            {
                DType = DType.Float64,
                Replicas = replicas,
                Batch = 32 / replicas,
                MicroBatches = 1,
                Admm = new AdmmOptions(4, 0.2, 1, AdmmRule.Consensus),
                Curvature = Curvature,
            },
        });

    private static Trainer CreateBlocks(int stages) => new(
        ChainModel.Define(stages, Blocks),
        World.Join(),
        new()
        {
            LearningRate = 0.02,
            Seed = 3,
            Overrides = new() { DType = DType.Float64, Curvature = Curvature with { Scope = CurvatureScope.Stage } },
        });

    private string SaveAfter(Trainer trainer, int steps)
    {
        Train(trainer, steps);
        return trainer.Save(folder.File(Guid.NewGuid().ToString("N")));
    }

    private List<double> Train(Trainer trainer, int steps)
    {
        var losses = new List<double>();
        for (int i = 0; i < steps; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            long[] indices = [.. Enumerable.Range(0, 32).Select(k => ((trainer.Steps * 32) + k) % data.Count)];
            losses.Add(trainer.TrainStep(new(data.Inputs(indices), data.Targets(indices))).Loss);
        }

        return losses;
    }

    // Read from the files, not through what is tested.
    private static Dictionary<int, double[]> Duals(string path, int replicas) => Enumerable.Range(0, replicas).ToDictionary(
        r => r, r => Read(path, StoredKind.State, name => name.StartsWith($"replica{r}/admm.scaled_dual/", StringComparison.Ordinal)));

    private static List<double[]> Parameters(string path, int replicas) =>
    [
        .. Enumerable.Range(0, replicas)
            .Select(r => Read(path, StoredKind.State, name => name.StartsWith($"replica{r}/parameters/", StringComparison.Ordinal)))
            .Where(values => values.Length > 0),
    ];

    // The weights, or, where the replicas stand apart, their mean, which is what one replica goes on from.
    private static double[] WeightsOf(string path, bool mean)
    {
        if (!mean)
        {
            return Read(path, StoredKind.Weights, _ => true);
        }

        List<double[]> all = Parameters(path, 4);
        return [.. Enumerable.Range(0, all[0].Length).Select(i => all.Average(values => values[i]))];
    }

    private static List<string> NamesOfState(string path)
    {
        CheckpointFolder checkpoint = CheckpointFolder.Open(path);
        return [.. checkpoint.Manifest.Files.Where(f => f.Kind == StoredKind.State).SelectMany(f => NamesOf(checkpoint, f))];
    }

    private static List<string> NamesOf(CheckpointFolder checkpoint, StoredFile stored)
    {
        using SafetensorsFile file = SafetensorsFile.Open(checkpoint.PathOf(stored));
        return [.. file.Entries.Select(e => e.Name)];
    }

    private static double[] Read(string path, StoredKind kind, Func<string, bool> takes)
    {
        var found = new SortedDictionary<string, double[]>(StringComparer.Ordinal);
        CheckpointFolder checkpoint = CheckpointFolder.Open(path);
        foreach (StoredFile stored in checkpoint.Manifest.Files.Where(f => f.Kind == kind))
        {
            using SafetensorsFile file = SafetensorsFile.Open(checkpoint.PathOf(stored));
            foreach (SafetensorsEntry entry in file.Entries.Where(e => takes(e.Name)))
            {
                double[] values = new double[entry.Count];
                file.Read(entry, 0, MemoryMarshal.AsBytes(values.AsSpan()));
                found[entry.Name] = values;
            }
        }

        return [.. found.Values.SelectMany(values => values)];
    }
}
