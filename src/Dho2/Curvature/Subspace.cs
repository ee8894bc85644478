using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Numerics;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// Extreme eigenpairs of the Hessian: orthonormal eigenvectors as rows, sharded by columns, the <c>l</c> smallest first
/// and then the <c>k</c> largest, each group ascending by eigenvalue.
/// </summary>
public sealed class Subspace : IDisposable
{
    /// <summary>Takes over the eigenvectors.</summary>
    /// <param name="vectors">This rank's columns, shape (l + k, n_s); owned from now on.</param>
    /// <param name="eigenvalues">The l + k eigenvalues, one for each row.</param>
    /// <param name="smallest">How many of them are the smallest (l).</param>
    /// <exception cref="ArgumentException">The numbers of rows and eigenvalues differ, or <paramref name="smallest"/> exceeds them.</exception>
    public Subspace(Tensor vectors, IReadOnlyList<double> eigenvalues, int smallest)
    {
        if (vectors.dim() != 2 || vectors.size(0) != eigenvalues.Count || smallest < 0 || smallest > eigenvalues.Count)
        {
            throw new ArgumentException(
                $"Vectors ({string.Join(", ", vectors.shape)}), {eigenvalues.Count} eigenvalues and {smallest} smallest do not belong together.");
        }

        Vectors = vectors;
        Eigenvalues = eigenvalues.ToArray();
        Smallest = smallest;
    }

    /// <summary>This rank's columns of the eigenvectors, shape (l + k, n_s).</summary>
    public Tensor Vectors { get; }

    /// <summary>The eigenvalues, one for each row.</summary>
    public IReadOnlyList<double> Eigenvalues { get; }

    /// <summary>The number of rows (l + k).</summary>
    public int Count => Eigenvalues.Count;

    /// <summary>The number of smallest eigenpairs (l), which come first.</summary>
    public int Smallest { get; }

    /// <summary>The number of largest eigenpairs (k).</summary>
    public int Largest => Count - Smallest;

    /// <summary>
    /// The control experiment: random orthonormal directions in place of the eigenvectors, with the same eigenvalues.
    /// All ranks of the space call it in step.
    /// </summary>
    /// <param name="space">The space of the vectors.</param>
    /// <param name="eigenvalues">The eigenvalues to attach.</param>
    /// <param name="smallest">How many of them are the smallest.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="draw">Names the draw.</param>
    public static Subspace Random(ShardedSpace space, IReadOnlyList<double> eigenvalues, int smallest, long seed, string draw)
    {
        if (eigenvalues.Count > space.Size)
        {
            throw new ArgumentException($"{eigenvalues.Count} orthonormal vectors do not exist in {space.Size} dimensions.", nameof(eigenvalues));
        }

        Tensor rows = space.ZeroRows(eigenvalues.Count);
        for (int i = 0; i < eigenvalues.Count; i++)
        {
            using Tensor row = rows.select(0, i);
            space.FillRandom(row, seed, $"{draw}/{i}");
            using Tensor earlier = rows.narrow(0, 0, i);
            Orthogonaliser.Apply(space, earlier, row);
            row.DivideBy(space.Norm(row));
        }

        return new Subspace(rows, eigenvalues, smallest);
    }

    /// <summary>A copy with another element type.</summary>
    /// <param name="dtype">The element type of the copy's vectors.</param>
    public Subspace To(ScalarType dtype) =>
        new(Vectors.to_type(dtype, copy: true).DetachFromDisposeScope(), Eigenvalues, Smallest);

    /// <inheritdoc/>
    public void Dispose() => Vectors.Dispose();
}
