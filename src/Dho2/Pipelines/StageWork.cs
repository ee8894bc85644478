using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Numerics;
using Dho2.Planning;
using TorchSharp;
using TorchSharp.Modules;

namespace Dho2.Pipelines;

/// <summary>What a rank computes for one of its stages: forwards and backwards of micro-batches, whose tensors are in their slots.</summary>
internal sealed class StageWork
{
    private readonly IPipelineStage stage;
    private readonly StageContext context;
    private readonly CutPlan? incoming;
    private readonly CutPlan? outgoing;
    private readonly Lazy<torch.Tensor[]> parameters;

    public StageWork(IPipelineStage stage, StageContext context, IReadOnlyList<CutPlan> cuts)
    {
        this.stage = stage;
        this.context = context;
        incoming = stage.Index > 0 ? cuts[stage.Index - 1] : null;
        outgoing = stage.Index < cuts.Count ? cuts[stage.Index] : null;
        parameters = new(() =>
        [
            .. stage.Layers
                .SelectMany(layer => layer.Parameter is { } parameter ? [parameter] : layer.Module!.parameters())
                .Where(parameter => parameter.requires_grad)
                .DistinctBy(parameter => parameter.Handle),
        ]);
    }

    /// <summary>The stage, counted from 0.</summary>
    public int Index => stage.Index;

    /// <summary>Whether this is the first stage, which reads the model's inputs.</summary>
    public bool IsFirst => incoming is null;

    /// <summary>Whether this is the last stage, which computes the loss.</summary>
    public bool IsLast => outgoing is null;

    /// <summary>How its activations are recomputed; null where they are kept from the forward to the backward.</summary>
    public RecomputedStage? Recomputed { get; set; }

    public void SetTraining(bool mode)
    {
        foreach (StageLayer layer in stage.Layers)
        {
            layer.Module?.train(mode);
        }
    }

    /// <summary>Takes in the incoming cut, one value after the other.</summary>
    public void SetInputs(MicroBatchSlot slot, Func<torch.Tensor> next, bool withGradient)
    {
        slot.Inputs = new torch.Tensor[incoming!.Values.Count];
        for (int i = 0; i < slot.Inputs.Length; i++)
        {
            torch.Tensor input = next();
            slot.Inputs[i] = input;
            input.requires_grad = withGradient && TravelsWithGradient(incoming, i, input);
        }
    }

    /// <summary>Takes in the gradients of the outgoing cut's values that have one, one after the other.</summary>
    public void SetOutputGradients(MicroBatchSlot slot, Func<torch.Tensor> next)
    {
        slot.OutputGradients = [.. slot.Returning.Select(returns => returns ? next() : null)];
    }

    /// <summary>
    /// Runs the stage's forward in training, and on the last stage the loss; where activations are recomputed, without a graph.
    /// </summary>
    /// <param name="slot">The micro-batch.</param>
    /// <param name="loss">The loss of results and targets, as a mean over so many samples, and what it counts.</param>
    /// <returns>What the loss counts; 0 on other stages than the last.</returns>
    public double ForwardInTraining(MicroBatchSlot slot, Func<torch.Tensor[], torch.Tensor[], int, (torch.Tensor Value, double Count)> loss)
    {
        if (Recomputed is not { } recomputed)
        {
            return Forward(slot, loss);
        }

        using IDisposable noGrad = torch.no_grad();
        return recomputed.WithGenerator(context, () => Forward(slot, loss, copiesInputs: recomputed.MayWorkInPlace));
    }

    /// <summary>Whether activations have to be recomputed before an instruction: where it needs the graph, and there is none.</summary>
    public bool NeedsForward(InstructionKind instruction, MicroBatchSlot slot) => Recomputed is not null && instruction switch
    {
        InstructionKind.BackwardInput => slot.Inputs.Any(input => input.requires_grad),
        InstructionKind.BackwardWeight => !slot.IsRecomputed && parameters.Value.Length > 0,
        _ => instruction == InstructionKind.Backward,
    };

