using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// An orthonormal basis that Lanczos steps let grow, with the Hessian's projection onto it. Several chains may grow side
/// by side (as in block Lanczos with deflation): a vector that was found but not yet multiplied is <em>pending</em>, and
/// residual bounds are exact with any number of pending vectors. Memory is taken as rows come: most estimates end long before
/// the basis is full.
/// </summary>
internal sealed class KrylovBasis : IDisposable
{
    // A multiple of the rows that a pass takes at once: so it changes no sum where one block ends and the next begins.
    private const int BlockRows = 4 * RowGroups.Rows;

    private readonly ShardedSpace space;
    private readonly ScalarType dtype;
    private readonly List<Tensor> blocks = [];
    private readonly double negligible;

    // For each multiplied vector, in order of multiplication: its row, the components of its product along all rows
    // known by then, and the norm of the part of the product that found no room.
    private readonly List<(int Row, double[] Components, double Lost)> products = [];
    private readonly bool[] multiplied;
    private double scale;

    public KrylovBasis(ShardedSpace space, int capacity, ScalarType dtype)
    {
        this.space = space;
        this.dtype = dtype;
        multiplied = new bool[capacity];
        Capacity = capacity;

        // Below this share of the spectrum a residual is the rounding of its own subtraction.
        negligible = 32 * (dtype == ScalarType.Float64 ? Math.ScaleB(1, -52) : Math.ScaleB(1, -23));
    }

    /// <summary>The largest number of rows.</summary>
    public int Capacity { get; }

    /// <summary>The number of rows.</summary>
    public int Count { get; private set; }

    /// <summary>The number of rows that were multiplied.</summary>
    public int Multiplied => products.Count;

    /// <summary>Whether no further row fits.</summary>
    public bool IsFull => Count == Capacity;

    /// <summary>Bytes of the rows that memory was taken for.</summary>
    public long Bytes => blocks.Sum(block => block.numel() * block.element_size());

    /// <summary>One row, as a view that the caller disposes.</summary>
    public Tensor Row(int index) => blocks[index / BlockRows].select(0, index % BlockRows);

    /// <summary>The pending row that was found first or last; -1 if there is none.</summary>
    public int NextPending(bool last)
    {
        int found = -1;
        for (int i = 0; i < Count && (last || found < 0); i++)
        {
            found = multiplied[i] ? found : i;
        }

        return found;
    }

    /// <summary>Adds a vector that need not be orthogonal to the rows; returns false if nothing of it lies outside them.</summary>
    /// <param name="vector">The vector; overwritten.</param>
    public bool TryAppend(Tensor vector)
    {
        double before = space.Norm(vector);
        Orthogonalise(vector);
        double norm = space.Norm(vector);
        if (!(norm > negligible * before))
        {
            return false;
        }

        Append(vector, norm);
        return true;
    }

    /// <summary>Records the Hessian's product with a pending row and appends what of it lies outside the basis.</summary>
    /// <param name="row">The row that was multiplied.</param>
    /// <param name="product">The product; overwritten.</param>
    /// <returns>False if the product is not finite.</returns>
    public bool TryAbsorb(int row, Tensor product)
    {
        double[] components = Orthogonalise(product);
        double norm = space.Norm(product);
        double length = Math.Sqrt(components.Sum(c => c * c) + norm * norm);
        if (!double.IsFinite(length))
        {
            return false;
        }

        scale = Math.Max(scale, length);
        multiplied[row] = true;
        double lost = 0;
        if (norm > negligible * scale)
        {
            if (IsFull)
            {
                lost = norm;
            }
            else
            {
                Append(product, norm);
                components = [.. components, norm];
            }
        }

        products.Add((row, components, lost));
        return true;
    }

