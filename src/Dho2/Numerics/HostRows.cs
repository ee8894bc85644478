using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Numerics;

/// <summary>
/// Passes over rows in host memory. Work is cut into blocks of a fixed size whose partial sums are added in order, so
/// that a result does not depend on the number of threads.
/// </summary>
internal static unsafe class HostRows
{
    /// <summary>Elements of a block, the unit of work of one thread.</summary>
    public const int BlockSize = 1 << 16;

    /// <summary>Bytes of a row's tile, where the rows' are read again soon: those of sixteen rows stay in the second cache.</summary>
    public const int TileBytes = 1 << 15;

    /// <summary>
    /// Bytes of a row's tile in passes that read it once: a stretch of memory is slow at its beginning, until it is fetched
    /// ahead of its use. As long as a block in float32.
    /// </summary>
    public const int LongTileBytes = 1 << 18;

    /// <summary>Whether these tensors lie in host memory, without gaps, with element types that have a pass here.</summary>
    public static bool Supports(Tensor rows, Tensor vector) =>
        rows.device_type == DeviceType.CPU && vector.device_type == DeviceType.CPU
        && rows.is_contiguous() && vector.is_contiguous()
        && (rows.dtype, vector.dtype) is (ScalarType.Float32, ScalarType.Float32)
            or (ScalarType.Float64, ScalarType.Float64)
            or (ScalarType.BFloat16, ScalarType.Float32);

    /// <summary>The inner products of rows with a vector; both as <see cref="Supports"/> demands.</summary>
    public static void Dots(Tensor rows, Tensor vector, Span<double> result)
    {
        switch (rows.dtype)
        {
            case ScalarType.Float32:
                Dots<SingleKernel>(rows, vector, result);
                break;
            case ScalarType.Float64:
                Dots<DoubleKernel>(rows, vector, result);
                break;
            default:
                Dots<BFloat16Kernel>(rows, vector, result);
                break;
        }
    }

    /// <summary>Adds a combination of rows to a vector; both as <see cref="Supports"/> demands.</summary>
    public static void AddCombination(Tensor rows, ReadOnlySpan<double> coefficients, Tensor vector)
    {
        switch (rows.dtype)
        {
            case ScalarType.Float32:
                AddCombination<SingleKernel>(rows, coefficients, vector);
                break;
            case ScalarType.Float64:
                AddCombination<DoubleKernel>(rows, coefficients, vector);
                break;
            default:
                AddCombination<BFloat16Kernel>(rows, coefficients, vector);
                break;
        }
    }

    private static void Dots<T>(Tensor rows, Tensor vector, Span<double> result)
        where T : struct, IRowKernel
    {
        byte* row = Address(rows);
        byte* x = Address(vector);
        long size = vector.NumberOfElements;
        int count = result.Length;
        int blocks = Blocks(size);
        double[] partial = new double[(long)blocks * count];
        ForBlocks(blocks, block =>
        {
            Span<double> sums = partial.AsSpan(block * count, count);
            long end = Math.Min(size, (block + 1L) * BlockSize);
            for (long start = (long)block * BlockSize; start < end; start += LongTileBytes / T.RowElementSize)
            {
                int length = (int)Math.Min(LongTileBytes / T.RowElementSize, end - start);
                DotTile<T>(row + start * T.RowElementSize, size, x + start * T.VectorElementSize, length, sums);
            }
        });

        for (int block = 0; block < blocks; block++)
        {
            for (int i = 0; i < count; i++)
            {
                result[i] += partial[block * count + i];
            }
        }

        GC.KeepAlive(rows);
        GC.KeepAlive(vector);
    }

    private static void AddCombination<T>(Tensor rows, ReadOnlySpan<double> coefficients, Tensor vector)
        where T : struct, IRowKernel
    {
        byte* row = Address(rows);
        byte* y = Address(vector);
        long size = vector.NumberOfElements;
        double[] factors = coefficients.ToArray();
        ForBlocks(Blocks(size), block =>
        {
            long end = Math.Min(size, (block + 1L) * BlockSize);
            for (long start = (long)block * BlockSize; start < end; start += LongTileBytes / T.RowElementSize)
            {
                int length = (int)Math.Min(LongTileBytes / T.RowElementSize, end - start);
                AddTile<T>(factors, row + start * T.RowElementSize, size, y + start * T.VectorElementSize, length);
            }
        });
        GC.KeepAlive(rows);
        GC.KeepAlive(vector);
    }

