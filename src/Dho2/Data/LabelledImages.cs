using System;
using static TorchSharp.torch;

namespace Dho2.Data;

/// <summary>Images and their classes, item by item; owns its tensors.</summary>
/// <param name="Images">float32 (N, channels, rows, columns).</param>
/// <param name="Labels">int64 (N).</param>
public sealed record LabelledImages(Tensor Images, Tensor Labels) : IDisposable
{
    /// <summary>The number of items N.</summary>
    public long Count => Labels.shape[0];

    /// <summary>Frees both tensors.</summary>
    public void Dispose()
    {
        Images.Dispose();
        Labels.Dispose();
    }
}
