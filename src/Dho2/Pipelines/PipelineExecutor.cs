using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Planning;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>
/// Executes one stage's instructions for one step after another: computes its micro-batches and exchanges cuts and their
/// gradients with the neighbouring stages. Parameter gradients add up in the parameters' <c>grad</c>.
/// </summary>
public sealed class PipelineExecutor : IDisposable
{
    private readonly IPipelineStage stage;
    private readonly StageContext context;
    private readonly ICommunicator pipeline;
    private readonly Func<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, torch.Tensor> loss;
    private readonly CutPlan? incoming;
    private readonly CutPlan? outgoing;
    private readonly List<DropoutSeeding> seedings = [];
    private bool? training;

    /// <summary>Creates the executor of one stage.</summary>
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
    {
        if (pipeline.Rank != stage.Index || pipeline.Size != cuts.Count + 1)
        {
            throw new ArgumentException($"Stage {stage.Index} of {cuts.Count + 1} cannot be rank {pipeline.Rank} of {pipeline.Size}.", nameof(pipeline));
        }

        this.stage = stage;
        this.context = context;
        this.pipeline = pipeline;
        this.loss = loss;
        incoming = stage.Index > 0 ? cuts[stage.Index - 1] : null;
        outgoing = stage.Index < cuts.Count ? cuts[stage.Index] : null;
        WorldRank = pipeline.Rank;
        foreach (StageLayer layer in stage.Layers)
        {
            if (layer.Module is { } module)
            {
                seedings.Add(new DropoutSeeding(module, layer.Name, context.Seed, context.Position));
            }
        }
    }

    /// <summary>The rank that error messages name; by default the rank in the pipeline's group.</summary>
    public int WorldRank { get; init; }

    /// <summary>The stage's part in tied parameters; null where the model has none.</summary>
    internal StageTies? Ties { get; init; }

    /// <summary>
    /// A loss with weights of its own, in place of the mean: the sum over a micro-batch and what divides it, both
    /// 0-dimensional. Micro-batches' sums are then divided by samples, and <see cref="Count"/> says what should divide them.
    /// </summary>
    public Func<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, (torch.Tensor Sum, torch.Tensor Count)>? CountedLoss { get; init; }

    /// <summary>What the loss has counted in the last <see cref="Train"/>, on the last stage; samples where it is a mean over them.</summary>
    public double Count { get; private set; }

    /// <summary>Whether this is the first stage, which reads the model's inputs.</summary>
    public bool IsFirst => incoming is null;

    /// <summary>Whether this is the last stage, which computes the loss.</summary>
    public bool IsLast => outgoing is null;

    /// <summary>Runs forward and backward over a step's micro-batches.</summary>
    /// <param name="instructions">This stage's instructions for as many micro-batches as there are sizes.</param>
    /// <param name="batch">The step's samples; only the first stage looks at the inputs and the last at the targets.</param>
    /// <param name="sizes">Samples in each micro-batch.</param>
    /// <param name="step">The step that random layers and error messages go by.</param>
    /// <param name="totalSamples">
    /// The samples that the mean loss is taken over, on all replicas: a micro-batch's loss is weighted by its share of them.
    /// </param>
    /// <param name="firstMicroBatch">The number of micro-batches on replicas before this one.</param>
    /// <returns>On the last stage, the weighted sum of the micro-batches' losses; 0 on the others.</returns>
    /// <exception cref="PipelineException">An instruction failed, or a neighbouring rank did.</exception>
    public double Train(
        IReadOnlyList<Instruction> instructions, Batch batch, IReadOnlyList<int> sizes, long step, long totalSamples, int firstMicroBatch = 0)
    {
        SetTraining(true);
        using IDisposable grad = torch.enable_grad();
        using var slots = new MicroBatchSlots(batch, sizes);
        Ties?.BeginStep();
        Count = 0;
        double sum = 0;
        foreach (Instruction instruction in instructions)
        {
            Guarded(instruction, step, () =>
            {
                MicroBatchSlot slot = slots[instruction.MicroBatch];
                double weight = (double)slot.Samples / totalSamples;
                switch (instruction.Kind)
                {
                    case InstructionKind.Forward:
                        context.Position.MoveTo(step, firstMicroBatch + instruction.MicroBatch);
                        Forward(slot);
                        sum += slot.Loss is { } value ? weight * value.ToDouble() : 0;
                        break;
                    case InstructionKind.Backward:
                        Backward(slot, weight);
                        break;
                    default:
                        Exchange(instruction.Kind, slot);
                        break;
                }
            });
        }

        Ties?.EndStep();
        return sum;
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
        SetTraining(false);
        using IDisposable noGrad = torch.no_grad();
        using var slots = new MicroBatchSlots(batch, sizes);
        Ties?.BeginStep();
        for (int i = 0; i < sizes.Count; i++)
        {
            MicroBatchSlot slot = slots[i];
            if (!IsFirst)
            {
                Guarded(new(InstructionKind.ReceiveActivation, i, stage.Index), 0, () => Exchange(InstructionKind.ReceiveActivation, slot));
            }

            Guarded(new(InstructionKind.Forward, i, stage.Index), 0, () => Forward(slot, inspect));
            if (!IsLast)
            {
                Guarded(new(InstructionKind.SendActivation, i, stage.Index), 0, () => Exchange(InstructionKind.SendActivation, slot));
            }

            slot.Dispose();
        }
    }

