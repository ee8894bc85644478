using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Communication;
using Dho2.Numerics;
using Dho2.Planning;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>
/// Executes a rank's instructions for one step after another: computes its stages' micro-batches and exchanges cuts and
/// their gradients with the neighbouring stages. Parameter gradients add up in the parameters' <c>grad</c>.
/// </summary>
public sealed class PipelineExecutor : IDisposable
{
    private static readonly string[] Names = Enum.GetNames<InstructionKind>();
    private readonly StageWork[] stages;
    private readonly StageContext context;
    private readonly ICommunicator pipeline;
    private readonly StageLayout layout;
    private readonly Func<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, torch.Tensor> loss;
    private readonly MicroBatchSlots slots;
    private readonly Func<torch.Tensor[], torch.Tensor[], int, (torch.Tensor Value, double Count)> lossOf;
    private readonly List<DropoutSeeding> seedings = [];
    private bool? training;

    /// <summary>Creates the executor of a rank that holds one stage.</summary>
    /// <param name="stage">The stage; stays the caller's.</param>
    /// <param name="context">The context that the stage was built with.</param>
    /// <param name="pipeline">The group of this replica's stages, ranked by stage; stays the caller's.</param>
    /// <param name="cuts">What crosses between stages, one for each pair of neighbours.</param>
    /// <param name="loss">The loss of one micro-batch, a mean over its samples (0-dimensional), from results and targets.</param>
    /// <exception cref="ArgumentException">Stage, group and cuts do not belong together.</exception>
    public PipelineExecutor(
        IPipelineStage stage,
        StageContext context,
        ICommunicator pipeline,
        IReadOnlyList<CutPlan> cuts,
        Func<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, torch.Tensor> loss)
        : this([stage], context, pipeline, cuts, loss)
    {
    }

    /// <summary>Creates the executor of a rank.</summary>
    /// <param name="stages">The rank's stages, in order: every so manieth as there are ranks; they stay the caller's.</param>
    /// <param name="context">The context that the stages were built with.</param>
    /// <param name="pipeline">The group of this replica's ranks; stays the caller's.</param>
    /// <param name="cuts">What crosses between stages, one for each pair of neighbours.</param>
    /// <param name="loss">The loss of one micro-batch, a mean over its samples (0-dimensional), from results and targets.</param>
    /// <exception cref="ArgumentException">Stages, group and cuts do not belong together.</exception>
    public PipelineExecutor(
        IReadOnlyList<IPipelineStage> stages,
        StageContext context,
        ICommunicator pipeline,
        IReadOnlyList<CutPlan> cuts,
        Func<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, torch.Tensor> loss)
    {
        layout = new StageLayout(pipeline.Size, stages.Count);
        if (!layout.StagesOf(pipeline.Rank).SequenceEqual(stages.Select(stage => stage.Index)) || layout.Stages != cuts.Count + 1)
        {
            throw new ArgumentException(
                $"Stage {string.Join(" and ", stages.Select(stage => stage.Index))} of {cuts.Count + 1} cannot be rank {pipeline.Rank} of {pipeline.Size}.",
                nameof(pipeline));
        }

        this.stages = [.. stages.Select(stage => new StageWork(stage, context, cuts))];
        slots = new MicroBatchSlots(this.stages);
        lossOf = LossOf;
        this.context = context;
        this.pipeline = pipeline;
        this.loss = loss;
        WorldRank = pipeline.Rank;
        foreach (StageLayer layer in stages.SelectMany(stage => stage.Layers))
        {
            if (layer.Module is { } module)
            {
                seedings.Add(new DropoutSeeding(module, layer.Name, context.Seed, context.Position));
            }
        }
    }

    /// <summary>The rank that error messages name; by default the rank in the pipeline's group.</summary>
    public int WorldRank { get; init; }

