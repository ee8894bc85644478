using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2.Curvature;

/// <summary>The samples over which an estimate takes the curvature, in micro-batches.</summary>
/// <param name="Samples">This replica's samples; only the first stage looks at the inputs and the last at the targets.</param>
/// <param name="Sizes">Samples in each micro-batch.</param>
/// <param name="Step">The step that random layers go by.</param>
/// <param name="TotalSamples">
/// The samples that the mean loss is taken over, on all replicas that share the estimate: a micro-batch is weighted by
/// its share of them.
/// </param>
/// <param name="FirstMicroBatch">The number of micro-batches on replicas before this one.</param>
/// <param name="Replicas">This stage's replicas, if they share the estimate; products are added up over them.</param>
public sealed record CurvatureBatch(
    Batch Samples,
    IReadOnlyList<int> Sizes,
    long Step,
    long TotalSamples,
    int FirstMicroBatch = 0,
    ICommunicator? Replicas = null)
{
    /// <summary>The same with handles of its own, which no scope disposes.</summary>
    internal CurvatureBatch Keep() => this with
    {
        Samples = Samples with { Inputs = Keep(Samples.Inputs), Targets = Keep(Samples.Targets) },
    };

    /// <summary>The same with copies of the samples, which stay as they are whatever the caller does to the batch.</summary>
    internal CurvatureBatch Copy() => this with
    {
        Samples = Samples with { Inputs = Copy(Samples.Inputs), Targets = Copy(Samples.Targets) },
    };

    /// <summary>Disposes the handles that <see cref="Keep()"/> or <see cref="Copy()"/> made.</summary>
    internal void Release()
    {
        foreach (torch.Tensor tensor in Samples.Inputs.Concat(Samples.Targets))
        {
            tensor.Dispose();
        }
    }

    /// <summary>One micro-batch of the model's inputs or the targets, as views that belong to the caller's scope.</summary>
    internal torch.Tensor[] MicroBatch(IReadOnlyList<torch.Tensor> tensors, int index) =>
        Batch.Narrow(tensors, Sizes.Take(index).Sum(), Sizes[index]);

    private static torch.Tensor[] Copy(IReadOnlyList<torch.Tensor> tensors) =>
        [.. tensors.Select(tensor => tensor.detach().clone().DetachFromDisposeScope())];

    private static torch.Tensor[] Keep(IReadOnlyList<torch.Tensor> tensors) =>
        [.. tensors.Select(tensor => tensor.alias().DetachFromDisposeScope())];
}
