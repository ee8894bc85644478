using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Modeling.Tests;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Generators.Tests;

/// <summary>What the plan predicts of traffic and memory is what communicators count and optimizers own, on every rank.</summary>
[Collection(nameof(TrainingParityTests))]
public sealed class TrafficTests
{
    private const string CountedLoss =
        "private static (Tensor Sum, Tensor Count) Loss(Tensor logits, Tensor labels) =>\n"
        + "        (cross_entropy(logits, labels, reduction: Reduction.Sum), labels.ge(0).count_nonzero());";

    private static readonly Dictionary<string, PipelineDefinition> Definitions = [];

    private static readonly CurvatureOptions Curvature = new(3, 0, 2, 2, 0, 0.05, 2, CurvatureScope.Global);

    private static readonly AdmmOptions Consensus = new(2, 0.2, 1.1, AdmmRule.Consensus);

    public static TheoryData<string, int, int, PlanOverrides, int> Cases()
    {
        PlanOverrides plain = new() { MicroBatches = 2 };
        return new()
        {
            { "one rank", 1, 1, plain, 1 },
            { "GPipe", 2, 2, plain with { Schedule = Schedule.GPipe }, 1 },
            { "three replicas", 3, 3, plain with { MicroBatches = 3 }, 1 },
            { "buckets", 2, 3, plain, 3 },
            { "Adam and curvature", 3, 3, plain with { Base = BaseKind.Adam, Curvature = Curvature }, 1 },
            { "a smaller curvature batch", 4, 2, plain with { Base = BaseKind.Sgd, Curvature = Curvature with { Batch = 6 } }, 1 },
            { "consensus and shared curvature", 2, 3, plain with { Curvature = Curvature, Admm = Consensus }, 1 },
            { "consensus and local curvature", 2, 2, plain with { Curvature = Curvature, Admm = Consensus with { LocalCurvature = true } }, 1 },
            { "the dual rule", 2, 2, plain with { Admm = Consensus with { Rule = AdmmRule.Dual } }, 1 },
            { "shared out", 2, 3, plain with { ShardOptimizer = true }, 1 },
            { "shared out, Adam and curvature", 3, 2, plain with { ShardOptimizer = true, Base = BaseKind.Adam, Curvature = Curvature }, 1 },
            { "a loss that counts", 2, 2, plain with { Curvature = Curvature }, 1 },
            { "a loss that counts, graphs rebuilt", 2, 2, plain with { Curvature = Curvature }, 1 },
            { "graphs rebuilt", 3, 2, plain with { MicroBatches = 4, Curvature = Curvature }, 1 },
            { "each stage's block", 3, 2, plain with { Curvature = Curvature with { Scope = CurvatureScope.Stage } }, 1 },
            { "each stage's block, graphs rebuilt", 2, 2, plain with { Curvature = Curvature with { Scope = CurvatureScope.Stage } }, 1 },
            { "each stage's block, shared out", 2, 2, plain with { ShardOptimizer = true, Curvature = Curvature with { Scope = CurvatureScope.Stage } }, 1 },
            { "amortized", 2, 2, plain with { Curvature = Curvature with { Mode = CurvatureMode.Amortized } }, 1 },
            { "amortized, consensus", 2, 2, plain with { Curvature = Curvature with { Mode = CurvatureMode.Amortized }, Admm = Consensus }, 1 },
            { "bfloat16", 3, 2, plain with { DType = DType.BFloat16, Curvature = Curvature }, 1 },
            { "bfloat16, one rank", 1, 1, plain with { DType = DType.BFloat16 }, 1 },
            { "bfloat16, buckets", 2, 3, plain with { DType = DType.BFloat16 }, 3 },
            { "bfloat16, shared out, Adam", 2, 3, plain with { DType = DType.BFloat16, ShardOptimizer = true, Base = BaseKind.Adam, Curvature = Curvature }, 1 },
            { "bfloat16, consensus, graphs rebuilt", 2, 2, plain with { DType = DType.BFloat16, Curvature = Curvature, Admm = Consensus }, 1 },
            { "bfloat16, a loss that counts", 2, 2, plain with { DType = DType.BFloat16, Curvature = Curvature }, 1 },
            { "bfloat16, each stage's block, amortized", 2, 2, plain with { DType = DType.BFloat16, Curvature = Curvature with { Scope = CurvatureScope.Stage, Mode = CurvatureMode.Amortized } }, 1 },
            { "bfloat16, dedicated", 2, 2, plain with { DType = DType.BFloat16, Curvature = Curvature with { Mode = CurvatureMode.Dedicated, Delay = 1 } }, 1 },
            { "interleaved", 4, 2, plain with { Schedule = Schedule.Interleaved, StagesPerRank = 2, Base = BaseKind.Adam, Curvature = Curvature }, 1 },
            { "interleaved, graphs rebuilt, consensus", 4, 2, plain with { Schedule = Schedule.Interleaved, StagesPerRank = 2, Curvature = Curvature, Admm = Consensus }, 1 },
            { "interleaved, shared out", 4, 3, plain with { Schedule = Schedule.Interleaved, StagesPerRank = 2, ShardOptimizer = true, Curvature = Curvature }, 1 },
            { "interleaved, dedicated", 4, 2, plain with { Schedule = Schedule.Interleaved, StagesPerRank = 2, Curvature = Curvature with { Mode = CurvatureMode.Dedicated, Delay = 1 } }, 1 },
            { "interleaved on one rank", 2, 2, plain with { Schedule = Schedule.Interleaved, StagesPerRank = 2, Curvature = Curvature }, 1 },
            { "dedicated", 2, 2, plain with { Curvature = Curvature with { Mode = CurvatureMode.Dedicated, Delay = 1 } }, 1 },
        };
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void EveryRankSendsWhatThePlanPredicts(string name, int stages, int replicas, PlanOverrides overrides, int buckets)
    {
        using DisposeScope scope = NewDisposeScope();
        using var world = World.Join();
        using var trainer = new Trainer(Define(stages, name.Contains("counts", StringComparison.Ordinal)), world, new TrainingOptions
        {
            LearningRate = 0.05,
            GradientClip = 1,
            GradientBuckets = buckets,
            Products = new PipelineHessianSettings { RetainGraphs = name.Contains("rebuilt", StringComparison.Ordinal) ? false : null },
            DecoupledWeightDecay = name == "GPipe" ? 0.01 : 0,
            Overrides = overrides with { Batch = 8, Replicas = replicas },
        });
        int ranks = trainer.Plan.Layout.Ranks * replicas;
        var seen = new HashSet<long>();
        foreach (int perReplica in new[] { 8, 8, 8, 4, 8 })
        {
            int samples = perReplica * replicas;
            trainer.TrainStep(new Batch([linspace(0, 9, samples * 6).sin().view(samples, 6)], [arange(samples, dtype: int64).remainder(3)]));
            Assert.Equal(ranks, trainer.Traffic.Count);
            Assert.All(trainer.Traffic, traffic => Assert.Equal(traffic.Predicted, traffic.Sent));
            seen.Add(trainer.Traffic[0].Sent);
        }

        Assert.Equal(ranks == 1, seen.SequenceEqual([0L]));
    }

    [Theory]
    [InlineData(CurvatureMode.Blocking, UnpaidCurvature.Keep)]
    [InlineData(CurvatureMode.Blocking, UnpaidCurvature.Drop)]
    [InlineData(CurvatureMode.Amortized, UnpaidCurvature.Drop)]
    public void WhatATrialSendsBelongsToNoStep(CurvatureMode mode, UnpaidCurvature decision)
    {
        using DisposeScope scope = NewDisposeScope();
        using var world = World.Join();
        using var trainer = new Trainer(Define(2, counted: false), world, new TrainingOptions
        {
            // Estimates that cost something and gain nothing, from step 4 on.
            LearningRate = 1e-3,
            Epochs = 40,
            Estimation = new LanczosSettings { MaxOrder = 4, CertificateProducts = 0 },
            CurvatureTrial = new CurvatureTrial { Steps = 6, RepeatEvery = 1, WhenItDoesNotPay = decision },
            Overrides = new PlanOverrides { Batch = 8, Replicas = 2, Curvature = Curvature with { Every = 8, Mode = mode, Alpha = 0, MaxScale = 1 } },
        });
        var traffic = new List<RankTraffic>();
        int trials = 0;
        trainer.StepCompleted += step => traffic.Add(step.Result.Traffic!);
        trainer.CurvatureCompared += _ => trials++;
        using var data = new Data.TensorDataset(linspace(0, 9, 16 * 6).sin().view(16, 6), arange(16, dtype: int64).remainder(3));
        trainer.Fit(data);
        Assert.True(trials > 0);
        Assert.Equal(40, traffic.Count);
        Assert.All(traffic, step => Assert.Equal(step.Predicted, step.Sent));
        Assert.All(trainer.Traffic, last => Assert.Equal(last.Predicted, last.Sent));
    }

    [Theory]
    [InlineData("HeadOfEmbedding", 1, CurvatureScope.Global)]
    [InlineData("HeadOfEmbedding", 2, CurvatureScope.Global)]
    [InlineData("ReadOnAnEarlierStage", 2, CurvatureScope.Stage)]
    [InlineData("SeveralOnAStage", 2, CurvatureScope.Global)]
    [InlineData("HeadOfEmbedding", 2, CurvatureScope.Global, DType.BFloat16)]
    [InlineData("SeveralOnAStage", 1, CurvatureScope.Stage, DType.BFloat16)]
    public void TiedParametersTravelAsThePlanPredicts(string model, int replicas, CurvatureScope scope, DType type = DType.Float32)
    {
        using DisposeScope disposal = NewDisposeScope();
        using var world = World.Join();
        PipelineDefinition definition = new StageChain(Generation.Clean(SharedModels.Tied[model].Source.Replace("\"T\"", "5", StringComparison.Ordinal))).Definition;
        using var trainer = new Trainer(definition, world, new TrainingOptions
        {
            LearningRate = 0.05,
            Overrides = new PlanOverrides { Replicas = replicas, DType = type, Curvature = Curvature with { Scope = scope } },
        });
        for (int i = 0; i < 5; i++)
        {
            int samples = 4 * replicas;
            Tensor tokens = arange(samples * 5, dtype: int64).remainder(11).view(samples, 5);
            trainer.TrainStep(new Batch([tokens], [tokens.roll(1, 1)]));
            Assert.All(trainer.Traffic, traffic => Assert.Equal(traffic.Predicted, traffic.Sent));
        }
    }

    [Theory]
    [InlineData(1, BaseKind.HeavyBall)]
    [InlineData(2, BaseKind.Adam)]
    [InlineData(3, BaseKind.Adam)]
    public void WhatRanksOwnIsWhatThePlanSaysAndFallsWithStagesAndReplicas(int replicas, BaseKind kind)
    {
        using DisposeScope scope = NewDisposeScope();
        using var world = World.Join();
        using var trainer = new Trainer(Define(2, counted: false), world, new TrainingOptions
        {
            Overrides = new() { Batch = 8, MicroBatches = 2, Replicas = replicas, Base = kind, ShardOptimizer = true, Curvature = Curvature },
        });
        for (int i = 0; i < 4; i++)
        {
            int samples = 8 * replicas;
            trainer.TrainStep(new Batch([linspace(0, 9, samples * 6).sin().view(samples, 6)], [arange(samples, dtype: int64).remainder(3)]));
        }

        foreach (TrainingRank rank in trainer.Ranks)
        {
            StagePlan plan = trainer.Plan.Stages[rank.Stage];
            long share = (rank.Flat.Count + replicas - 1) / replicas;
            long Planned(MemoryKind term) => plan.Memory.Single(m => m.Kind == term).Bytes!.Value;
            long Owned(string prefix) => rank.Optimizer.GetState().Vectors.Where(v => v.Key.StartsWith(prefix, StringComparison.Ordinal)).Sum(v => v.Value.numel() * v.Value.element_size());

            // The last share ends with padding, which is planned and not owned; a share of the gradient lies beside the state.
            long padding = (share * replicas) - rank.Flat.Count;
            long missing = rank.Replica == replicas - 1 ? padding : 0;
            int vectors = kind == BaseKind.Adam ? 2 : 1;
            Assert.Equal(Planned(MemoryKind.Optimizer) - (replicas > 1 ? share * 4 : 0), Owned("base.") + (missing * 4 * vectors));
            Assert.Equal(share * 4 * vectors, Planned(MemoryKind.Optimizer) - (replicas > 1 ? share * 4 : 0));

            // The plan counts the direction that Adam prepares, which is no state.
            long direction = kind == BaseKind.Adam ? share * 4 : 0;
            Assert.Equal(Planned(MemoryKind.Curvature) - direction, Owned("curvature.") + Owned("newton.") + (missing * 4 * 4));
        }
    }

    private static PipelineDefinition Define(int stages, bool counted)
    {
        string key = $"{stages}, {counted}";
        if (!Definitions.TryGetValue(key, out PipelineDefinition? definition))
        {
            int[] of = [.. Enumerable.Range(0, 4).Select(i => i * stages / 4)];
            definition = new StageChain(Generation.Clean(ModelSource.Net(
                layers: $"""
                        [Stage({of[0]})] private readonly Linear fc1 = Linear(6, 10);
                        [Stage({of[0]})] private readonly BatchNorm1d norm1 = BatchNorm1d(10);
                        [Stage({of[1]})] private readonly Linear fc2 = Linear(10, 10);
                        [Stage({of[2]})] private readonly Linear fc3 = Linear(10, 10);
                        [Stage({of[3]})] private readonly Linear head = Linear(20, 3);
                    """,
                forward: """
                        var skip = tanh(norm1.forward(fc1.forward(x)));
                            var h = tanh(fc2.forward(skip));
                            h = tanh(fc3.forward(h));
                            return head.forward(cat([h, skip], 1));
                    """,
                attributes: "[Pipeline(MicroBatches = 2)]\n[Input(6, Batch = 8)]\n[Target]",
                loss: counted ? CountedLoss : ModelSource.Loss))).Definition;
            Definitions[key] = definition;
        }

        return definition;
    }
}