    /// <summary>
    /// The rank's stages that recompute their activations: a forward in training keeps nothing but its inputs, and runs once
    /// more, with a graph, before the backward. None by default.
    /// </summary>
    public IReadOnlyList<RecomputedStage> Recomputed
    {
        get => [.. stages.Select(stage => stage.Recomputed).OfType<RecomputedStage>()];
        init => Array.ForEach(stages, stage => stage.Recomputed = value.FirstOrDefault(recomputed => recomputed.Stage == stage.Index));
    }

    /// <summary>The stage's part in tied parameters; null where the model has none.</summary>
    internal StageTies? Ties { get; init; }

    /// <summary>
    /// A loss with weights of its own, in place of the mean: the sum over a micro-batch and what divides it, both
    /// 0-dimensional. Micro-batches' sums are then divided by samples, and <see cref="Count"/> says what should divide them.
    /// </summary>
    public Func<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, (torch.Tensor Sum, torch.Tensor Count)>? CountedLoss { get; init; }

    /// <summary>
    /// Lets a step's last backward finish groups of parameters one after the other, so that their gradients can be reduced
    /// meanwhile: one walk for each group, which goes no deeper into the stage than the group does. Null for one walk.
    /// </summary>
    internal BackwardSegments? Segments { get; set; }

    /// <summary>
    /// Called after every backward that has added to the parameters' <c>grad</c>, such as with
    /// <see cref="FlatParameters.CollectGradients()"/>; null for nothing.
    /// </summary>
    public Action? GradientsAdded { get; init; }

    /// <summary>What the loss has counted in the last <see cref="Train(IReadOnlyList{Instruction}, Batch, IReadOnlyList{int}, long, long, int)"/>, on the last stage; samples where it is a mean over them.</summary>
    public double Count { get; private set; }

    /// <summary>Time that the rank has waited so far in receiving what its neighbours send.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>Whether the rank holds the first stage, which reads the model's inputs.</summary>
    public bool IsFirst => stages[0].IsFirst;

    /// <summary>Whether the rank holds the last stage, which computes the loss.</summary>
    public bool IsLast => stages[^1].IsLast;

    /// <summary>Runs forward and backward over a step's micro-batches.</summary>
    /// <param name="instructions">This rank's instructions for as many micro-batches as there are sizes.</param>
    /// <param name="batch">The step's samples; only the first stage looks at the inputs and the last at the targets.</param>
    /// <param name="sizes">Samples in each micro-batch.</param>
    /// <param name="step">The step that random layers and error messages go by.</param>
    /// <param name="totalSamples">
    /// The samples that the mean loss is taken over, on all replicas: a micro-batch's loss is weighted by its share of them.
    /// </param>
    /// <param name="firstMicroBatch">The number of micro-batches on replicas before this one.</param>
    /// <returns>On the last stage's rank, the weighted sum of the micro-batches' losses; 0 on the others.</returns>
    /// <exception cref="PipelineException">An instruction failed, or a neighbouring rank did.</exception>
    public double Train(
        IReadOnlyList<Instruction> instructions, Batch batch, IReadOnlyList<int> sizes, long step, long totalSamples, int firstMicroBatch = 0)
    {
        SetTraining(true);
        using IDisposable grad = torch.enable_grad();
        try
        {
            slots.Begin(batch, sizes);
            Ties?.BeginStep();
            Count = 0;
            int last = Segments is null ? -1 : LastBackward(instructions);
            double sum = 0;
            for (int i = 0; i < instructions.Count; i++)
            {
                Instruction instruction = instructions[i];
                try
                {
                    Enter(instruction, step);
                    MicroBatchSlot slot = SlotOf(instruction);
                    sum += Train(instruction, slot, step, (double)slot.Samples / totalSamples, firstMicroBatch, i == last);
                }
                catch (Exception e)
                {
                    throw Failure(instruction, step, e);
                }
            }

            Ties?.EndStep();
            return sum;
        }
        finally
        {
            slots.End();
        }
    }

