using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>The micro-batches of one step on one stage.</summary>
internal sealed class MicroBatchSlots : IDisposable
{
    private readonly MicroBatchSlot[] slots;

    public MicroBatchSlots(Batch batch, IReadOnlyList<int> sizes)
    {
        if (sizes.Sum() != batch.Samples)
        {
            throw new ArgumentException($"Micro-batches of {string.Join(" + ", sizes)} samples do not make a batch of {batch.Samples}.", nameof(sizes));
        }

        slots = new MicroBatchSlot[sizes.Count];
        int start = 0;
        for (int i = 0; i < slots.Length; i++)
        {
            slots[i] = new MicroBatchSlot(batch, start, sizes[i]);
            start += sizes[i];
        }
    }

    public MicroBatchSlot this[int microBatch] => slots[microBatch];

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

    public torch.Tensor?[] OutputGradients { get; set; } = [];

    public torch.Tensor[] InputGradients { get; set; } = [];

    public torch.Tensor? Loss { get; set; }

    public torch.Tensor[] ModelInputs() => Batch.Narrow(batch.Inputs, start, samples);

    public torch.Tensor[] Targets() => Batch.Narrow(batch.Targets, start, samples);

    /// <summary>Lets go of the graph, after its backward.</summary>
    public void ReleaseForward()
    {
        Release(Inputs);
        Release(Outputs);
        Release(OutputGradients);
        Loss?.Dispose();
        Loss = null;
        Inputs = Outputs = [];
        OutputGradients = [];
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