    /// <summary>Rayleigh-Ritz on the multiplied rows.</summary>
    /// <param name="smallest">Wanted from below.</param>
    /// <param name="largest">Wanted from above.</param>
    public RitzPairs Solve(int smallest, int largest)
    {
        int order = Multiplied;
        double[][] projected = new double[order][];
        for (int i = 0; i < order; i++)
        {
            projected[i] = new double[order];
            for (int j = 0; j <= i; j++)
            {
                projected[i][j] = (Component(i, products[j].Row) + Component(j, products[i].Row)) / 2;
                projected[j][i] = projected[i][j];
            }
        }

        (double[] values, double[][] vectors) = SymmetricEigen.Decompose(projected);
        int[] wanted = [.. Enumerable.Range(0, smallest), .. Enumerable.Range(order - largest, largest)];
        return new RitzPairs(
            [.. wanted.Select(i => values[i])],
            [.. wanted.Select(i => Residual(vectors[i]))],
            [.. wanted.Select(i => vectors[i])],
            order == 0 ? 0 : Math.Max(Math.Abs(values[0]), Math.Abs(values[^1])));
    }

    /// <summary>The vectors of Ritz pairs, as new rows of the space's type, shape (pairs, n_s).</summary>
    public Tensor Combine(RitzPairs pairs)
    {
        Tensor result = space.ZeroRows(pairs.Values.Length);
        using DisposeScope scope = NewDisposeScope();
        Tensor[] rows = Rows();
        double[] coefficients = new double[Count];
        for (int i = 0; i < pairs.Values.Length; i++)
        {
            for (int j = 0; j < Multiplied; j++)
            {
                coefficients[products[j].Row] = pairs.Coefficients[i][j];
            }

            Tensor row = result.select(0, i);
            space.AddCombination(rows, coefficients, row);
        }

        return result;
    }

    public void Dispose() => blocks.ForEach(block => block.Dispose());

    private double[] Orthogonalise(Tensor vector)
    {
        using DisposeScope scope = NewDisposeScope();
        return Orthogonaliser.Apply(space, Rows(), vector);
    }

    // Views of the rows there are, block by block, that belong to the current scope.
    private Tensor[] Rows() => [.. blocks.Select((block, i) => block.narrow(0, 0, Math.Min(block.size(0), Count - (i * BlockRows))))];

    private void Append(Tensor vector, double norm)
    {
        if (Count == blocks.Count * BlockRows)
        {
            blocks.Add(space.EmptyRows(Math.Min(BlockRows, Capacity - Count), dtype));
        }

        using DisposeScope scope = NewDisposeScope();
        Row(Count++).copy_(vector).DivideBy(norm);
    }

    private double Component(int product, int row)
    {
        double[] components = products[product].Components;
        return row < components.Length ? components[row] : 0;
    }

    private double Residual(double[] coefficients)
    {
        double sum = 0;
        for (int row = 0; row < Count; row++)
        {
            if (!multiplied[row])
            {
                double along = 0;
                for (int j = 0; j < Multiplied; j++)
                {
                    along += Component(j, row) * coefficients[j];
                }

                sum += along * along;
            }
        }

        double lost = 0;
        for (int j = 0; j < Multiplied; j++)
        {
            lost += Math.Abs(coefficients[j]) * products[j].Lost;
        }

        return Math.Sqrt(sum + lost * lost);
    }
}

/// <summary>Ritz pairs: the wanted ones, the smallest first, each group ascending.</summary>
/// <param name="Values">The Ritz values.</param>
/// <param name="Residuals">A bound on each pair's residual norm.</param>
/// <param name="Coefficients">Each Ritz vector in the multiplied rows.</param>
/// <param name="Spread">The largest Ritz value by magnitude, wanted or not.</param>
internal sealed record RitzPairs(double[] Values, double[] Residuals, double[][] Coefficients, double Spread)
{
    /// <summary>The residual that a pair may have.</summary>
    public double Allowed(int pair, double tolerance) => tolerance * Math.Max(Math.Abs(Values[pair]), 0.01 * Spread);

    /// <summary>Whether all pairs meet a tolerance.</summary>
    public bool Meet(double tolerance)
    {
        for (int i = 0; i < Values.Length; i++)
        {
            if (Residuals[i] > Allowed(i, tolerance))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether these are, to a tolerance, the pairs of an earlier solution: nothing that it lacked has come to light.</summary>
    public bool Confirm(RitzPairs earlier, double tolerance)
    {
        for (int i = 0; i < Values.Length; i++)
        {
            double rounding = 1e-12 * Spread;
            if (Math.Abs(Values[i] - earlier.Values[i]) > Math.Max(Allowed(i, tolerance), rounding))
            {
                return false;
            }
        }

        return true;
    }
}
