using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// One way up and down the pipeline in the course of a product, by a rank's instructions as in training: what a forward makes
/// goes up to the next stage, what a backward makes goes down to the one before.
/// </summary>
/// <param name="stages">The rank's stages, in order.</param>
/// <param name="layout">Which rank holds which stages.</param>
/// <param name="pipeline">The group of this replica's ranks; null where there is one.</param>
/// <param name="batch">The curvature batch.</param>
internal abstract class StagePass(IReadOnlyList<TwinStage> stages, StageLayout layout, ICommunicator? pipeline, CurvatureBatch batch)
{
    /// <summary>What the pass is called on the way up, in messages.</summary>
    protected abstract string UpwardName { get; }

    /// <summary>What it is called on the way down.</summary>
    protected abstract string DownwardName { get; }

    /// <summary>Carries out instructions.</summary>
    /// <param name="instructions">This rank's, in order; micro-batches are counted from the first.</param>
    /// <param name="firstMicroBatch">The first micro-batch.</param>
    /// <exception cref="CurvatureException">An instruction failed, or a neighbouring rank did.</exception>
    public void Run(IEnumerable<Instruction> instructions, int firstMicroBatch)
    {
        foreach (Instruction instruction in instructions)
        {
            int microBatch = firstMicroBatch + instruction.MicroBatch;
            bool isUpward = instruction.Kind is InstructionKind.Forward or InstructionKind.ReceiveActivation or InstructionKind.SendActivation;
            string name = isUpward ? UpwardName : DownwardName;
            pipeline?.Activity.Enter($"{name} of the curvature", instruction.Stage, batch.Step, microBatch);
            try
            {
                using DisposeScope scope = NewDisposeScope();
                Execute(instruction, stages[instruction.Stage / layout.Ranks], microBatch, isUpward);
            }
            catch (Exception e)
            {
                DropoutSeeding.ReleaseAfterFailure();
                throw new CurvatureException(instruction.Stage, microBatch, name, e);
            }
        }
    }

    /// <summary>A stage's computation on the way up.</summary>
    /// <returns>What goes to the next stage, or on the last what its way down starts from. Belongs to the current scope.</returns>
    protected abstract IEnumerable<Tensor> Forward(TwinStage stage, int microBatch);

    /// <summary>A stage's computation on the way down.</summary>
    /// <returns>What goes to the stage before; nothing on the first. Belongs to the current scope.</returns>
    protected abstract IEnumerable<Tensor> Backward(TwinStage stage, int microBatch);

    /// <summary>How many tensors come from the stage before.</summary>
    protected abstract int CountFromBefore(TwinStage stage, TwinSlot slot);

    /// <summary>How many tensors come from the stage after.</summary>
    protected abstract int CountFromAfter(TwinStage stage, TwinSlot slot);

    private void Execute(Instruction instruction, TwinStage stage, int microBatch, bool isUpward)
    {
        TwinSlot slot = stage.Slots[microBatch];
        int neighbour = instruction.Stage + (isUpward == instruction.IsReceive ? -1 : 1);
        switch (instruction.Kind)
        {
            case InstructionKind.Forward or InstructionKind.Backward:
                slot.Leave(isUpward ? Forward(stage, microBatch) : Backward(stage, microBatch));
                slot.ReleaseArrived();
                HandOver(slot, instruction.Stage + (isUpward ? 1 : -1), microBatch);
                break;
            case InstructionKind.SendActivation or InstructionKind.SendGradient:
                Array.ForEach(slot.Leaving, tensor => pipeline!.Send(tensor, layout.RankOf(neighbour)));
                slot.ReleaseLeaving();
                break;
            case InstructionKind.ReceiveActivation or InstructionKind.ReceiveGradient:
                int count = isUpward ? CountFromBefore(stage, slot) : CountFromAfter(stage, slot);
                slot.Arrive(Enumerable.Range(0, count).Select(_ => pipeline!.Receive(layout.RankOf(neighbour))));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(instruction), instruction, "Not part of a product.");
        }
    }

    // What the last stage makes on the way up is what it starts from on the way down. Where one rank holds all stages,
    // neighbours take over without a message.
    private void HandOver(TwinSlot slot, int neighbour, int microBatch)
    {
        if (slot.Leaving.Length > 0 && (layout.Ranks == 1 || neighbour == layout.Stages))
        {
            TwinSlot next = neighbour == layout.Stages ? slot : stages[neighbour].Slots[microBatch];
            next.Arrive(slot.Leaving.Select(tensor => tensor.alias()));
            slot.ReleaseLeaving();
        }
    }
}