    /// <summary>Adds the inner products of a tile of all rows with the same tile of a vector to the sums, one for each row.</summary>
    /// <param name="rows">Where the first row's tile begins.</param>
    /// <param name="size">Elements of a row.</param>
    /// <param name="vector">Where the vector's tile begins.</param>
    /// <param name="count">Elements of the tile.</param>
    /// <param name="sums">The sums.</param>
    /// <param name="inRuns">Whether products add up in float32 over short runs, where rows are not in float64.</param>
    public static void DotTile<T>(byte* rows, long size, byte* vector, int count, Span<double> sums, bool inRuns = false)
        where T : struct, IRowKernel
    {
        long stride = size * T.RowElementSize;
        int i = 0;
        for (; i <= sums.Length - RowGroups.Rows; i += RowGroups.Rows)
        {
            Span<double> group = sums.Slice(i, RowGroups.Rows);
            if (inRuns)
            {
                T.DotGroupInRuns(rows + (i * stride), stride, vector, count, group);
            }
            else
            {
                T.DotGroup(rows + (i * stride), stride, vector, count, group);
            }
        }

        for (; i < sums.Length; i++)
        {
            sums[i] += T.Dot(rows + (i * stride), vector, count);
        }
    }

    /// <summary>Adds a combination of a tile of all rows to the same tile of a vector.</summary>
    /// <param name="factors">One for each row.</param>
    /// <param name="rows">Where the first row's tile begins.</param>
    /// <param name="size">Elements of a row.</param>
    /// <param name="vector">Where the vector's tile begins.</param>
    /// <param name="count">Elements of the tile.</param>
    public static void AddTile<T>(ReadOnlySpan<double> factors, byte* rows, long size, byte* vector, int count)
        where T : struct, IRowKernel
    {
        long stride = size * T.RowElementSize;
        int i = 0;
        for (; i <= factors.Length - RowGroups.Rows; i += RowGroups.Rows)
        {
            T.AddGroup(factors.Slice(i, RowGroups.Rows), rows + (i * stride), stride, vector, count);
        }

        for (; i < factors.Length; i++)
        {
            T.Add(factors[i], rows + (i * stride), vector, count);
        }
    }

    /// <summary>The number of blocks of a vector.</summary>
    public static int Blocks(long size) => checked((int)((size + BlockSize - 1) / BlockSize));

    /// <summary>Works on all blocks, on as many threads as torch would use.</summary>
    public static void ForBlocks(int blocks, Action<int> action)
    {
        int threads = Math.Min(get_num_threads(), blocks);
        if (threads <= 1)
        {
            for (int block = 0; block < blocks; block++)
            {
                action(block);
            }
        }
        else
        {
            Parallel.For(0, blocks, new ParallelOptions { MaxDegreeOfParallelism = threads }, action);
        }
    }

    /// <summary>Where a vector begins if it lies in host memory, for vectors that stay where they are; else, or where it is empty, 0.</summary>
    public static IntPtr AddressOrZero(Tensor vector) =>
        vector.device_type == DeviceType.CPU && vector.NumberOfElements > 0 ? (IntPtr)Address(vector) : IntPtr.Zero;

    /// <summary>An element of a vector that begins at an address; null where there is none.</summary>
    public static T* At<T>(IntPtr address, long start)
        where T : unmanaged => address == IntPtr.Zero ? null : (T*)address + start;

    /// <summary>Where a tensor in host memory without gaps begins.</summary>
    public static byte* Address(Tensor tensor)
    {
        // A span is no larger than this; the view of one element can be had of any.
        if (tensor.NumberOfElements * tensor.ElementSize <= int.MaxValue)
        {
            return (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
        }

        using Tensor flat = tensor.view(-1);
        using Tensor first = flat.narrow(0, 0, 1);
        return (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}
