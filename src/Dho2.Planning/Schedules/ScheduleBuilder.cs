using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// Lays out one training step as a list of instructions for each rank. Neighbouring sends and receives of a list form one
/// exchange and are to be posted together: then no order of them can lock up, whatever the transport. Messages from one
/// rank to another are received in the order in which they are sent.
/// </summary>
public static class ScheduleBuilder
{
    /// <summary>Builds the instruction lists of one step, one for each rank.</summary>
    /// <param name="kind">The order of forwards and backwards.</param>
    /// <param name="stages">Stages; at least 1.</param>
    /// <param name="microBatches">Micro-batches; at least 1, also fewer than stages.</param>
    /// <param name="stagesPerRank">Stages on a rank as <see cref="StageLayout.Of"/> takes them.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1, or the schedule is not known.</exception>
    public static EquatableArray<EquatableArray<Instruction>> Build(Schedule kind, int stages, int microBatches, int stagesPerRank = 0)
    {
        Require(stages, microBatches);
        StageLayout layout = StageLayout.Of(kind, stages, stagesPerRank);
        return kind switch
        {
            Schedule.GPipe => OneStagePerRank(stages, (s, list) => AddPhases(list, s, stages, microBatches, microBatches)),
            Schedule.OneForwardOneBackward or Schedule.Interleaved when layout.StagesPerRank == 1 =>
                OneStagePerRank(stages, (s, list) => AddPhases(list, s, stages, microBatches, Ahead(s, stages, microBatches))),
            Schedule.Interleaved => ExchangeLayout.Place(InterleavedOrder.Of(layout, microBatches), layout),
            Schedule.ZeroBubble => OneStagePerRank(stages, (s, list) => AddZeroBubble(list, s, stages, microBatches)),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not a schedule."),
        };
    }

    /// <summary>Builds the lists of a step of forwards only, as for evaluation.</summary>
    /// <param name="layout">The stages of each rank.</param>
    /// <param name="microBatches">Micro-batches; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1.</exception>
    public static EquatableArray<EquatableArray<Instruction>> BuildForward(StageLayout layout, int microBatches)
    {
        Require(layout.Stages, microBatches);
        return layout.StagesPerRank == 1
            ? OneStagePerRank(layout.Stages, (s, list) =>
            {
                for (int i = 0; i < microBatches; i++)
                {
                    AddForward(list, i, s, layout.Stages);
                }
            })
            : ExchangeLayout.Place(InterleavedOrder.ForwardsOf(layout, microBatches), layout);
    }

    private static void Require(int stages, int microBatches)
    {
        if (stages < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(stages), stages, "A pipeline has at least one stage.");
        }

        if (microBatches < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(microBatches), microBatches, "A step has at least one micro-batch.");
        }
    }

    private static EquatableArray<EquatableArray<Instruction>> OneStagePerRank(int stages, Action<int, List<Instruction>> add) =>
        Enumerable.Range(0, stages).Select(s =>
        {
            var list = new List<Instruction>();
            add(s, list);
            return list.ToEquatableArray();
        }).ToEquatableArray();

    /// <summary>The forwards that go ahead of a stage's first backward under 1F1B.</summary>
    private static int Ahead(int stage, int stages, int microBatches) => Math.Min(microBatches, stages - 1 - stage);

    /// <summary>GPipe and 1F1B are the same three phases; they differ in how many forwards go ahead of the first backward.</summary>
    private static void AddPhases(List<Instruction> list, int stage, int stages, int microBatches, int ahead)
    {
        for (int i = 0; i < ahead; i++)
        {
            AddForward(list, i, stage, stages);
        }

        for (int i = ahead; i < microBatches; i++)
        {
            AddForward(list, i, stage, stages);
            AddBackward(list, InstructionKind.Backward, i - ahead, stage, stages);
        }

        for (int i = microBatches - ahead; i < microBatches; i++)
        {
            AddBackward(list, InstructionKind.Backward, i, stage, stages);
        }
    }

    /// <summary>
    /// 1F1B whose stage <c>s</c> lags with its parameters' gradients by <c>s</c> micro-batches: the later the stage, the
    /// fewer ranks wait for it in the end, and the more of them it can do then.
    /// </summary>
    private static void AddZeroBubble(List<Instruction> list, int stage, int stages, int microBatches)
    {
        int ahead = Ahead(stage, stages, microBatches);
        for (int i = 0; i < microBatches + ahead; i++)
        {
            if (i < microBatches)
            {
                AddForward(list, i, stage, stages);
            }

            if (i >= ahead)
            {
                AddBackward(list, InstructionKind.BackwardInput, i - ahead, stage, stages);
                if (i - ahead >= stage)
                {
                    list.Add(new(InstructionKind.BackwardWeight, i - ahead - stage, stage));
                }
            }
        }

        for (int i = Math.Max(0, microBatches - stage); i < microBatches; i++)
        {
            list.Add(new(InstructionKind.BackwardWeight, i, stage));
        }
    }

    private static void AddForward(List<Instruction> list, int microBatch, int stage, int stages)
    {
        if (stage > 0)
        {
            list.Add(new(InstructionKind.ReceiveActivation, microBatch, stage));
        }

        list.Add(new(InstructionKind.Forward, microBatch, stage));
        if (stage < stages - 1)
        {
            list.Add(new(InstructionKind.SendActivation, microBatch, stage));
        }
    }

    private static void AddBackward(List<Instruction> list, InstructionKind kind, int microBatch, int stage, int stages)
    {
        if (stage < stages - 1)
        {
            list.Add(new(InstructionKind.ReceiveGradient, microBatch, stage));
        }

        list.Add(new(kind, microBatch, stage));
        if (stage > 0)
        {
            list.Add(new(InstructionKind.SendGradient, microBatch, stage));
        }
    }
}
