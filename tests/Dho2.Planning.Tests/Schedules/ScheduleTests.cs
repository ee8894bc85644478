using System;
using System.Linq;
using CsCheck;

namespace Dho2.Planning.Tests.Schedules;

public class ScheduleTests
{
    private static readonly Gen<(Schedule Kind, int Stages, int MicroBatches)> AnyPipeline =
        Gen.Select(Gen.Enum<Schedule>(), Gen.Int[1, 9], Gen.Int[1, 20]);

    [Fact]
    public void EveryStageDoesEveryMicroBatchOnce() => AnyPipeline.Sample((kind, stages, microBatches) =>
    {
        EquatableArray<EquatableArray<Instruction>> lists = ScheduleBuilder.Build(kind, stages, microBatches);
        for (int s = 0; s < stages; s++)
        {
            foreach (InstructionKind i in Enum.GetValues<InstructionKind>())
            {
                bool crosses = i switch
                {
                    InstructionKind.SendActivation or InstructionKind.ReceiveGradient => s < stages - 1,
                    InstructionKind.SendGradient or InstructionKind.ReceiveActivation => s > 0,
                    _ => true,
                };
                Assert.Equal(
                    crosses ? Enumerable.Range(0, microBatches) : [],
                    lists[s].Where(x => x.Kind == i && x.Stage == s).Select(x => x.MicroBatch));
            }
        }
    });

    [Fact]
    public void EveryScheduleCompletesEvenWhereSendsWait() => AnyPipeline.Sample((kind, stages, microBatches) =>
        ScheduleSimulator.Run(ScheduleBuilder.Build(kind, stages, microBatches), ScheduleCosts.Uniform(stages, 1, 2)).Completes);

    /// <summary>Huang et al. 2019 (GPipe), section 2.3, and Narayanan et al. 2021, section 2.2: (S - 1) / (M + S - 1).</summary>
    [Fact]
    public void TheBubbleIsThePublishedOne() => AnyPipeline.Sample((kind, stages, microBatches) =>
    {
        ScheduleSimulation run = ScheduleSimulator.Run(ScheduleBuilder.Build(kind, stages, microBatches), ScheduleCosts.Uniform(stages, 7, 13));
        Assert.Equal((double)(stages - 1) / (microBatches + stages - 1), run.BubbleFraction, 12);
        Assert.Equal((stages - 1) * 1_000_000L / (microBatches + stages - 1), run.BubblePartsPerMillion, 1.0);
        Assert.Equal(20L * (microBatches + stages - 1), run.Makespan);
    });

    /// <summary>Narayanan et al. 2021, section 2.2: at most S - s micro-batches are in flight under 1F1B, all of them under GPipe.</summary>
    [Fact]
    public void ActivationsInFlightAreThePublishedOnes() => AnyPipeline.Sample((kind, stages, microBatches) =>
    {
        ScheduleSimulation run = ScheduleSimulator.Run(ScheduleBuilder.Build(kind, stages, microBatches), ScheduleCosts.Uniform(stages, 1, 2));
        Assert.Equal(
            Enumerable.Range(0, stages).Select(s => kind == Schedule.GPipe ? microBatches : Math.Min(microBatches, stages - s)),
            run.MaxInFlight);
    });

    [Fact]
    public void AStepIsNeverShorterThanItsSlowestStage() =>
        Gen.Select(AnyPipeline, Gen.Long[1, 1000].Array[9], Gen.Long[1, 1000].Array[9]).Sample((pipeline, forward, backward) =>
        {
            (Schedule kind, int stages, int microBatches) = pipeline;
            var costs = new ScheduleCosts(forward.Take(stages).ToEquatableArray(), backward.Take(stages).ToEquatableArray());
            ScheduleSimulation run = ScheduleSimulator.Run(ScheduleBuilder.Build(kind, stages, microBatches), costs);
            long slowest = Enumerable.Range(0, stages).Max(s => microBatches * (forward[s] + backward[s]));
            Assert.True(run.Completes);
            Assert.True(run.Makespan >= slowest);
            Assert.Equal(slowest, run.Busy.Max());
            Assert.All(run.Work, w => Assert.True(w.End <= run.Makespan));
        });

    [Fact]
    public void TwoRanksThatBothReceiveFirstAreStuckWithTheReason()
    {
        EquatableArray<EquatableArray<Instruction>> lists = ScheduleBuilder.Build(Schedule.OneForwardOneBackward, 2, 1);
        var first = lists[0].OrderBy(i => i.Kind == InstructionKind.SendActivation).ToList();

        ScheduleSimulation run = ScheduleSimulator.Run(
            new[] { first.ToEquatableArray(), lists[1] }.ToEquatableArray(), ScheduleCosts.Uniform(2, 1, 1));

        Assert.Equal(2, run.Stuck.Count);
        Assert.Equal(
            "rank 0 is stuck at ReceiveGradient(micro-batch 0, stage 0) (instruction 1): no rank comes to SendGradient(micro-batch 0, stage 1)",
            run.Stuck[0].ToString());
        Assert.Equal(new Instruction(InstructionKind.ReceiveActivation, 0, 1), run.Stuck[1].Instruction);
    }

    [Fact]
    public void LosingAnyInstructionIsNoticed() =>
        Gen.Select(AnyPipeline.Where(p => p.Stages > 1), Gen.Int[0, int.MaxValue]).Sample((pipeline, which) =>
        {
            (Schedule kind, int stages, int microBatches) = pipeline;
            EquatableArray<EquatableArray<Instruction>> lists = ScheduleBuilder.Build(kind, stages, microBatches);
            int rank = which % stages;
            int at = which / stages % lists[rank].Count;
            Instruction lost = lists[rank][at];
            var changed = lists.Select((l, r) => r == rank ? l.Where((_, i) => i != at).ToEquatableArray() : l).ToEquatableArray();

            ScheduleSimulation run = ScheduleSimulator.Run(changed, ScheduleCosts.Uniform(stages, 1, 1));

            // The first stage's last backward is nobody's prerequisite.
            bool needed = !(lost.Kind == InstructionKind.Backward && lost.Stage == 0);
            Assert.Equal(needed, !run.Completes);
        });

    [Fact]
    public void MicroBatchesAreAsEqualAsWholeSamplesAllow() =>
        Gen.Select(Gen.Int[1, 500], Gen.Int[1, 40]).Sample((batch, count) =>
        {
            EquatableArray<int> sizes = MicroBatches.Split(batch, count);
            Assert.Equal(batch, sizes.Sum());
            Assert.Equal(Math.Min(batch, count), sizes.Count);
            Assert.True(sizes.Max() - sizes.Min() <= 1);
            Assert.Equal(sizes.OrderByDescending(s => s), sizes);
        });

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    public void NothingIsRefused(int stages, int microBatches) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => ScheduleBuilder.Build(Schedule.GPipe, stages, microBatches));
}
