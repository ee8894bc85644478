using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Communication;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Tests.Pipelines;

public sealed class ExecutorTests
{
    [Theory]
    [InlineData(Schedule.GPipe)]
    [InlineData(Schedule.OneForwardOneBackward)]
    [InlineData(Schedule.ZeroBubble)]
    [InlineData(Schedule.Interleaved, 2, 2)]
    [InlineData(Schedule.Interleaved, 1, 2)]
    public void TheNumberOfLiveTensorsStaysTheSameFromStepToStep(Schedule schedule, int ranks = 3, int stagesPerRank = 1) =>
        LiveTensorsStay(schedule, ranks, stagesPerRank, recomputes: false);

    private static void LiveTensorsStay(Schedule schedule, int ranks, int stagesPerRank, bool recomputes)
    {
        long[] counts = new long[6];
        Ranks.Run(ranks, c =>
        {
            using DisposeScope scope = NewDisposeScope();
            using var rank = new StageRank(c, schedule, float32, 1, stagesPerRank, recomputes);
            Batch batch = BranchedModel.RandomBatch(8, float32);
            for (int step = 0; step < counts.Length; step++)
            {
                rank.Step(batch, 4, step);
                rank.Executor.Evaluate(batch, MicroBatches.Split(8, 2), (_, _, _, _) => { });
                c.Barrier();
                if (c.Rank == 0)
                {
                    if (step == 0)
                    {
                        LiveTensors.Settle();
                    }

                    counts[step] = LiveTensors.Count;
                }

                c.Barrier();
            }
        });
        Assert.All(counts.Skip(1), count => Assert.Equal(counts[1], count));
    }

    [Theory]
    [InlineData(Schedule.GPipe)]
    [InlineData(Schedule.OneForwardOneBackward)]
    [InlineData(Schedule.ZeroBubble)]
    [InlineData(Schedule.Interleaved, 2)]
    public void AStageThatRecomputesHasAsManyGraphsAsThePlanSays(Schedule schedule, int stagesPerRank = 1)
    {
        const int MicroBatches = 6;
        int ranks = 4 / stagesPerRank;
        ScheduleSimulation planned = ScheduleSimulator.Run(ScheduleBuilder.Build(schedule, 4, MicroBatches, stagesPerRank), ScheduleCosts.Uniform(4, 1, 2));
        Ranks.Run(ranks, c =>
        {
            using DisposeScope scope = NewDisposeScope();
            using var rank = new StageRank(c, schedule, float64, 1, stagesPerRank, recomputes: true);
            int graphs = 0;
            int most = 0;
            int plain = 0;
            rank.Stage.BeforeForward = () =>
            {
                most = Math.Max(most, graphs + 1);
                plain += is_grad_enabled() ? 0 : 1;
                graphs += is_grad_enabled() ? 1 : 0;
            };

            // Only a split backward leaves other graphs; and only without others on the rank is it this stage's that ends.
            rank.GradientsAdded = () => graphs = schedule == Schedule.ZeroBubble ? graphs - 1 : 0;
            rank.Step(BranchedModel.RandomBatch(12, float64), MicroBatches, 0);
            Assert.Equal(MicroBatches, plain);
            Assert.Equal(planned.MaxRecomputed[c.Rank], most);
        });
    }

    [Theory]
    [InlineData(Schedule.GPipe)]
    [InlineData(Schedule.ZeroBubble)]
    public void TheNumberOfLiveTensorsStaysTheSameWhereActivationsAreRecomputed(Schedule schedule) => LiveTensorsStay(schedule, 3, 1, recomputes: true);

    /// <summary>The first forward changes a copy; what the backward uses was changed once, as without recomputation.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhatAStageChangesInPlaceIsChangedOnce(bool recomputes)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = ones(4, 2);
        using var stage = new InPlaceStage();
        Ranks.Run(1, c =>
        {
            using var executor = new PipelineExecutor(stage, new StageContext(1), c, [], (r, _) => r[0].sum())
            {
                Recomputed = recomputes ? [new RecomputedStage(0, MayWorkInPlace: true)] : [],
            };
            EquatableArray<Instruction> instructions = ScheduleBuilder.Build(Schedule.OneForwardOneBackward, 1, 2)[0];
            Assert.Equal(8 * 2 / 2, executor.Train(instructions, new([x], []), [2, 2], 0, 4));
        });
        Assert.Equal(2, x.mean().item<float>());

