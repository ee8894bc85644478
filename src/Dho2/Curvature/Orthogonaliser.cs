using System.Collections.Generic;
using System.Linq;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>Classical Gram-Schmidt, twice, which is as often as is ever needed (Giraud, Langou, Rozloznik 2005).</summary>
internal static class Orthogonaliser
{
    /// <summary>Makes a vector orthogonal to orthonormal rows, in place.</summary>
    /// <param name="space">The space of the vectors.</param>
    /// <param name="rows">Orthonormal rows, shape (r, n_s).</param>
    /// <param name="vector">The vector, shape (n_s).</param>
    /// <returns>The coefficients of what was removed: the vector's components along the rows.</returns>
    public static double[] Apply(ShardedSpace space, Tensor rows, Tensor vector) => Apply(space, [rows], vector);

    /// <summary>Makes a vector orthogonal to orthonormal rows, in place.</summary>
    /// <param name="space">The space of the vectors.</param>
    /// <param name="rows">Orthonormal rows in blocks, each of shape (r, n_s).</param>
    /// <param name="vector">The vector, shape (n_s).</param>
    /// <returns>The coefficients of what was removed: the vector's components along the rows.</returns>
    public static double[] Apply(ShardedSpace space, IReadOnlyList<Tensor> rows, Tensor vector)
    {
        int count = (int)rows.Sum(block => block.size(0));
        double[] removed = new double[count];
        double[] pass = new double[count];
        for (int repetition = 0; repetition < 2 && count > 0; repetition++)
        {
            space.Project(rows, vector, pass);
            for (int i = 0; i < count; i++)
            {
                removed[i] += pass[i];
                pass[i] = -pass[i];
            }

            space.AddCombination(rows, pass, vector);
        }

        return removed;
    }
}
