using System;
using System.Numerics;
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
    private const int BlockSize = 1 << 16;
    private const int TileSize = 1 << 12;

    private interface IKernel
    {
        static abstract int RowElementSize { get; }

        static abstract int VectorElementSize { get; }

        static abstract double Dot(byte* row, byte* vector, int count);

        static abstract void Add(double coefficient, byte* row, byte* vector, int count);
    }

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
        where T : struct, IKernel
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
            for (long start = (long)block * BlockSize; start < end; start += TileSize)
            {
                int length = (int)Math.Min(TileSize, end - start);
                for (int i = 0; i < count; i++)
                {
                    sums[i] += T.Dot(row + (i * size + start) * T.RowElementSize, x + start * T.VectorElementSize, length);
                }
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
        where T : struct, IKernel
    {
        byte* row = Address(rows);
        byte* y = Address(vector);
        long size = vector.NumberOfElements;
        double[] factors = coefficients.ToArray();
        ForBlocks(Blocks(size), block =>
        {
            long end = Math.Min(size, (block + 1L) * BlockSize);
            for (long start = (long)block * BlockSize; start < end; start += TileSize)
            {
                int length = (int)Math.Min(TileSize, end - start);
                for (int i = 0; i < factors.Length; i++)
                {
                    T.Add(factors[i], row + (i * size + start) * T.RowElementSize, y + start * T.VectorElementSize, length);
                }
            }
        });
        GC.KeepAlive(rows);
        GC.KeepAlive(vector);
    }

    private static int Blocks(long size) => checked((int)((size + BlockSize - 1) / BlockSize));

    private static void ForBlocks(int blocks, Action<int> action)
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

    // Through one element: the whole may be larger than a span can be.
    private static byte* Address(Tensor tensor)
    {
        using Tensor flat = tensor.view(-1);
        using Tensor first = flat.narrow(0, 0, 1);
        return (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }

    private readonly struct DoubleKernel : IKernel
    {
        public static int RowElementSize => sizeof(double);

        public static int VectorElementSize => sizeof(double);

        public static double Dot(byte* row, byte* vector, int count)
        {
            double* a = (double*)row;
            double* b = (double*)vector;
            Vector<double> even = default;
            Vector<double> odd = default;
            int i = 0;
            for (; i <= count - 2 * Vector<double>.Count; i += 2 * Vector<double>.Count)
            {
                even += Vector.Load(a + i) * Vector.Load(b + i);
                odd += Vector.Load(a + i + Vector<double>.Count) * Vector.Load(b + i + Vector<double>.Count);
            }

            double sum = Vector.Sum(even + odd);
            for (; i < count; i++)
            {
                sum += a[i] * b[i];
            }

            return sum;
        }

        public static void Add(double coefficient, byte* row, byte* vector, int count)
        {
            double* a = (double*)row;
            double* b = (double*)vector;
            int i = 0;
            for (; i <= count - Vector<double>.Count; i += Vector<double>.Count)
            {
                Vector.Store(Vector.Load(b + i) + coefficient * Vector.Load(a + i), b + i);
            }

            for (; i < count; i++)
            {
                b[i] += coefficient * a[i];
            }
        }
    }

    private readonly struct SingleKernel : IKernel
    {
        public static int RowElementSize => sizeof(float);

        public static int VectorElementSize => sizeof(float);

        public static double Dot(byte* row, byte* vector, int count)
        {
            float* a = (float*)row;
            float* b = (float*)vector;
            Vector<double> low = default;
            Vector<double> high = default;
            int i = 0;
            for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector.Widen(Vector.Load(a + i), out Vector<double> aLow, out Vector<double> aHigh);
                Vector.Widen(Vector.Load(b + i), out Vector<double> bLow, out Vector<double> bHigh);
                low += aLow * bLow;
                high += aHigh * bHigh;
            }

            double sum = Vector.Sum(low + high);
            for (; i < count; i++)
            {
                sum += (double)a[i] * b[i];
            }

            return sum;
        }

        public static void Add(double coefficient, byte* row, byte* vector, int count)
        {
            float factor = (float)coefficient;
            float* a = (float*)row;
            float* b = (float*)vector;
            int i = 0;
            for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector.Store(Vector.Load(b + i) + factor * Vector.Load(a + i), b + i);
            }

            for (; i < count; i++)
            {
                b[i] += factor * a[i];
            }
        }
    }

    private readonly struct BFloat16Kernel : IKernel
    {
        public static int RowElementSize => sizeof(ushort);

        public static int VectorElementSize => sizeof(float);

        public static double Dot(byte* row, byte* vector, int count)
        {
            ushort* a = (ushort*)row;
            float* b = (float*)vector;
            Vector<double> sums = default;
            int i = 0;
            for (; i <= count - Vector<ushort>.Count; i += Vector<ushort>.Count)
            {
                Vector.Widen(Vector.Load(a + i), out Vector<uint> first, out Vector<uint> second);
                sums += Dot(ToSingle(first), Vector.Load(b + i));
                sums += Dot(ToSingle(second), Vector.Load(b + i + Vector<float>.Count));
            }

            double sum = Vector.Sum(sums);
            for (; i < count; i++)
            {
                sum += (double)ToSingle(a[i]) * b[i];
            }

            return sum;
        }

        public static void Add(double coefficient, byte* row, byte* vector, int count)
        {
            float factor = (float)coefficient;
            ushort* a = (ushort*)row;
            float* b = (float*)vector;
            int i = 0;
            for (; i <= count - Vector<ushort>.Count; i += Vector<ushort>.Count)
            {
                Vector.Widen(Vector.Load(a + i), out Vector<uint> first, out Vector<uint> second);
                Vector.Store(Vector.Load(b + i) + factor * ToSingle(first), b + i);
                float* next = b + i + Vector<float>.Count;
                Vector.Store(Vector.Load(next) + factor * ToSingle(second), next);
            }

            for (; i < count; i++)
            {
                b[i] += factor * ToSingle(a[i]);
            }
        }

        private static Vector<double> Dot(Vector<float> a, Vector<float> b)
        {
            Vector.Widen(a, out Vector<double> aLow, out Vector<double> aHigh);
            Vector.Widen(b, out Vector<double> bLow, out Vector<double> bHigh);
            return aLow * bLow + aHigh * bHigh;
        }

        // A bfloat16 is the upper half of a float32.
        private static Vector<float> ToSingle(Vector<uint> halves) => Vector.AsVectorSingle(Vector.ShiftLeft(halves, 16));

        private static float ToSingle(ushort half) => BitConverter.UInt32BitsToSingle((uint)half << 16);
    }
}