    /// <summary>Runs the stage's forward once more, with a graph; buffers such as running statistics keep what they have.</summary>
    /// <param name="slot">The micro-batch.</param>
    /// <param name="loss">The loss, as in the first forward.</param>
    public void ForwardAgain(MicroBatchSlot slot, Func<torch.Tensor[], torch.Tensor[], int, (torch.Tensor Value, double Count)> loss)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor[] buffers = [.. stage.Layers.SelectMany(layer => layer.Module?.named_buffers().Select(b => b.buffer) ?? [])];
        torch.Tensor[] before = [.. buffers.Select(buffer => buffer.clone())];
        slot.ReleaseResults();
        Recomputed!.WithGenerator(context, () => Forward(slot, loss));
        slot.IsRecomputed = true;
        using IDisposable noGrad = torch.no_grad();
        foreach ((torch.Tensor buffer, torch.Tensor value) in buffers.Zip(before))
        {
            // Through a tensor of its own on the same memory: the graph holds the buffer, and would take it for changed.
            torch.Tensor memory = torch.empty(0, buffer.dtype, buffer.device);
            memory.set_(buffer);
            memory.copy_(value);
        }
    }

    /// <summary>Lets go of what has been handed on, where it will be computed again.</summary>
    public void ReleaseSent(MicroBatchSlot slot)
    {
        if (Recomputed is not null)
        {
            slot.ReleaseResults();
        }
    }

    /// <summary>Runs the stage's forward, and on the last stage the loss.</summary>
    /// <param name="slot">The micro-batch.</param>
    /// <param name="loss">The loss of results and targets, as a mean over so many samples, and what it counts.</param>
    /// <param name="copiesInputs">Whether the stage works on a copy of its inputs.</param>
    /// <param name="inspect">Where the loss is only looked at: results, targets, the mean over what the loss counts, and that.</param>
    /// <returns>What the loss counts; 0 on other stages than the last.</returns>
    public double Forward(
        MicroBatchSlot slot,
        Func<torch.Tensor[], torch.Tensor[], int, (torch.Tensor Value, double Count)> loss,
        bool copiesInputs = false,
        Action<IReadOnlyList<torch.Tensor>, IReadOnlyList<torch.Tensor>, double, double>? inspect = null)
    {
        // What the stage makes on the way dies here; the graph keeps what its backward needs.
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor[] inputs = IsFirst ? Converted(slot.ModelInputs(), context.DType) : slot.Inputs;
        torch.Tensor[] outputs = stage.Forward(copiesInputs ? [.. inputs.Select(input => input.clone())] : inputs);
        if (outgoing is not null)
        {
            if (outputs.Length != outgoing.Values.Count)
            {
                throw new InvalidOperationException($"The stage gives {outputs.Length} values, its cut has {outgoing.Values.Count}.");
            }

            // Handles of our own: an output may be an input passed on, or a parameter.
            slot.Outputs = [.. outputs.Select(output => output.alias().DetachFromDisposeScope())];
            slot.Returning = [.. outputs.Select((output, i) => TravelsWithGradient(outgoing, i, output))];
            return 0;
        }

        outputs = Converted(outputs, context.MasterType);
        torch.Tensor[] targets = slot.Targets();
        (torch.Tensor value, double count) = loss(outputs, targets, slot.Samples);
        if (value.numel() != 1)
        {
            throw new InvalidOperationException($"The loss has shape ({string.Join(", ", value.shape)}); it must be one number.");
        }

        if (inspect is null)
        {
            slot.Loss = value.alias().DetachFromDisposeScope();
        }
        else
        {
            inspect(outputs, targets, count > 0 ? value.ToDouble() * slot.Samples / count : 0, count);
        }

        return count;
    }

    /// <summary>Gradients of inputs and parameters at once.</summary>
    /// <param name="slot">The micro-batch.</param>
    /// <param name="weight">The weight of its loss.</param>
    /// <param name="segments">Groups of parameters to finish one after the other, on the first stage alone; null to walk once.</param>
    public void Backward(MicroBatchSlot slot, double weight, BackwardSegments? segments = null)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (List<torch.Tensor> roots, List<torch.Tensor> gradients) = Roots(slot, weight);
        if (roots.Count > 0 && segments is null)
        {
            torch.autograd.backward(roots, gradients);
        }

        for (int i = 0; i < segments?.Groups.Count && roots.Count > 0; i++)
        {
            bool isLast = i + 1 == segments.Groups.Count;
            torch.autograd.backward(roots, gradients, retain_graph: !isLast, create_graph: false, inputs: [.. segments.Groups[i]]);
            segments.Finished();
        }

        TakeInputGradients(slot);
        slot.ReleaseForward();
    }

    /// <summary>
    /// Gradients of the inputs alone; the graph stays for <see cref="BackwardWeight"/>. On the first stage there are none, and
    /// nothing is computed.
    /// </summary>
    public void BackwardInput(MicroBatchSlot slot, double weight)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        List<torch.Tensor> inputs = [.. slot.Inputs.Where(input => input.requires_grad)];
        if (inputs.Count > 0)
        {
            (List<torch.Tensor> roots, List<torch.Tensor> gradients) = Roots(slot, weight);
            if (roots.Count > 0)
            {
                torch.autograd.backward(roots, gradients, retain_graph: true, create_graph: false, inputs: inputs);
            }
        }

        TakeInputGradients(slot);
    }

    /// <summary>
    /// Gradients of the parameters alone. The walk from the stage's results to its parameters is made a second time: TorchSharp
    /// gives no access to the graph's nodes, at which gradients could be kept from the first (see docs/schedules.md).
    /// </summary>
    public void BackwardWeight(MicroBatchSlot slot, double weight)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        if (parameters.Value.Length > 0)
        {
            (List<torch.Tensor> roots, List<torch.Tensor> gradients) = Roots(slot, weight);
            if (roots.Count > 0)
            {
                torch.autograd.backward(roots, gradients, retain_graph: false, create_graph: false, inputs: parameters.Value);
            }
        }

        slot.ReleaseForward();
    }

    // In mixed precision the model takes its inputs in the type that it computes in, and the loss is taken in the finer one.
    private torch.Tensor[] Converted(torch.Tensor[] tensors, torch.ScalarType? type) =>
        context.IsMixed ? [.. tensors.Select(tensor => tensor.is_floating_point() ? tensor.to_type(type!.Value) : tensor)] : tensors;

    private static bool TravelsWithGradient(CutPlan cut, int value, torch.Tensor tensor) =>
        cut.Values[value].Differentiable && tensor.is_floating_point();

    /// <summary>What a backward starts from: the weighted loss, or the outgoing values that got a gradient.</summary>
    private static (List<torch.Tensor> Roots, List<torch.Tensor> Gradients) Roots(MicroBatchSlot slot, double weight)
    {
        if (slot.Loss is { } value)
        {
            return value.requires_grad ? ([value], [value.Filled(weight)]) : ([], []);
        }

        var roots = new List<torch.Tensor>();
        var gradients = new List<torch.Tensor>();
        for (int i = 0; i < slot.Outputs.Length; i++)
        {
            if (slot.Outputs[i].requires_grad && slot.OutputGradients[i] is { } gradient)
            {
                roots.Add(slot.Outputs[i]);
                gradients.Add(gradient);
            }
        }

        return (roots, gradients);
    }

    private void TakeInputGradients(MicroBatchSlot slot)
    {
        if (incoming is not null)
        {
            slot.InputGradients =
            [
                .. slot.Inputs
                    .Where((input, i) => TravelsWithGradient(incoming, i, input))
                    .Select(input => (input.grad ?? torch.zeros_like(input)).DetachFromDisposeScope()),
            ];
        }
    }
}