    /// <summary>Releases what the executor attached to the stage.</summary>
    public void Dispose()
    {
        seedings.ForEach(seeding => seeding.Dispose());
        Ties?.Dispose();
    }

    private static bool TravelsWithGradient(CutPlan cut, int value, torch.Tensor tensor) =>
        cut.Values[value].Differentiable && tensor.is_floating_point();

    private void SetTraining(bool mode)
    {
        if (training != mode)
        {
            training = mode;
            foreach (StageLayer layer in stage.Layers)
            {
                layer.Module?.train(mode);
            }
        }
    }

    private void Guarded(Instruction instruction, long step, Action action)
    {
        pipeline.Activity.Enter(instruction.Kind.ToString(), instruction.Stage, step, instruction.MicroBatch);
        try
        {
            action();
        }
        catch (Exception e)
        {
            DropoutSeeding.ReleaseAfterFailure();
            throw new PipelineException(WorldRank, step, instruction, e);
        }
    }

    private void Forward(MicroBatchSlot slot, Action<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, double, double>? inspect = null)
    {
        // What the stage makes on the way dies here; the graph keeps what its backward needs.
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor[] outputs = stage.Forward(IsFirst ? slot.ModelInputs() : slot.Inputs);
        if (outgoing is not null)
        {
            if (outputs.Length != outgoing.Values.Count)
            {
                throw new InvalidOperationException($"The stage gives {outputs.Length} values, its cut has {outgoing.Values.Count}.");
            }

            // Handles of our own: an output may be an input passed on, or a parameter.
            slot.Outputs = [.. outputs.Select(output => output.alias().DetachFromDisposeScope())];
            return;
        }

        torch.Tensor[] targets = slot.Targets();
        (torch.Tensor value, double count) = LossOf(outputs, targets, slot.Samples);
        if (value.numel() != 1)
        {
            throw new InvalidOperationException($"The loss has shape ({string.Join(", ", value.shape)}); it must be one number.");
        }

        Count += count;

        if (inspect is null)
        {
            slot.Loss = value.alias().DetachFromDisposeScope();
        }
        else
        {
            inspect(outputs, targets, count > 0 ? value.ToDouble() * slot.Samples / count : 0, count);
        }
    }

    private (torch.Tensor Value, double Count) LossOf(torch.Tensor[] outputs, torch.Tensor[] targets, int samples)
    {
        if (CountedLoss is null)
        {
            return (loss(outputs, targets), samples);
        }

        (torch.Tensor sum, torch.Tensor count) = CountedLoss(outputs, targets);
        return (sum / samples, count.ToDouble());
    }

    private void Backward(MicroBatchSlot slot, double weight)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        if (slot.Loss is { } value)
        {
            if (value.requires_grad)
            {
                torch.autograd.backward([value], [torch.full_like(value, weight)]);
            }
        }
        else
        {
            var outputs = new List<torch.Tensor>();
            var gradients = new List<torch.Tensor>();
            for (int i = 0; i < slot.Outputs.Length; i++)
            {
                if (slot.Outputs[i].requires_grad && slot.OutputGradients[i] is { } gradient)
                {
                    outputs.Add(slot.Outputs[i]);
                    gradients.Add(gradient);
                }
            }

            if (outputs.Count > 0)
            {
                torch.autograd.backward(outputs, gradients);
            }
        }

        if (incoming is not null)
        {
            slot.InputGradients =
            [
                .. slot.Inputs
                    .Where((input, i) => TravelsWithGradient(incoming, i, input))
                    .Select(input => (input.grad ?? torch.zeros_like(input)).DetachFromDisposeScope()),
            ];
        }

        slot.ReleaseForward();
    }

    private void Exchange(InstructionKind kind, MicroBatchSlot slot)
    {
        switch (kind)
        {
            case InstructionKind.SendActivation:
                foreach (torch.Tensor output in slot.Outputs)
                {
                    pipeline.Send(output, stage.Index + 1);
                }

                break;
            case InstructionKind.ReceiveActivation:
                slot.Inputs = new torch.Tensor[incoming!.Values.Count];
                for (int i = 0; i < slot.Inputs.Length; i++)
                {
                    torch.Tensor input = pipeline.Receive(stage.Index - 1).DetachFromDisposeScope();
                    slot.Inputs[i] = input;
                    input.requires_grad = training == true && TravelsWithGradient(incoming, i, input);
                }

                break;
            case InstructionKind.SendGradient:
                foreach (torch.Tensor gradient in slot.InputGradients)
                {
                    pipeline.Send(gradient, stage.Index - 1);
                }

                slot.ReleaseInputGradients();
                break;
            case InstructionKind.ReceiveGradient:
                slot.OutputGradients = new torch.Tensor?[slot.Outputs.Length];
                for (int i = 0; i < slot.Outputs.Length; i++)
                {
                    if (TravelsWithGradient(outgoing!, i, slot.Outputs[i]))
                    {
                        slot.OutputGradients[i] = pipeline.Receive(stage.Index + 1).DetachFromDisposeScope();
                    }
                }

                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not an exchange.");
        }
    }
}
