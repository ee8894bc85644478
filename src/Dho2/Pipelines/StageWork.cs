using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Numerics;
using Dho2.Planning;
using TorchSharp;
using TorchSharp.Modules;

namespace Dho2.Pipelines;

/// <summary>
/// What a rank computes for one of its stages: forwards and backwards of micro-batches, whose tensors are in their slots. What
/// it needs on the way is kept from one call to the next: beside what TorchSharp makes, a step allocates nothing.
/// </summary>
internal sealed class StageWork
{
    private readonly IPipelineStage stage;
    private readonly StageContext context;
    private readonly CutPlan? incoming;
    private readonly CutPlan? outgoing;
    private readonly Lazy<torch.Tensor[]> parameters;
    private readonly List<torch.Tensor> roots = [];
    private readonly List<torch.Tensor> gradients = [];
    private readonly List<torch.Tensor> differentiated = [];
    private torch.Tensor[] given = [];
    private torch.Tensor[] targets = [];
    private torch.Tensor[] results = [];

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

    /// <summary>Values of the cut that it takes in; none on the first stage.</summary>
    public int ValuesIn => incoming?.Values.Count ?? 0;

    /// <summary>Values of the cut that it hands on; none on the last stage.</summary>
    public int ValuesOut => outgoing?.Values.Count ?? 0;

    /// <summary>How its activations are recomputed; null where they are kept from the forward to the backward.</summary>
    public RecomputedStage? Recomputed { get; set; }

    public void SetTraining(bool mode)
    {
        foreach (StageLayer layer in stage.Layers)
        {
            layer.Module?.train(mode);
        }
    }

    /// <summary>Takes in a value of the incoming cut.</summary>
    public void SetInput(MicroBatchSlot slot, int value, torch.Tensor input, bool withGradient)
    {
        slot.Inputs[value] = input;
        input.requires_grad = withGradient && TravelsWithGradient(incoming!, value, input);
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
        recomputed.EnterGenerator(context);
        double count = Forward(slot, loss, copiesInputs: recomputed.MayWorkInPlace);
        recomputed.LeaveGenerator();
        return count;
    }

    /// <summary>Whether activations have to be recomputed before an instruction: where it needs the graph, and there is none.</summary>
    public bool NeedsForward(InstructionKind instruction, MicroBatchSlot slot) => Recomputed is not null && instruction switch
    {
        InstructionKind.BackwardInput => Array.Exists(slot.Inputs, static input => input.requires_grad),
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
        Recomputed!.EnterGenerator(context);
        Forward(slot, loss);
        Recomputed.LeaveGenerator();
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
        torch.Tensor[] outputs = stage.Forward(Given(slot, copiesInputs));
        if (outgoing is not null)
        {
            if (outputs.Length != outgoing.Values.Count)
            {
                throw new InvalidOperationException($"The stage gives {outputs.Length} values, its cut has {outgoing.Values.Count}.");
            }

            for (int i = 0; i < outputs.Length; i++)
            {
                // Handles of our own: an output may be an input passed on, or a parameter.
                slot.Outputs[i] = outputs[i].alias().DetachFromDisposeScope();
                slot.Returning[i] = TravelsWithGradient(outgoing, i, outputs[i]);
            }

            return 0;
        }

        outputs = Results(outputs);
        slot.Targets(ref targets);
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
        // For the handles that users' own autograd functions are given.
        using DisposeScope scope = torch.NewDisposeScope();
        if (segments is null)
        {
            Walk(slot, weight, keepsGraph: false, inputs: null);
        }

        for (int i = 0; i < segments?.Groups.Count; i++)
        {
            if (Walk(slot, weight, keepsGraph: i + 1 < segments.Groups.Count, segments.Groups[i]))
            {
                segments.Finished();
            }
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
        differentiated.Clear();
        foreach (torch.Tensor input in slot.Inputs)
        {
            if (input.requires_grad)
            {
                differentiated.Add(input);
            }
        }

        if (differentiated.Count > 0)
        {
            Walk(slot, weight, keepsGraph: true, differentiated);
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
            Walk(slot, weight, keepsGraph: false, parameters.Value);
        }

        slot.ReleaseForward();
    }

    private static bool TravelsWithGradient(CutPlan cut, int value, torch.Tensor tensor) =>
        cut.Values[value].Differentiable && tensor.is_floating_point();

    /// <summary>What a forward is given: the cut's values, or a part of the model's inputs in the type that it computes in.</summary>
    private torch.Tensor[] Given(MicroBatchSlot slot, bool copies)
    {
        torch.Tensor[] inputs = slot.Inputs;
        if (IsFirst)
        {
            inputs = slot.ModelInputs(ref given);
            Convert(inputs, inputs, context.DType);
        }

        if (copies)
        {
            Array.Resize(ref given, inputs.Length);
            for (int i = 0; i < inputs.Length; i++)
            {
                given[i] = inputs[i].clone();
            }

            inputs = given;
        }

        return inputs;
    }

    // In mixed precision the loss is taken in the finer type.
    private torch.Tensor[] Results(torch.Tensor[] outputs)
    {
        if (!context.IsMixed)
        {
            return outputs;
        }

        Array.Resize(ref results, outputs.Length);
        Convert(outputs, results, context.MasterType);
        return results;
    }

    private void Convert(torch.Tensor[] from, torch.Tensor[] to, torch.ScalarType? type)
    {
        for (int i = 0; context.IsMixed && i < from.Length; i++)
        {
            to[i] = from[i].is_floating_point() ? from[i].to_type(type!.Value) : from[i];
        }
    }

    /// <summary>Walks the graph from the weighted loss, or from the outgoing values that got a gradient.</summary>
    /// <param name="slot">The micro-batch.</param>
    /// <param name="weight">The weight of its loss.</param>
    /// <param name="keepsGraph">Whether the graph is walked once more.</param>
    /// <param name="inputs">The leaves whose gradients are wanted; null for all.</param>
    /// <returns>Whether there is anything to start from.</returns>
    private bool Walk(MicroBatchSlot slot, double weight, bool keepsGraph, IList<torch.Tensor>? inputs)
    {
        using torch.Tensor? filled = slot.Loss is { requires_grad: true } loss ? loss.Filled(weight) : null;
        if (filled is not null)
        {
            roots.Add(slot.Loss!);
            gradients.Add(filled);
        }

        for (int i = 0; i < slot.Outputs.Length; i++)
        {
            if (slot.OutputGradients[i] is { } gradient && slot.Outputs[i].requires_grad)
            {
                roots.Add(slot.Outputs[i]);
                gradients.Add(gradient);
            }
        }

        try
        {
            if (roots.Count > 0)
            {
                torch.autograd.backward(roots, gradients, keepsGraph, create_graph: false, inputs);
            }

            return roots.Count > 0;
        }
        finally
        {
            roots.Clear();
            gradients.Clear();
        }
    }

    private void TakeInputGradients(MicroBatchSlot slot)
    {
        for (int i = 0; i < slot.Inputs.Length; i++)
        {
            torch.Tensor input = slot.Inputs[i];
            if (TravelsWithGradient(incoming!, i, input))
            {
                slot.InputGradients[i] = (input.grad ?? torch.zeros_like(input)).DetachFromDisposeScope();
            }
        }
    }
}
