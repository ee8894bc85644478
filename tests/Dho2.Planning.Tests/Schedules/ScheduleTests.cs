using System;
using System.Linq;
using CsCheck;

namespace Dho2.Planning.Tests.Schedules;

public class ScheduleTests
{
    private static readonly Gen<(Schedule Kind, StageLayout Layout, int MicroBatches)> AnyPipeline =
        Gen.Select(Gen.Enum<Schedule>(), Gen.Int[1, 8], Gen.Int[2, 4], Gen.Int[1, 20], (kind, ranks, perRank, microBatches) =>
            (kind, new StageLayout(ranks, kind == Schedule.Interleaved ? perRank : 1), microBatches));

    private static readonly Gen<(Schedule Kind, StageLayout Layout, int MicroBatches)> OneStagePerRank =
        AnyPipeline.Where(p => p.Kind is Schedule.GPipe or Schedule.OneForwardOneBackward);

    [Fact]
    public void EveryStageDoesEveryMicroBatchOnce() => AnyPipeline.Sample((kind, layout, microBatches) =>
    {
        EquatableArray<EquatableArray<Instruction>> lists = Build(kind, layout, microBatches);
        Assert.Equal(layout.Ranks, lists.Count);
        for (int s = 0; s < layout.Stages; s++)
        {
            foreach (InstructionKind i in Enum.GetValues<InstructionKind>())
            {
                bool there = i switch
                {
                    InstructionKind.SendActivation or InstructionKind.ReceiveGradient => layout.Ranks > 1 && s < layout.Stages - 1,
                    InstructionKind.SendGradient or InstructionKind.ReceiveActivation => layout.Ranks > 1 && s > 0,
                    InstructionKind.Backward => kind != Schedule.ZeroBubble,
                    InstructionKind.BackwardInput or InstructionKind.BackwardWeight => kind == Schedule.ZeroBubble,
                    _ => true,
                };
                Assert.Equal(
                    there ? Enumerable.Range(0, microBatches) : [],
                    lists[layout.RankOf(s)].Where(x => x.Kind == i && x.Stage == s).Select(x => x.MicroBatch));
            }
        }
    });

    [Fact]
    public void EveryScheduleCompletesEvenWhereSendsWait() => AnyPipeline.Sample((kind, layout, microBatches) =>
        Run(kind, layout, microBatches, 1, 2).Completes);

    [Fact]
    public void EvaluationCompletesEvenWhereSendsWait() => AnyPipeline.Sample((_, layout, microBatches) =>
        ScheduleSimulator.Run(ScheduleBuilder.BuildForward(layout, microBatches), ScheduleCosts.Uniform(layout.Stages, 1, 2)).Completes);

    /// <summary>Huang et al. 2019 (GPipe), section 2.3, and Narayanan et al. 2021, section 2.2: (S - 1) / (M + S - 1).</summary>
    [Fact]
    public void TheBubbleIsThePublishedOne() => OneStagePerRank.Sample((kind, layout, microBatches) =>
    {
        ScheduleSimulation run = Run(kind, layout, microBatches, 7, 13);
        int stages = layout.Stages;
        Assert.Equal((double)(stages - 1) / (microBatches + stages - 1), run.BubbleFraction, 12);
        Assert.Equal((stages - 1) * 1_000_000L / (microBatches + stages - 1), run.BubblePartsPerMillion, 1.0);
        Assert.Equal(20L * (microBatches + stages - 1), run.Makespan);
    });

    /// <summary>Narayanan et al. 2021, section 2.2: waiting against working is (p - 1) / (v m), for m a multiple of p.</summary>
    [Fact]
    public void TheBubbleOfInterleavedStagesIsThePublishedOne()
    {
        for (int ranks = 1; ranks <= 8; ranks++)
        {
            for (int perRank = 2; perRank <= 4; perRank++)
            {
                for (int microBatches = ranks; microBatches <= 3 * ranks; microBatches += ranks)
                {
                    ScheduleSimulation run = Run(Schedule.Interleaved, new(ranks, perRank), microBatches, 5, 10);
                    long working = 15L * perRank * microBatches;
                    Assert.All(run.Busy, busy => Assert.Equal(working, busy));
                    Assert.Equal((double)(ranks - 1) / (perRank * microBatches), (double)(run.Makespan - working) / working, 12);
                }
            }
        }
    }

