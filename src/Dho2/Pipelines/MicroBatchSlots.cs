using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>
/// The micro-batches of one step on the stages of a rank. Slots and their arrays stay from step to step: a step that has as
/// many micro-batches as one before it makes none.
/// </summary>
/// <param name="stages">The rank's stages, in order.</param>
internal sealed class MicroBatchSlots(IReadOnlyList<StageWork> stages)
{
    private MicroBatchSlot[] slots = [];
    private int microBatches;

    /// <summary>The slot of a micro-batch on the rank's stage of that number, counted on the rank.</summary>
    public MicroBatchSlot this[int stage, int microBatch] => slots[(stage * microBatches) + microBatch];

    /// <summary>Divides a step's samples.</summary>
    /// <exception cref="ArgumentException">The sizes do not make the batch.</exception>
    public void Begin(Batch batch, IReadOnlyList<int> sizes)
    {
        int sum = 0;
        for (int i = 0; i < sizes.Count; i++)
        {
            sum += sizes[i];
        }

        if (sum != batch.Samples)
        {
            throw new ArgumentException($"Micro-batches of {string.Join(" + ", sizes)} samples do not make a batch of {batch.Samples}.", nameof(sizes));
        }

        if (microBatches != sizes.Count)
        {
            microBatches = sizes.Count;
            slots = [.. stages.SelectMany(stage => Enumerable.Range(0, microBatches).Select(_ => new MicroBatchSlot(stage.ValuesIn, stage.ValuesOut)))];
        }

        for (int stage = 0; stage < stages.Count; stage++)
        {
            int start = 0;
            for (int i = 0; i < microBatches; i++)
            {
                this[stage, i].Begin(batch, start, sizes[i]);
                start += sizes[i];
            }
        }
    }

    /// <summary>Lets go of what a step has left.</summary>
    public void End()
    {
        foreach (MicroBatchSlot slot in slots)
        {
            slot.Release();
        }
    }
}

/// <summary>
/// What a stage keeps of one micro-batch between its instructions: the cut it came in by, the cut it goes out by, and
/// their gradients. All handles are the slot's own and belong to no scope; null where there is none at the time.
/// </summary>
/// <param name="valuesIn">The values of the cut that it comes in by; none on the first stage.</param>
/// <param name="valuesOut">The values of the cut that it goes out by; none on the last stage.</param>
internal sealed class MicroBatchSlot(int valuesIn, int valuesOut)
{
    private Batch? batch;
    private int start;

    public int Samples { get; private set; }

    public torch.Tensor[] Inputs { get; } = new torch.Tensor[valuesIn];

    /// <summary>The inputs' gradients; none where an input travels without.</summary>
    public torch.Tensor?[] InputGradients { get; } = new torch.Tensor?[valuesIn];

    public torch.Tensor[] Outputs { get; } = new torch.Tensor[valuesOut];

    /// <summary>For each of the outputs, whether a gradient comes back.</summary>
    public bool[] Returning { get; } = new bool[valuesOut];

    public torch.Tensor?[] OutputGradients { get; } = new torch.Tensor?[valuesOut];

    public torch.Tensor? Loss { get; set; }

    /// <summary>Whether what its forward gave is that of the second one, which has a graph.</summary>
    public bool IsRecomputed { get; set; }

    public void Begin(Batch batch, int start, int samples)
    {
        this.batch = batch;
        this.start = start;
        Samples = samples;
    }

    /// <summary>Its part of the model's inputs, as views that belong to the caller's scope.</summary>
    /// <param name="views">Where they go; made anew if it has another length.</param>
    public torch.Tensor[] ModelInputs(ref torch.Tensor[] views) => Narrow(batch!.Inputs, ref views);

    /// <summary>Its part of the targets, as views that belong to the caller's scope.</summary>
    /// <param name="views">Where they go; made anew if it has another length.</param>
    public torch.Tensor[] Targets(ref torch.Tensor[] views) => Narrow(batch!.Targets, ref views);

    /// <summary>Lets go of the graph, after its backward.</summary>
    public void ReleaseForward()
    {
        ReleaseInputs();
        ReleaseResults();
        Release(OutputGradients);
        Array.Clear(Returning);
    }

    /// <summary>Lets go of what its forward gave, and with it of the graph.</summary>
    public void ReleaseResults()
    {
        Release(Outputs);
        Loss?.Dispose();
        Loss = null;
        IsRecomputed = false;
    }

    public void ReleaseInputs() => Release(Inputs);

    public void ReleaseInputGradients() => Release(InputGradients);

    /// <summary>Lets go of everything.</summary>
    public void Release()
    {
        ReleaseForward();
        ReleaseInputGradients();
        batch = null;
    }

    private torch.Tensor[] Narrow(IReadOnlyList<torch.Tensor> tensors, ref torch.Tensor[] views)
    {
        if (views.Length != tensors.Count)
        {
            views = new torch.Tensor[tensors.Count];
        }

        for (int i = 0; i < views.Length; i++)
        {
            views[i] = tensors[i].narrow(0, start, Samples);
        }

        return views;
    }

    private static void Release(torch.Tensor?[] tensors)
    {
        foreach (torch.Tensor? tensor in tensors)
        {
            tensor?.Dispose();
        }

        Array.Clear(tensors);
    }
}