    /// <summary>Runs forward only, outside training and without gradients.</summary>
    /// <param name="batch">The samples; only the first stage looks at the inputs and the last at the targets.</param>
    /// <param name="sizes">Samples in each micro-batch.</param>
    /// <param name="inspect">
    /// Called on the last stage with each micro-batch's results and targets, its mean loss and what that is the mean over:
    /// its samples, or what the loss counts; the tensors die afterwards.
    /// </param>
    /// <exception cref="PipelineException">An instruction failed, or a neighbouring rank did.</exception>
    public void Evaluate(Batch batch, IReadOnlyList<int> sizes, Action<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, double, double> inspect)
    {
        if (sizes.Count == 0)
        {
            return;
        }

        SetTraining(false);
        using IDisposable noGrad = torch.no_grad();
        try
        {
            slots.Begin(batch, sizes);
            Ties?.BeginStep();
            foreach (Instruction instruction in ScheduleBuilder.BuildForward(layout, sizes.Count)[pipeline.Rank])
            {
                try
                {
                    Enter(instruction, 0);
                    Evaluate(instruction, SlotOf(instruction), inspect);
                }
                catch (Exception e)
                {
                    throw Failure(instruction, 0, e);
                }
            }
        }
        finally
        {
            slots.End();
        }
    }

    /// <summary>Releases what the executor attached to the stages.</summary>
    public void Dispose()
    {
        seedings.ForEach(seeding => seeding.Dispose());
        Ties?.Dispose();
    }

    private static int LastBackward(IReadOnlyList<Instruction> instructions)
    {
        int last = instructions.Count - 1;
        while (last >= 0 && instructions[last].Kind != InstructionKind.Backward)
        {
            last--;
        }

        return last;
    }

    /// <summary>Executes an instruction of a training step.</summary>
    /// <returns>What it adds to the weighted sum of losses.</returns>
    private double Train(Instruction instruction, MicroBatchSlot slot, long step, double weight, int firstMicroBatch, bool isInParts)
    {
        StageWork stage = StageOf(instruction);
        if (stage.NeedsForward(instruction.Kind, slot))
        {
            context.Position.MoveTo(step, firstMicroBatch + instruction.MicroBatch);
            stage.ForwardAgain(slot, lossOf);
        }

        switch (instruction.Kind)
        {
            case InstructionKind.Forward:
                context.Position.MoveTo(step, firstMicroBatch + instruction.MicroBatch);
                Count += stage.ForwardInTraining(slot, lossOf);
                double loss = slot.Loss is { } value ? weight * value.ToDouble() : 0;
                HandOn(instruction, stage, slot);
                return loss;
            case InstructionKind.Backward:
                stage.Backward(slot, weight, isInParts ? Segments : null);
                EndBackward(isInParts);
                HandBack(instruction, slot);
                return 0;
            case InstructionKind.BackwardInput:
                stage.BackwardInput(slot, weight);
                HandBack(instruction, slot);
                return 0;
            case InstructionKind.BackwardWeight:
                stage.BackwardWeight(slot, weight);
                EndBackward(isInParts: false);
                return 0;
            default:
                Exchange(instruction, stage, slot);
                return 0;
        }
    }

    /// <summary>Executes an instruction outside training, and lets go of what no later one needs.</summary>
    private void Evaluate(
        Instruction instruction, MicroBatchSlot slot, Action<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, double, double> inspect)
    {
        StageWork stage = StageOf(instruction);
        if (instruction.Kind == InstructionKind.Forward)
        {
            stage.Forward(slot, lossOf, inspect: inspect);
            HandOn(instruction, stage, slot);
            slot.ReleaseInputs();
        }
        else
        {
            Exchange(instruction, stage, slot);
        }

        if (instruction.IsSend || (instruction.Kind == InstructionKind.Forward && (stage.IsLast || layout.Ranks == 1)))
        {
            slot.Release();
        }
    }

    private (torch.Tensor Value, double Count) LossOf(torch.Tensor[] outputs, torch.Tensor[] targets, int samples)
    {
        if (CountedLoss is null)
        {
            return (loss(outputs, targets), samples);
        }

        (torch.Tensor sum, torch.Tensor count) = CountedLoss(outputs, targets);
        return (sum.Over(samples), count.ToDouble());
    }

