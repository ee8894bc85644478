using System;
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Numerics;

/// <summary>
/// Products of a few long rows with a long vector. Sums are accumulated in float64 whatever the element types; on the
/// CPU in one pass over the rows without temporaries, elsewhere by tensor operations over slices.
/// </summary>
internal static class RowBlock
{
    // Elements converted to float64 at a time where there is no pass of our own.
    private const long Slice = 1 << 20;

    /// <summary>The inner product of two vectors of this rank.</summary>
    public static void LocalDot(Tensor left, Tensor right, Span<double> result)
    {
        long size = left.NumberOfElements;
        using Tensor row = left.view(1, size);
        LocalDots(row, right, result);
    }

    /// <summary>The inner products of rows, shape (r, n), with a vector, shape (n).</summary>
    public static void LocalDots(Tensor rows, Tensor vector, Span<double> result)
    {
        Check(rows, vector, result.Length);
        result.Clear();
        if (result.Length == 0 || vector.NumberOfElements == 0)
        {
            return;
        }

        if (HostRows.Supports(rows, vector))
        {
            HostRows.Dots(rows, vector, result);
        }
        else
        {
            SlicedDots(rows, vector, result);
        }
    }

    /// <summary>Adds <c>coefficients' rows</c> to a vector, in place.</summary>
    public static void AddCombination(Tensor rows, ReadOnlySpan<double> coefficients, Tensor vector)
    {
        Check(rows, vector, coefficients.Length);
        if (coefficients.Length == 0 || vector.NumberOfElements == 0)
        {
            return;
        }

        if (HostRows.Supports(rows, vector))
        {
            HostRows.AddCombination(rows, coefficients, vector);
        }
        else
        {
            SlicedAddCombination(rows, coefficients, vector);
        }
    }

    /// <summary><see cref="LocalDots"/> by tensor operations.</summary>
    internal static void SlicedDots(Tensor rows, Tensor vector, Span<double> result)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor sum = zeros(result.Length, ScalarType.Float64, vector.device);
        for (long start = 0; start < vector.NumberOfElements; start += Slice)
        {
            using DisposeScope sliceScope = NewDisposeScope();
            long length = Math.Min(Slice, vector.NumberOfElements - start);
            Tensor slice = vector.narrow(0, start, length).to(ScalarType.Float64);
            sum.Increase(rows.narrow(1, start, length).to(ScalarType.Float64).mv(slice));
        }

        sum.cpu().data<double>().ToArray().CopyTo(result);
    }

    /// <summary><see cref="AddCombination"/> by tensor operations.</summary>
    internal static void SlicedAddCombination(Tensor rows, ReadOnlySpan<double> coefficients, Tensor vector)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor factors = tensor(coefficients.ToArray(), vector.dtype, vector.device);
        for (long start = 0; start < vector.NumberOfElements; start += Slice)
        {
            using DisposeScope sliceScope = NewDisposeScope();
            long length = Math.Min(Slice, vector.NumberOfElements - start);
            Tensor slice = rows.narrow(1, start, length).to(vector.dtype);
            vector.narrow(0, start, length).Increase(slice.t().mv(factors));
        }
    }

    private static void Check(Tensor rows, Tensor vector, int count, [CallerMemberName] string caller = "")
    {
        if (rows.dim() != 2 || vector.dim() != 1 || rows.size(0) != count || rows.size(1) != vector.size(0))
        {
            throw new ArgumentException(
                $"{caller}: rows ({string.Join(", ", rows.shape)}), vector ({string.Join(", ", vector.shape)}) and {count} numbers do not belong together.");
        }
    }
}
