using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// Lays out one training step as a list of instructions for each rank. Neighbouring sends and receives of a list form one
/// exchange and are to be posted together: then no order of them can lock up, whatever the transport.
/// </summary>
public static class ScheduleBuilder
{
    /// <summary>Builds the instruction lists of one step, one for each stage.</summary>
    /// <param name="kind">The order of forwards and backwards.</param>
    /// <param name="stages">Stages; at least 1.</param>
    /// <param name="microBatches">Micro-batches; at least 1, also fewer than stages.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1, or the schedule is not known.</exception>
    public static EquatableArray<EquatableArray<Instruction>> Build(Schedule kind, int stages, int microBatches)
    {
        if (stages < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(stages), stages, "A pipeline has at least one stage.");
        }

        if (microBatches < 1)
        {
            throw new ArgumentOutOfRangeException(nameof(microBatches), microBatches, "A step has at least one micro-batch.");
        }

        return Enumerable.Range(0, stages).Select(s => BuildStage(kind, s, stages, microBatches)).ToEquatableArray();
    }

    private static EquatableArray<Instruction> BuildStage(Schedule kind, int stage, int stages, int microBatches)
    {
        // Both schedules are the same three phases; they differ in how many forwards go ahead of the first backward.
        int ahead = kind switch
        {
            Schedule.GPipe => microBatches,
            Schedule.OneForwardOneBackward => Math.Min(microBatches, stages - 1 - stage),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not a schedule."),
        };
        var list = new List<Instruction>(6 * microBatches);
        for (int i = 0; i < ahead; i++)
        {
            AddForward(list, i, stage, stages);
        }

        for (int i = ahead; i < microBatches; i++)
        {
            AddForward(list, i, stage, stages);
            AddBackward(list, i - ahead, stage, stages);
        }

        for (int i = microBatches - ahead; i < microBatches; i++)
        {
            AddBackward(list, i, stage, stages);
        }

        return list.ToEquatableArray();
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

    private static void AddBackward(List<Instruction> list, int microBatch, int stage, int stages)
    {
        if (stage < stages - 1)
        {
            list.Add(new(InstructionKind.ReceiveGradient, microBatch, stage));
        }

        list.Add(new(InstructionKind.Backward, microBatch, stage));
        if (stage > 0)
        {
            list.Add(new(InstructionKind.SendGradient, microBatch, stage));
        }
    }
}