    /// <summary>
    /// Qi et al. 2024, table 1: (p - 1) (T_F + T_B - T_W), for weights that take no longer than forward and inputs, and at
    /// least as many micro-batches as stages.
    /// </summary>
    [Fact]
    public void TheBubbleOfZeroBubbleIsThePublishedOne() =>
        Gen.Select(Gen.Int[1, 9], Gen.Int[0, 15], Gen.Long[1, 20], Gen.Long[0, 20], Gen.Long[0, 20]).Sample((stages, more, weight, forward, input) =>
        {
            int microBatches = stages + more;
            forward += weight;
            input += weight;
            ScheduleSimulation run = ScheduleSimulator.Run(
                ScheduleBuilder.Build(Schedule.ZeroBubble, stages, microBatches), ScheduleCosts.Uniform(stages, forward, input + weight, weight));
            Assert.Equal((microBatches * (forward + input + weight)) + ((stages - 1) * (forward + input - weight)), run.Makespan);
        });

    /// <summary>
    /// Narayanan et al. 2021, section 2.2: at most S - s micro-batches are in flight under 1F1B, all of them under GPipe.
    /// Qi et al. 2024, table 2: S under ZB-H1, the s that wait for their weights included.
    /// </summary>
    [Fact]
    public void ActivationsInFlightAreThePublishedOnes() => AnyPipeline.Where(p => p.Kind != Schedule.Interleaved).Sample((kind, layout, microBatches) =>
    {
        ScheduleSimulation run = Run(kind, layout, microBatches, 1, 2);
        Assert.Equal(
            Enumerable.Range(0, layout.Stages).Select(s => kind switch
            {
                Schedule.GPipe => microBatches,
                Schedule.ZeroBubble => Math.Min(microBatches, layout.Stages),
                _ => Math.Min(microBatches, layout.Stages - s),
            }),
            run.MaxInFlight);
    });

    /// <summary>Narayanan et al. 2021, section 2.2, and Megatron-LM: 2 (p - r - 1) + (v - 1) p + 1 stage forwards in flight on rank r.</summary>
    [Fact]
    public void ActivationsInFlightOfInterleavedStagesAreThePublishedOnes()
    {
        for (int ranks = 1; ranks <= 6; ranks++)
        {
            for (int perRank = 2; perRank <= 4; perRank++)
            {
                int microBatches = 2 * ranks;
                EquatableArray<EquatableArray<Instruction>> lists = Build(Schedule.Interleaved, new(ranks, perRank), microBatches);
                for (int rank = 0; rank < ranks; rank++)
                {
                    int inFlight = 0;
                    int most = 0;
                    foreach (Instruction i in lists[rank].Where(i => i.IsComputation))
                    {
                        inFlight += i.Kind == InstructionKind.Forward ? 1 : -1;
                        most = Math.Max(most, inFlight);
                    }

                    Assert.Equal(Math.Min(microBatches * perRank, (2 * (ranks - rank - 1)) + ((perRank - 1) * ranks) + 1), most);
                }
            }
        }
    }

    [Fact]
    public void AStepIsNeverShorterThanItsSlowestRank() =>
        Gen.Select(AnyPipeline, Gen.Long[1, 1000].Array[32], Gen.Long[1, 1000].Array[32]).Sample((pipeline, forward, backward) =>
        {
            (Schedule kind, StageLayout layout, int microBatches) = pipeline;
            var costs = new ScheduleCosts(forward.Take(layout.Stages).ToEquatableArray(), backward.Take(layout.Stages).ToEquatableArray());
            ScheduleSimulation run = ScheduleSimulator.Run(Build(kind, layout, microBatches), costs);
            long slowest = Enumerable.Range(0, layout.Ranks).Max(r => layout.StagesOf(r).Sum(s => microBatches * (forward[s] + backward[s])));
            Assert.True(run.Completes);
            Assert.True(run.Makespan >= slowest);
            Assert.Equal(slowest, run.Busy.Max());
            Assert.All(run.Work, w => Assert.True(w.End <= run.Makespan));
        });

    [Fact]
    public void TwoRanksThatBothReceiveFirstAreStuckWithTheReason()
    {
        ScheduleSimulation run = ScheduleSimulator.Run(BothReceiveFirst(), ScheduleCosts.Uniform(2, 1, 1));

        Assert.Equal(2, run.Stuck.Count);
        Assert.Equal(
            "rank 0 is stuck at ReceiveGradient(micro-batch 0, stage 0) (instruction 1): no rank comes to SendGradient(micro-batch 0, stage 1)",
            run.Stuck[0].ToString());
        Assert.Equal(new Instruction(InstructionKind.ReceiveActivation, 0, 1), run.Stuck[1].Instruction);
    }

    [Fact]
    public void MessagesThatOvertakeEachOtherAreNoticed()
    {
        EquatableArray<EquatableArray<Instruction>> lists = ScheduleBuilder.Build(Schedule.GPipe, 2, 2);
        Instruction[] second = [.. lists[1]];
        (second[0], second[2]) = (second[2], second[0]);
        (second[1], second[3]) = (second[3], second[1]);

        ScheduleSimulation run = ScheduleSimulator.Run(
            new[] { lists[0], second.ToEquatableArray() }.ToEquatableArray(), ScheduleCosts.Uniform(2, 1, 1));

        Assert.Contains(run.Stuck, s => s.ToString()
            == "rank 1 is stuck at ReceiveActivation(micro-batch 1, stage 1) (instruction 0): SendActivation(micro-batch 0, stage 0) is sent before what it waits for");
    }

