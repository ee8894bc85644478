using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Optimizers;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>Estimates between steps, spread over steps, and on ranks beside them: when they take force, and that nothing else changes.</summary>
public sealed class CurvatureModeTests
{
    // Listeners hear every run of the process: a run's ranks carry its name on their threads.
    private static readonly ThreadLocal<string?> Name = new();

    private const int Products = 6;
    private const int Delay = 4;

    private static readonly CurvatureOptions Options = new(
        Rank: 3, Smallest: 1, Every: 12, Warmup: 3, Batch: 0, Alpha: 0.1, MaxScale: 3, CurvatureScope.Global);

    // A fixed number of products, in float64: nothing is decided by rounding.
    private static readonly LanczosSettings Fixed = new()
    {
        Tolerance = 0,
        MaxOrder = Products,
        CertificateProducts = 0,
        BasisType = ScalarType.Float64,
    };

    public static TheoryData<CurvatureMode, CurvatureScope, int, int> Cases => new()
    {
        { CurvatureMode.Amortized, CurvatureScope.Global, 1, 1 },
        { CurvatureMode.Amortized, CurvatureScope.Global, 2, 2 },
        { CurvatureMode.Amortized, CurvatureScope.Stage, 2, 1 },
        { CurvatureMode.Dedicated, CurvatureScope.Global, 1, 1 },
        { CurvatureMode.Dedicated, CurvatureScope.Global, 2, 2 },
        { CurvatureMode.Dedicated, CurvatureScope.Stage, 2, 1 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void FrozenParametersHaveOneSubspaceWhateverTheMode(CurvatureMode mode, CurvatureScope scope, int stages, int replicas)
    {
        // A step of 1e-300 leaves every parameter as it is.
        PlanOverrides overrides = new() { Replicas = replicas, Batch = 32 / replicas, Curvature = Options with { Alpha = 0, Scope = scope, Every = scope == CurvatureScope.Global ? 12 : 60 } };
        Run blocking = Train(stages, overrides, 24, rate: 1e-300);
        Run other = Train(stages, overrides with { Curvature = overrides.Curvature with { Mode = mode, Delay = mode == CurvatureMode.Dedicated ? Delay : 0 } }, 24, rate: 1e-300);
        int first = scope == CurvatureScope.Global ? 1 : stages;
        Assert.All(blocking.Refreshes.Take(first), refreshed => Assert.Equal((3, 3), (refreshed.Step, refreshed.SnapshotStep)));
        Assert.All(other.Refreshes.Take(first), refreshed => Assert.Equal(3, refreshed.SnapshotStep));
        for (int i = 0; i < first; i++)
        {
            Assert.Equal(blocking.Refreshes[i].Stage, other.Refreshes[i].Stage);
            Assert.Equal(blocking.Refreshes[i].Estimate.Products, other.Refreshes[i].Estimate.Products);
            Compare.Near(blocking.Refreshes[i].Estimate.Eigenvalues, other.Refreshes[i].Estimate.Eigenvalues, 1e-12);
        }

        // One subspace for the whole model is estimated again, over another batch and from the first.
        Assert.Equal(scope == CurvatureScope.Global ? 2 : first, other.Refreshes.Count);
        Assert.Equal(blocking.Vectors.Count, other.Vectors.Count);
        for (int i = 0; i < blocking.Vectors.Count; i++)
        {
            Compare.Near(blocking.Vectors[i], other.Vectors[i], 1e-8);
        }
    }

    [Fact]
    public void AStepIsLengthenedByOneProductAtMost()
    {
        var calls = new ConcurrentQueue<(int Stage, string Name)>();
        using ActivityListener listener = Listen(activity =>
        {
            if (Name.Value == "amortized")
            {
                calls.Enqueue(((int)activity.GetTagItem("stage")!, activity.OperationName));
            }
        });
        Run run = Train(2, new() { Curvature = Options with { Mode = CurvatureMode.Amortized } }, 14, name: "amortized");
        CurvatureRefreshed refreshed = run.Refreshes[0];

        // The graphs and the products, one after each step from the third on.
        Assert.Equal(3 + 1 + Products, refreshed.Step);
        Assert.Equal(Products, refreshed.Estimate.Products);
        string[] ended = [.. calls.Where(call => call.Stage == 0).Select(call => call.Name)];
        Assert.Equal(14, ended.Count(name => name == "training.step"));
        Assert.DoesNotContain(ended.Zip(ended.Skip(1)), pair => pair.First != "training.step" && pair.Second != "training.step");
    }

    [Theory]
    [InlineData(CurvatureMode.Amortized, 1)]
    [InlineData(CurvatureMode.Amortized, 2)]
    [InlineData(CurvatureMode.Dedicated, 1)]
    [InlineData(CurvatureMode.Dedicated, 2)]
    public void RunsRepeatAndDoNotDependOnThePartition(CurvatureMode mode, int replicas)
    {
        PlanOverrides overrides = new()
        {
            Replicas = replicas,
            Batch = 32 / replicas,
            Curvature = Options with { Mode = mode, Delay = mode == CurvatureMode.Dedicated ? Delay : 0, Every = 9 },
        };
        Run one = Train(2, overrides, 22, dropout: 0.2);
        Run again = Train(2, overrides, 22, dropout: 0.2);
        Assert.Equal(one.Losses, again.Losses);
        Assert.True(one.Refreshes.Count >= 2);
        Assert.All(one.Refreshes, r => Assert.Equal(mode == CurvatureMode.Dedicated ? Delay : 1 + Products, r.Step - r.SnapshotStep));
        Compare.Near(one.Losses, Train(3, overrides, 22, dropout: 0.2).Losses, 1e-7);

        // Nor on how many stages a rank holds: two ranks with two each, or one with both.
        PlanOverrides interleaved = overrides with { Schedule = Schedule.Interleaved, StagesPerRank = 2, MicroBatches = 3 };
        Run several = Train(2, interleaved, 22, dropout: 0.2, blocks: 4);
        Compare.Near(several.Losses, Train(4, interleaved, 22, dropout: 0.2, blocks: 4).Losses, 1e-7);
        Compare.Near(
            several.Losses, Train(4, interleaved with { Schedule = Schedule.OneForwardOneBackward, StagesPerRank = 1 }, 22, dropout: 0.2, blocks: 4).Losses, 1e-7);
    }

    [Theory]
    [InlineData(CurvatureMode.Amortized)]
    [InlineData(CurvatureMode.Dedicated)]
    public void UnderConsensusSnapshotsAreTakenAtTheConsensus(CurvatureMode mode)
    {
        PlanOverrides overrides = new()
        {
            Replicas = 2,
            Batch = 16,
            Admm = new(Period: 4, Sigma: 0.1, Relaxation: 1, AdmmRule.Consensus),
            Curvature = Options with { Mode = mode, Delay = mode == CurvatureMode.Dedicated ? Delay : 0, Every = 7 },
        };
        Run run = Train(2, overrides, 26);
        Assert.True(run.Refreshes.Count >= 2);
        Assert.All(run.Refreshes, r => Assert.Equal(1, r.SnapshotStep % 4));
        Assert.Equal(run.Losses, Train(2, overrides, 26).Losses);
        Assert.All(run.Losses, loss => Assert.True(double.IsFinite(loss)));
    }

    [Fact]
    public void DedicatedRanksMakeProductsWhileWorkersAreInAStep()
    {
        using var inStep = new ManualResetEventSlim();
        using var product = new ManualResetEventSlim();
        bool overlapped = false;
        int steps = 0;
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Dho2",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStarted = activity =>
            {
                if (activity.OperationName == "curvature.product" && inStep.IsSet)
                {
                    product.Set();
                }
                else if (activity.OperationName == "training.step" && Thread.CurrentThread.Name == "Dho2 rank 0" && Name.Value == "overlap")
                {
                    // In a step after the snapshot the worker stands still until the others have made a product.
                    inStep.Set();
                    overlapped |= steps++ >= 3 && !overlapped && product.Wait(TimeSpan.FromSeconds(20));
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        Run run = Train(2, new() { Curvature = Options with { Mode = CurvatureMode.Dedicated, Delay = Delay } }, 12, name: "overlap");
        Assert.True(overlapped, "No product was made while a worker was in a step.");
        Assert.Equal(3 + Delay, Assert.Single(run.Refreshes).Step);
        Assert.True(run.Refreshes[0].DedicatedIdle > TimeSpan.Zero);
        Assert.True(run.Refreshes[0].Lateness >= TimeSpan.Zero);
    }

    [Fact]
    public void AnEstimateThatIsLateIsWaitedFor()
    {
        // One step after the snapshot: the products cannot all have been made.
        Run run = Train(2, new() { Curvature = Options with { Mode = CurvatureMode.Dedicated, Delay = 1, Every = 3 } }, 12);
        Assert.Equal([4L, 7, 10], run.Refreshes.Select(r => r.Step));
        Assert.Contains(run.Refreshes, r => r.Lateness > TimeSpan.Zero);
    }

    [Theory]
    [InlineData(CurvatureMode.Blocking)]
    [InlineData(CurvatureMode.Amortized)]
    [InlineData(CurvatureMode.Dedicated)]
    public void StatesThatAreSavedAndSetAgainChangeNothing(CurvatureMode mode)
    {
        CurvatureOptions curvature = Options with { Mode = mode, Delay = mode == CurvatureMode.Dedicated ? Delay : 0, Every = 8 };
        double[] undisturbed = TrainByStep(curvature, _ => { });
        double[] saved = TrainByStep(curvature, trainer => trainer.OnRanks(rank =>
        {
            using DisposeScope scope = NewDisposeScope();
            OptimizerState live = rank.Curvature!.GetState();
            OptimizerState state = new(live.Vectors.ToDictionary(v => v.Key, v => v.Value.clone()), live.Numbers.ToDictionary());
            rank.Curvature.SetState(state);
        }));
        Assert.Equal(undisturbed, saved);
    }

    [Fact]
    public void AFailureOfADedicatedRankIsWhatTheTrainerThrows()
    {
        var definition = ChainModel.Define(2, blocks: 3, beforeForward: (_, _) =>
        {
            if (Thread.CurrentThread.Name is "Dho2 rank 2")
            {
                throw new InvalidOperationException("out of order");
            }
        });
        using var world = World.Join(TimeSpan.FromSeconds(20));
        using var trainer = new Trainer(definition, world, new()
        {
            Overrides = new() { DType = DType.Float64, Curvature = Options with { Mode = CurvatureMode.Dedicated, Delay = 2 } },
        });
        (Tensor points, Tensor labels) = ChainModel.Data(32 * 12, float64);
        using TensorDataset data = new(points, labels);
        CurvatureException failure = Assert.Throws<CurvatureException>(() => trainer.Fit(data));
        Assert.Contains("out of order", failure.Message, StringComparison.Ordinal);
        points.Dispose();
        labels.Dispose();
    }

    [Fact]
    public void AProcessOfDedicatedRanksKnowsWhatCallsCameTo()
    {
        using var world = World.Join();
        IReadOnlyList<ICommunicator> all = world.Open(4);
        TrainingOptions options = new() { Overrides = new() { DType = DType.Float64, Curvature = Options with { Mode = CurvatureMode.Dedicated, Delay = 2 } } };
        (Tensor points, Tensor labels) = ChainModel.Data(64, float64);
        using TensorDataset data = new(points, labels);
        List<object>[] results = [[], []];
        Thread[] processes =
        [
            .. Enumerable.Range(0, 2).Select(process => new Thread(() =>
            {
                using var part = new PartOfWorld([.. all.Skip(2 * process).Take(2)]);
                using var trainer = new Trainer(ChainModel.Define(2, blocks: 3), part, options);
                for (int i = 0; i < 6; i++)
                {
                    StepResult result = trainer.TrainStep(new([points], [labels]));
                    results[process].Add((result.Step, result.Loss, result.GradientNorm, result.LearningRate, result.Samples));
                }

                trainer.Fit(data);
                results[process].Add(trainer.Steps);
                results[process].Add(trainer.Evaluate(data));
            })),
        ];
        Array.ForEach(processes, process => process.Start());
        Assert.All(processes, process => Assert.True(process.Join(TimeSpan.FromSeconds(60))));
        Assert.Equal(results[0], results[1]);
        Assert.Equal(8, results[0].Count);
        points.Dispose();
        labels.Dispose();
    }

    private static ActivityListener Listen(Action<Activity> stopped)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Dho2",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = stopped,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    private static double[] TrainByStep(CurvatureOptions curvature, Action<Trainer> between)
    {
        using DisposeScope scope = NewDisposeScope();
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(2, blocks: 3), world, new()
        {
            Estimation = Fixed,
            Overrides = new() { DType = DType.Float64, Curvature = curvature },
        });
        (Tensor points, Tensor labels) = ChainModel.Data(32, float64);
        var losses = new List<double>();
        for (int i = 0; i < 18; i++)
        {
            losses.Add(trainer.TrainStep(new([points], [labels])).Loss);
            between(trainer);
        }

        return [.. losses];
    }

    private static Run Train(int stages, PlanOverrides overrides, int steps, double rate = 0.1, double dropout = 0, string? name = null, int blocks = 3)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(32 * steps, float64);
        using (points)
        using (labels)
        {
            using var data = new TensorDataset(points, labels);
            var run = new Run([], [], []);
            using var world = World.Join();
            using var trainer = new Trainer(ChainModel.Define(stages, blocks, dropout: dropout), world, new()
            {
                LearningRate = rate,
                GradientClip = 1,
                Estimation = Fixed,
                Overrides = overrides with { DType = DType.Float64 },
            });
            trainer.OnRanks(_ => Name.Value = name);
            trainer.StepCompleted += step => run.Losses.Add(step.Result.Loss);
            trainer.CurvatureRefreshed += run.Refreshes.Add;
            trainer.Fit(data);
            Assert.Equal(steps, run.Losses.Count);
            foreach (TrainingRank rank in trainer.Ranks)
            {
                run.Vectors.Add(rank.Optimizer.Subspace is { } subspace ? subspace.Vectors.flatten().data<double>().ToArray() : []);
            }

            return run;
        }
    }

    private sealed record Run(List<double> Losses, List<CurvatureRefreshed> Refreshes, List<double[]> Vectors);

    /// <summary>What one process sees of a world.</summary>
    private sealed class PartOfWorld(IReadOnlyList<ICommunicator> ranks) : World(DefaultTimeout)
    {
        public override IReadOnlyList<ICommunicator> Open(int size) => ranks;
    }
}