    // What is finished group by group is taken care of there, and may be being reduced by now.
    private void EndBackward(bool isInParts)
    {
        if (!isInParts)
        {
            GradientsAdded?.Invoke();
        }

        Ties?.EndMicroBatch();
    }

    private StageWork StageOf(Instruction instruction) => stages[instruction.Stage / layout.Ranks];

    private MicroBatchSlot SlotOf(Instruction instruction) => slots[instruction.Stage / layout.Ranks, instruction.MicroBatch];

    private void SetTraining(bool mode)
    {
        if (training != mode)
        {
            training = mode;
            foreach (StageWork stage in stages)
            {
                stage.SetTraining(mode);
            }
        }
    }

    private void Enter(Instruction instruction, long step) =>
        pipeline.Activity.Enter(Names[(int)instruction.Kind], instruction.Stage, step, instruction.MicroBatch);

    private PipelineException Failure(Instruction instruction, long step, Exception cause)
    {
        DropoutSeeding.ReleaseAfterFailure();
        return new PipelineException(WorldRank, step, instruction, cause);
    }

    /// <summary>Where one rank holds all stages, nothing is sent: the next stage takes over the cut.</summary>
    private void HandOn(Instruction instruction, StageWork stage, MicroBatchSlot slot)
    {
        if (layout.Ranks == 1 && !stage.IsLast)
        {
            MicroBatchSlot next = slots[instruction.Stage + 1, instruction.MicroBatch];
            for (int i = 0; i < slot.Outputs.Length; i++)
            {
                stages[instruction.Stage + 1].SetInput(next, i, slot.Outputs[i].detach().DetachFromDisposeScope(), training == true);
            }

            ReleaseSent(stage, slot);
        }
    }

    // Evaluation lets go of everything by itself.
    private void ReleaseSent(StageWork stage, MicroBatchSlot slot)
    {
        if (training == true)
        {
            stage.ReleaseSent(slot);
        }
    }

    private void HandBack(Instruction instruction, MicroBatchSlot slot)
    {
        if (layout.Ranks == 1 && instruction.Stage > 0)
        {
            MicroBatchSlot previous = slots[instruction.Stage - 1, instruction.MicroBatch];
            for (int i = 0; i < slot.InputGradients.Length; i++)
            {
                previous.OutputGradients[i] = previous.Returning[i] ? slot.InputGradients[i]!.alias().DetachFromDisposeScope() : null;
            }

            slot.ReleaseInputGradients();
        }
    }

    private void Exchange(Instruction instruction, StageWork stage, MicroBatchSlot slot)
    {
        int before = layout.RankOf(instruction.Stage + layout.Stages - 1);
        int after = layout.RankOf(instruction.Stage + 1);
        long start = Stopwatch.GetTimestamp();
        switch (instruction.Kind)
        {
            case InstructionKind.SendActivation:
                SendAll(slot.Outputs, after);
                ReleaseSent(stage, slot);
                break;
            case InstructionKind.ReceiveActivation:
                for (int i = 0; i < slot.Inputs.Length; i++)
                {
                    stage.SetInput(slot, i, pipeline.Receive(before).DetachFromDisposeScope(), training == true);
                }

                break;
            case InstructionKind.SendGradient:
                SendAll(slot.InputGradients, before);
                slot.ReleaseInputGradients();
                break;
            case InstructionKind.ReceiveGradient:
                for (int i = 0; i < slot.OutputGradients.Length; i++)
                {
                    slot.OutputGradients[i] = slot.Returning[i] ? pipeline.Receive(after).DetachFromDisposeScope() : null;
                }

                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(instruction), instruction, "Not an exchange.");
        }

        Waited += instruction.IsSend ? TimeSpan.Zero : Stopwatch.GetElapsedTime(start);
    }

    private void SendAll(torch.Tensor?[] values, int to)
    {
        foreach (torch.Tensor? value in values)
        {
            if (value is not null)
            {
                pipeline.Send(value, to);
            }
        }
    }
}
