using System;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Dho2.Numerics;

/// <summary>
/// What a pass does with a stretch of one row and the same stretch of a vector. Implementations skip the tiers of the
/// just-in-time compiler: unoptimised, a vector operation is a call.
/// </summary>
internal unsafe interface IRowKernel
{
    /// <summary>Bytes of a row's element.</summary>
    static abstract int RowElementSize { get; }

    /// <summary>Bytes of a vector's element.</summary>
    static abstract int VectorElementSize { get; }

    /// <summary>Their inner product, accumulated in float64.</summary>
    static abstract double Dot(byte* row, byte* vector, int count);

    /// <summary>Adds a multiple of the row to the vector.</summary>
    static abstract void Add(double coefficient, byte* row, byte* vector, int count);

    /// <summary>Adds the inner products of <see cref="RowGroups.Rows"/> rows, so many bytes apart, with the vector to as many sums.</summary>
    static abstract void DotGroup(byte* rows, long stride, byte* vector, int count, Span<double> sums);

    /// <summary>The same, where rows are not in float64 with products added up in float32 over short runs.</summary>
    static abstract void DotGroupInRuns(byte* rows, long stride, byte* vector, int count, Span<double> sums);

    /// <summary>Adds a combination of <see cref="RowGroups.Rows"/> rows, so many bytes apart, to the vector.</summary>
    static abstract void AddGroup(ReadOnlySpan<double> coefficients, byte* rows, long stride, byte* vector, int count);
}

/// <summary>Rows and vector in float64.</summary>
internal readonly unsafe struct DoubleKernel : IRowKernel
{
    public static int RowElementSize => sizeof(double);

    public static int VectorElementSize => sizeof(double);

    public static void DotGroup(byte* rows, long stride, byte* vector, int count, Span<double> sums) =>
        RowGroups.Dot<RowGroups.OfDouble, RowGroups.OfDouble>(rows, stride, vector, count, sums);

    public static void DotGroupInRuns(byte* rows, long stride, byte* vector, int count, Span<double> sums) =>
        DotGroup(rows, stride, vector, count, sums);

    public static void AddGroup(ReadOnlySpan<double> coefficients, byte* rows, long stride, byte* vector, int count) =>
        RowGroups.AddDoubles(coefficients, rows, stride, vector, count);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

/// <summary>Rows and vector in float32.</summary>
internal readonly unsafe struct SingleKernel : IRowKernel
{
    public static int RowElementSize => sizeof(float);

    public static int VectorElementSize => sizeof(float);

    public static void DotGroup(byte* rows, long stride, byte* vector, int count, Span<double> sums) =>
        RowGroups.Dot<RowGroups.OfSingle, RowGroups.OfSingle>(rows, stride, vector, count, sums);

    public static void DotGroupInRuns(byte* rows, long stride, byte* vector, int count, Span<double> sums) =>
        RowGroups.DotInRuns<RowGroups.OfSingle>(rows, stride, vector, count, sums);

    public static void AddGroup(ReadOnlySpan<double> coefficients, byte* rows, long stride, byte* vector, int count) =>
        RowGroups.AddSingles<RowGroups.OfSingle>(coefficients, rows, stride, vector, count);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Dot(byte* row, byte* vector, int count)
    {
        if (row == vector)
        {
            return RowGroups.SumOfSquares((float*)row, count);
        }

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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

/// <summary>Rows in bfloat16, the vector in float32.</summary>
internal readonly unsafe struct BFloat16Kernel : IRowKernel
{
    public static int RowElementSize => sizeof(ushort);

    public static int VectorElementSize => sizeof(float);

    public static void DotGroup(byte* rows, long stride, byte* vector, int count, Span<double> sums) =>
        RowGroups.Dot<RowGroups.OfBFloat16, RowGroups.OfSingle>(rows, stride, vector, count, sums);

    public static void DotGroupInRuns(byte* rows, long stride, byte* vector, int count, Span<double> sums) =>
        RowGroups.DotInRuns<RowGroups.OfBFloat16>(rows, stride, vector, count, sums);

    public static void AddGroup(ReadOnlySpan<double> coefficients, byte* rows, long stride, byte* vector, int count) =>
        RowGroups.AddSingles<RowGroups.OfBFloat16>(coefficients, rows, stride, vector, count);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
