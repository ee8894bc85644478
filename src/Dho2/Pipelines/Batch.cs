using System.Collections.Generic;
using System.Linq;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>The samples of one step: the model's inputs and the loss's targets, the batch dimension first in all of them.</summary>
/// <param name="Inputs">The model's inputs, each of shape (batch, ...).</param>
/// <param name="Targets">The targets, each of shape (batch, ...).</param>
public sealed record Batch(IReadOnlyList<torch.Tensor> Inputs, IReadOnlyList<torch.Tensor> Targets)
{
    /// <summary>The number of samples.</summary>
    public int Samples => (int)Inputs[0].shape[0];

    /// <summary>A run of samples, as views that belong to the caller's scope.</summary>
    public static torch.Tensor[] Narrow(IReadOnlyList<torch.Tensor> tensors, int start, int length) =>
        [.. tensors.Select(tensor => tensor.narrow(0, start, length))];
}