        // Two micro-batches, each half of the mean, with two samples of the value 2.
        Assert.Equal([4f, 4f], stage.Scale.grad!.data<float>());
    }

    /// <summary>Both forwards of a layer that draws from the process's generator draw the same, while other ranks draw too.</summary>
    [Fact]
    public void WhatDrawsFromTheDefaultGeneratorDrawsTwiceTheSame() => Ranks.Run(2, c =>
    {
        using ICommunicator own = c.Split(c.Rank, 0);
        for (int step = 0; step < 20; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            using var stage = new RandomStage();
            using var executor = new PipelineExecutor(stage, new StageContext(1), own, [], (r, _) => r[0].sum())
            {
                Recomputed = [new RecomputedStage(0, DrawsFromDefaultGenerator: true)],
            };
            executor.Train(ScheduleBuilder.Build(Schedule.GPipe, 1, 3)[0], new([ones(6, 2)], []), [2, 2, 2], step, 6);
            Assert.Equal(stage.Drawn.Take(3), stage.Drawn.Skip(3));
            Assert.Equal(3, stage.Drawn.Distinct().Count());
        }
    });

    [Fact]
    public void AFailingStageEndsTheOthersAndNamesRankStageMicroBatchAndInstruction()
    {
        Exception?[] failures = Ranks.RunAll(3, c =>
        {
            using DisposeScope scope = NewDisposeScope();
            using var rank = new StageRank(c, Schedule.GPipe, float32, 1);
            int forwards = 0;
            rank.Stage.BeforeForward = () =>
            {
                if (c.Rank == 1 && forwards++ == 2)
                {
                    throw new InvalidOperationException("no such layer");
                }
            };
            rank.Step(BranchedModel.RandomBatch(8, float32), 4, step: 7);
        });

        var cause = Assert.IsType<PipelineException>(failures[1]);
        Assert.Equal("Rank 1, stage 1, step 7, micro-batch 2, Forward: no such layer", cause.Message);
        foreach (int other in new[] { 0, 2 })
        {
            var ended = Assert.IsType<PipelineException>(failures[other]);
            Assert.Equal(other, ended.Rank);
            Assert.Same(cause, Assert.IsType<CommunicationException>(ended.InnerException).InnerException);
        }
    }

    [Fact]
    public void ADropoutThatThrowsLetsOtherRanksDraw()
    {
        // A dropout layer cannot work on integers in training; it fails between the hooks that guard the generator.
        using DisposeScope scope = NewDisposeScope();
        using var context = new DropoutStage(new StageContext(1));
        Ranks.Run(1, c =>
        {
            using var executor = new PipelineExecutor(context, context.Context, c, [], (r, _) => r[0].sum());
            EquatableArray<Instruction> instructions = ScheduleBuilder.Build(Schedule.GPipe, 1, 1)[0];
            Assert.Throws<PipelineException>(() => executor.Train(instructions, new([ones(4, 2, dtype: int64)], []), [4], 0, 4));
        });
        Ranks.Run(1, c =>
        {
            using var executor = new PipelineExecutor(context, context.Context, c, [], (r, _) => r[0].sum());
            EquatableArray<Instruction> instructions = ScheduleBuilder.Build(Schedule.GPipe, 1, 1)[0];
            executor.Train(instructions, new([ones(4, 2)], []), [4], 0, 4);
        });
    }

    [Fact]
    public void SaysWhatIsWrongWithALossThatIsNoNumber()
    {
        Ranks.Run(1, c =>
        {
            using DisposeScope scope = NewDisposeScope();
            var context = new StageContext(1);
            using BranchedModel.Stage stage = BranchedModel.CreateStage(context, 0, 1);
            using var executor = new PipelineExecutor(stage, context, c, [], (r, _) => r[0]);
            EquatableArray<Instruction> instructions = ScheduleBuilder.Build(Schedule.GPipe, 1, 1)[0];
            string message = Assert.Throws<PipelineException>(
                () => executor.Train(instructions, BranchedModel.RandomBatch(4, float32), [4], 0, 4)).Message;
            Assert.Contains("shape (4, 3)", message, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void RefusesAGroupThatDoesNotMatchTheCuts()
    {
        Ranks.Run(1, c =>
        {
            var context = new StageContext(1);
            using BranchedModel.Stage stage = BranchedModel.CreateStage(context, 0, 2);
            Assert.Throws<ArgumentException>(() => new PipelineExecutor(stage, context, c, BranchedModel.Cuts(2), BranchedModel.Loss));
        });
    }

    /// <summary>Adds 1 to what it is given, and multiplies that.</summary>
    private sealed class InPlaceStage : IPipelineStage
    {
        public Parameter Scale { get; } = new(ones(2));

        public int Index => 0;

        public IReadOnlyList<StageLayer> Layers => [new("scale", Scale)];

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs) => [inputs[0].add_(1) * Scale];

        public void Dispose() => Scale.Dispose();
    }

    /// <summary>A stage whose forward draws from the process's generator.</summary>
    private sealed class RandomStage : IPipelineStage
    {
        private readonly Parameter scale = new(ones(2));

        public List<float> Drawn { get; } = [];

        public int Index => 0;

        public IReadOnlyList<StageLayer> Layers => [new("scale", scale)];

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs)
        {
            Tensor mask = rand(2);
            Drawn.Add(mask.sum().item<float>());
            return [inputs[0] * scale * mask];
        }

        public void Dispose() => scale.Dispose();
    }

    /// <summary>A stage with a composite layer that holds TorchSharp's own dropout.</summary>
    private sealed class DropoutStage(StageContext context) : IPipelineStage
    {
        private readonly nn.Module<Tensor, Tensor> block = nn.Sequential(("drop", nn.Dropout(0.5)));

        public StageContext Context => context;

        public int Index => 0;

        public IReadOnlyList<StageLayer> Layers => [new("block", block)];

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs) => [block.forward(inputs[0])];

        public void Dispose() => block.Dispose();
    }
}
