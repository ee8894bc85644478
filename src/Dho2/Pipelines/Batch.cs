using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>
/// The samples of one step: the model's inputs and the loss's targets, the batch dimension first in all of them. A rank
/// that needs only inputs, only targets or neither may leave the others out.
/// </summary>
/// <param name="Inputs">The model's inputs, each of shape (samples, ...), or none.</param>
/// <param name="Targets">The targets, each of shape (samples, ...), or none.</param>
/// <param name="Samples">The number of samples.</param>
public sealed record Batch(IReadOnlyList<torch.Tensor> Inputs, IReadOnlyList<torch.Tensor> Targets, int Samples)
{
    /// <summary>A batch with all its inputs.</summary>
    /// <exception cref="ArgumentException">Inputs and targets differ in their number of samples.</exception>
    public Batch(IReadOnlyList<torch.Tensor> inputs, IReadOnlyList<torch.Tensor> targets)
        : this(inputs, targets, (int)inputs[0].shape[0])
    {
        if (inputs.Concat(targets).FirstOrDefault(tensor => tensor.shape[0] != Samples) is { } other)
        {
            throw new ArgumentException($"One tensor has {Samples} samples, another {other.shape[0]}.", nameof(inputs));
        }
    }

    /// <summary>A run of samples, as views that belong to the caller's scope.</summary>
    /// <param name="start">The first sample.</param>
    /// <param name="length">The number of samples.</param>
    public Batch Narrow(int start, int length) => new(Narrow(Inputs, start, length), Narrow(Targets, start, length), length);

    /// <summary>A run of samples of some tensors, as views that belong to the caller's scope.</summary>
    internal static torch.Tensor[] Narrow(IReadOnlyList<torch.Tensor> tensors, int start, int length) =>
        [.. tensors.Select(tensor => tensor.narrow(0, start, length))];
}
