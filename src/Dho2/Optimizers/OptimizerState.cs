using System;
using System.Collections.Generic;
using System.Linq;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>What an optimizer would need to go on exactly.</summary>
/// <param name="Vectors">This rank's shards: shape (n_s), or (rows, n_s) where a name stands for several vectors.</param>
/// <param name="Numbers">Float64 numbers, the same on every rank.</param>
public sealed record OptimizerState(IReadOnlyDictionary<string, Tensor> Vectors, IReadOnlyDictionary<string, double[]> Numbers)
{
    /// <summary>A vector of this rank's shard.</summary>
    /// <exception cref="ArgumentException">It is missing, or its shape is not (<paramref name="size"/>).</exception>
    internal Tensor Vector(string name, long size)
    {
        if (!Vectors.TryGetValue(name, out Tensor? vector) || !vector.shape.SequenceEqual([size]))
        {
            string found = vector is null ? "missing" : $"of shape ({string.Join(", ", vector.shape)})";
            throw new ArgumentException($"'{name}' is {found}; a vector of {size} elements is needed.");
        }

        return vector;
    }

    /// <summary>A single number.</summary>
    /// <exception cref="ArgumentException">It is missing.</exception>
    internal double Number(string name) => Numbers.TryGetValue(name, out double[]? values) && values.Length == 1
        ? values[0]
        : throw new ArgumentException($"'{name}' is missing or not one number.");
}