    [Fact]
    public void LosingAnyInstructionIsNoticed() =>
        Gen.Select(AnyPipeline.Where(p => p.Layout.Ranks > 1), Gen.Int[0, int.MaxValue]).Sample((pipeline, which) =>
        {
            (Schedule kind, StageLayout layout, int microBatches) = pipeline;
            EquatableArray<EquatableArray<Instruction>> lists = Build(kind, layout, microBatches);
            int rank = which % layout.Ranks;
            int at = which / layout.Ranks % lists[rank].Count;
            Instruction lost = lists[rank][at];
            var changed = lists.Select((l, r) => r == rank ? l.Where((_, i) => i != at).ToEquatableArray() : l).ToEquatableArray();

            ScheduleSimulation run = ScheduleSimulator.Run(changed, ScheduleCosts.Uniform(layout.Stages, 1, 1));

            // The first stage's last backward is nobody's prerequisite, nor is any gradient of weights.
            bool needed = !(lost.Kind == InstructionKind.BackwardWeight || (lost.Kind == InstructionKind.Backward && lost.Stage == 0));
            Assert.Equal(needed, !run.Completes);
        });

    [Fact]
    public void DrawsAScheduleOverTime()
    {
        Assert.Equal(
            "rank 0  | F0 F1    I0 W0 I1 W1\nrank 1  |    F0 I0 F1 I1 W0 W1\n",
            ScheduleDrawing.Write(Run(Schedule.ZeroBubble, new(2, 1), 2, 1, 2)));
        Assert.Equal(
            "rank 0  | F0.0 F1.0 B1.0..... B0.0.....\n",
            ScheduleDrawing.Write(Run(Schedule.Interleaved, new(1, 2), 1, 1, 2)));
    }

    [Fact]
    public void ADrawingMarksTheOffendingCellAndSaysWhy()
    {
        ScheduleSimulation run = ScheduleSimulator.Run(BothReceiveFirst(), ScheduleCosts.Uniform(2, 1, 1));

        string text = ScheduleDrawing.Write(run);
        Assert.StartsWith("rank 0  | F0... !rB0!\nrank 1  | !rF0!\n", text, StringComparison.Ordinal);
        Assert.Contains("no rank comes to SendGradient", text, StringComparison.Ordinal);

        var svg = System.Xml.Linq.XDocument.Parse(ScheduleDrawing.WriteSvg(run));
        System.Xml.Linq.XNamespace space = "http://www.w3.org/2000/svg";
        var red = svg.Descendants(space + "rect").Where(r => r.Attribute("stroke")!.Value == "#d00").ToList();
        Assert.Equal(2, red.Count);
        Assert.All(red, r => Assert.Contains("is stuck at", r.Parent!.Element(space + "title")!.Value, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Schedule.Interleaved, 6, 0, 3, 2)]
    [InlineData(Schedule.Interleaved, 6, 3, 2, 3)]
    [InlineData(Schedule.Interleaved, 5, 2, 5, 1)]
    [InlineData(Schedule.ZeroBubble, 6, 2, 6, 1)]
    public void StagesAreDealtOutRankByRank(Schedule schedule, int stages, int wanted, int ranks, int perRank)
    {
        StageLayout layout = StageLayout.Of(schedule, stages, wanted);
        Assert.Equal(new StageLayout(ranks, perRank), layout);
        Assert.Equal(Enumerable.Range(0, stages), Enumerable.Range(0, ranks).SelectMany(layout.StagesOf).Order());
        Assert.All(Enumerable.Range(0, stages), s => Assert.Contains(s, layout.StagesOf(layout.RankOf(s))));
    }

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

    private static EquatableArray<EquatableArray<Instruction>> Build(Schedule kind, StageLayout layout, int microBatches) =>
        ScheduleBuilder.Build(kind, layout.Stages, microBatches, layout.StagesPerRank);

    private static ScheduleSimulation Run(Schedule kind, StageLayout layout, int microBatches, long forward, long backward) =>
        ScheduleSimulator.Run(Build(kind, layout, microBatches), ScheduleCosts.Uniform(layout.Stages, forward, backward));

    private static EquatableArray<EquatableArray<Instruction>> BothReceiveFirst()
    {
        EquatableArray<EquatableArray<Instruction>> lists = ScheduleBuilder.Build(Schedule.OneForwardOneBackward, 2, 1);
        return new[] { lists[0].OrderBy(i => i.Kind == InstructionKind.SendActivation).ToEquatableArray(), lists[1] }.ToEquatableArray();
    }
}
