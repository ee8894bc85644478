using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;

namespace Dho2.Data;

/// <summary>Samples that lie in memory as tensors with the sample as their first dimension.</summary>
public sealed class TensorDataset : IDataset, IDisposable
{
    private readonly torch.Tensor[] inputs;
    private readonly torch.Tensor[] targets;

    /// <summary>Creates a data set over one input and one target.</summary>
    /// <param name="input">The model's input, shape (N, ...); shared, not copied, and the caller may dispose its handle.</param>
    /// <param name="target">The target, shape (N, ...), likewise.</param>
    public TensorDataset(torch.Tensor input, torch.Tensor target)
        : this([input], [target])
    {
    }

    /// <summary>Creates a data set.</summary>
    /// <param name="inputs">The model's inputs, each of shape (N, ...); shared, not copied, and the caller may dispose its handles.</param>
    /// <param name="targets">The targets, each of shape (N, ...), likewise.</param>
    /// <exception cref="ArgumentException">There is no input, or the tensors differ in their number of samples.</exception>
    public TensorDataset(IReadOnlyList<torch.Tensor> inputs, IReadOnlyList<torch.Tensor> targets)
    {
        if (inputs.Count == 0)
        {
            throw new ArgumentException("A data set has at least one input.", nameof(inputs));
        }

        Count = inputs[0].shape[0];
        if (inputs.Concat(targets).FirstOrDefault(tensor => tensor.shape[0] != Count) is { } other)
        {
            throw new ArgumentException($"The first input has {Count} samples, another tensor {other.shape[0]}.", nameof(inputs));
        }

        this.inputs = [.. inputs.Select(Share)];
        this.targets = [.. targets.Select(Share)];
    }

    /// <inheritdoc/>
    public long Count { get; }

    /// <inheritdoc/>
    public IReadOnlyList<torch.Tensor> Inputs(long[] indices) => Select(inputs, indices);

    /// <inheritdoc/>
    public IReadOnlyList<torch.Tensor> Targets(long[] indices) => Select(targets, indices);

    /// <inheritdoc/>
    public void Dispose()
    {
        Array.ForEach(inputs, tensor => tensor.Dispose());
        Array.ForEach(targets, tensor => tensor.Dispose());
    }

    private static torch.Tensor Share(torch.Tensor tensor) => tensor.detach().DetachFromDisposeScope();

    // Copies into fresh memory, whose alignment is always the same: products of a matrix library depend on it in their
    // last bits.
    private static torch.Tensor[] Select(torch.Tensor[] tensors, long[] indices)
    {
        using torch.Tensor index = torch.tensor(indices);
        return [.. tensors.Select(tensor => tensor.index_select(0, index))];
    }
}
