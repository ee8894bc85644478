using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Communication;
using TorchSharp;
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
    public void TheNumberOfLiveTensorsStaysTheSameFromStepToStep(Schedule schedule, int ranks = 3, int stagesPerRank = 1)
    {
        long[] counts = new long[6];
        Ranks.Run(ranks, c =>
        {
            using DisposeScope scope = NewDisposeScope();
            using var rank = new StageRank(c, schedule, float32, 1, stagesPerRank);
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
