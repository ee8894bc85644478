using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>The micro-batches of one step on the stages of a rank.</summary>
internal sealed class MicroBatchSlots : IDisposable
{
    private readonly MicroBatchSlot[] slots;
    private readonly int microBatches;

    public MicroBatchSlots(Batch batch, IReadOnlyList<int> sizes, int stages)
    {
        if (sizes.Sum() != batch.Samples)
        {
            throw new ArgumentException($"Micro-batches of {string.Join(" + ", sizes)} samples do not make a batch of {batch.Samples}.", nameof(sizes));
        }

        microBatches = sizes.Count;
        slots = new MicroBatchSlot[stages * microBatches];
        for (int stage = 0; stage < stages; stage++)
        {
            int start = 0;
            for (int i = 0; i < microBatches; i++)
            {
                slots[(stage * microBatches) + i] = new MicroBatchSlot(batch, start, sizes[i]);
                start += sizes[i];
            }
        }
    }

    /// <summary>The slot of a micro-batch on the rank's stage of that number, counted on the rank.</summary>
    public MicroBatchSlot this[int stage, int microBatch] => slots[(stage * microBatches) + microBatch];

    public void Dispose() => Array.ForEach(slots, slot => slot.Dispose());
}

/// <summary>
/// What a stage keeps of one micro-batch between its instructions: the cut it came in by, the cut it goes out by, and
/// their gradients. All handles are the slot's own and belong to no scope.
/// </summary>
internal sealed class MicroBatchSlot(Batch batch, int start, int samples) : IDisposable
{
    public int Samples => samples;

    public torch.Tensor[] Inputs { get; set; } = [];

    public torch.Tensor[] Outputs { get; set; } = [];

    /// <summary>For each value of the cut that it goes out by, whether a gradient comes back.</summary>
    public bool[] Returning { get; set; } = [];

    public torch.Tensor?[] OutputGradients { get; set; } = [];

    public torch.Tensor[] InputGradients { get; set; } = [];

    public torch.Tensor? Loss { get; set; }

    /// <summary>Whether what its forward gave is that of the second one, which has a graph.</summary>
    public bool IsRecomputed { get; set; }

    public torch.Tensor[] ModelInputs() => Batch.Narrow(batch.Inputs, start, samples);

    public torch.Tensor[] Targets() => Batch.Narrow(batch.Targets, start, samples);

    /// <summary>Lets go of the graph, after its backward.</summary>
    public void ReleaseForward()
    {
        ReleaseInputs();
        ReleaseResults();
        Release(OutputGradients);
        OutputGradients = [];
        Returning = [];
    }

    /// <summary>Lets go of what its forward gave, and with it of the graph.</summary>
    public void ReleaseResults()
    {
        Release(Outputs);
        Outputs = [];
        Loss?.Dispose();
        Loss = null;
        IsRecomputed = false;
    }

    public void ReleaseInputs()
    {
        Release(Inputs);
        Inputs = [];
    }

    public void ReleaseInputGradients()
    {
        Release(InputGradients);
        InputGradients = [];
    }

    public void Dispose()
    {
        ReleaseForward();
        ReleaseInputGradients();
    }

    private static void Release(torch.Tensor?[] tensors)
    {
        foreach (torch.Tensor? tensor in tensors)
        {
            tensor?.Dispose();
        }
    }
}
