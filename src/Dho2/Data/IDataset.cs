using System.Collections.Generic;
using TorchSharp;

namespace Dho2.Data;

/// <summary>Samples by index. Several ranks read at once, each what its stage needs.</summary>
public interface IDataset
{
    /// <summary>The number of samples.</summary>
    long Count { get; }

    /// <summary>The model's inputs of some samples, each of shape (indices, ...); they belong to the caller.</summary>
    IReadOnlyList<torch.Tensor> Inputs(long[] indices);

    /// <summary>The targets of some samples, each of shape (indices, ...); they belong to the caller.</summary>
    IReadOnlyList<torch.Tensor> Targets(long[] indices);
}
