using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dho2.Numerics;

/// <summary>Elements of a row or a vector as float64, eight at a time.</summary>
internal unsafe interface IDoubles
{
    /// <summary>Elements i to i + 7.</summary>
    static abstract void Load(byte* from, int i, out Vector256<double> low, out Vector256<double> high);

    /// <summary>Element i.</summary>
    static abstract double At(byte* from, int i);
}

/// <summary>Elements of a row as float32, eight or sixteen at a time.</summary>
internal unsafe interface ISingles
{
    /// <summary>Elements i to i + 7.</summary>
    static abstract Vector256<float> Load(byte* from, int i);

    /// <summary>Elements i to i + 15.</summary>
    static abstract Vector512<float> LoadWide(byte* from, int i);

    /// <summary>Element i.</summary>
    static abstract float At(byte* from, int i);

    /// <summary>Bytes of an element.</summary>
    static abstract int Size { get; }
}

/// <summary>
/// What a pass does with four rows at once: each stretch of the vector is loaded, converted and stored once for all four,
/// so that the rows' way from memory is what takes the time.
/// </summary>
internal static unsafe class RowGroups
{
    /// <summary>The number of rows at once.</summary>
    public const int Rows = 4;

    private const int Lanes = 8;
    private const int Wide = 16;

    // Elements of a run: each of its sums, in 16 lanes or 32, has 16 products or 8.
    private const int Run = 256;

    /// <summary>Adds the inner products of four rows with a vector to four sums, accumulated in float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Dot<TRow, TVector>(byte* rows, long stride, byte* vector, int count, Span<double> sums)
        where TRow : struct, IDoubles
        where TVector : struct, IDoubles
    {
        byte* row1 = rows + stride;
        byte* row2 = row1 + stride;
        byte* row3 = row2 + stride;
        Vector256<double> low0 = default, high0 = default, low1 = default, high1 = default;
        Vector256<double> low2 = default, high2 = default, low3 = default, high3 = default;
        int i = 0;
        for (; i <= count - Lanes; i += Lanes)
        {
            TVector.Load(vector, i, out Vector256<double> xLow, out Vector256<double> xHigh);
            TRow.Load(rows, i, out Vector256<double> low, out Vector256<double> high);
            low0 = Vector256.MultiplyAddEstimate(low, xLow, low0);
            high0 = Vector256.MultiplyAddEstimate(high, xHigh, high0);
            TRow.Load(row1, i, out low, out high);
            low1 = Vector256.MultiplyAddEstimate(low, xLow, low1);
            high1 = Vector256.MultiplyAddEstimate(high, xHigh, high1);
            TRow.Load(row2, i, out low, out high);
            low2 = Vector256.MultiplyAddEstimate(low, xLow, low2);
            high2 = Vector256.MultiplyAddEstimate(high, xHigh, high2);
            TRow.Load(row3, i, out low, out high);
            low3 = Vector256.MultiplyAddEstimate(low, xLow, low3);
            high3 = Vector256.MultiplyAddEstimate(high, xHigh, high3);
        }

        double sum0 = Vector256.Sum(low0 + high0);
        double sum1 = Vector256.Sum(low1 + high1);
        double sum2 = Vector256.Sum(low2 + high2);
        double sum3 = Vector256.Sum(low3 + high3);
        for (; i < count; i++)
        {
            double x = TVector.At(vector, i);
            sum0 += TRow.At(rows, i) * x;
            sum1 += TRow.At(row1, i) * x;
            sum2 += TRow.At(row2, i) * x;
            sum3 += TRow.At(row3, i) * x;
        }

        sums[0] += sum0;
        sums[1] += sum1;
        sums[2] += sum2;
        sums[3] += sum3;
    }

    /// <summary>
    /// Adds the inner products of four rows with a vector to four sums. Over runs of 256 elements products add up in float32, at most sixteen to a lane,
    /// and from run to run in float64: without conversions of each element, memory and not arithmetic takes the time. The error is
    /// at most <c>17 * 2^-24</c> of the sum of the products' magnitudes.
    /// </summary>
    public static void DotInRuns<TRow>(byte* rows, long stride, byte* vector, int count, Span<double> sums)
        where TRow : struct, ISingles, IDoubles => DotInRuns<TRow>(rows, stride, vector, count, sums, Vector512.IsHardwareAccelerated);

    /// <summary>The same with vectors of 512 bits, or of 256.</summary>
    public static void DotInRuns<TRow>(byte* rows, long stride, byte* vector, int count, Span<double> sums, bool isWide)
        where TRow : struct, ISingles, IDoubles
    {
        int inRuns = count - (count % Run);
        if (isWide)
        {
            DotRunsOf512<TRow>(rows, stride, (float*)vector, inRuns, sums);
        }
        else
        {
            DotRunsOf256<TRow>(rows, stride, (float*)vector, inRuns, sums);
        }

        if (inRuns < count)
        {
            Dot<TRow, OfSingle>(rows + (inRuns * TRow.Size), stride, vector + (inRuns * sizeof(float)), count - inRuns, sums);
        }
    }

    /// <summary>The sum of a stretch's squares, accumulated in float64: the inner product with itself, for which each element is converted once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double SumOfSquares(float* values, int count)
    {
        Vector256<double> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        int i = 0;
        for (; i <= count - (2 * Lanes); i += 2 * Lanes)
        {
            OfSingle.Load((byte*)values, i, out Vector256<double> x0, out Vector256<double> x1);
            OfSingle.Load((byte*)values, i + Lanes, out Vector256<double> x2, out Vector256<double> x3);
            sum0 = Vector256.MultiplyAddEstimate(x0, x0, sum0);
            sum1 = Vector256.MultiplyAddEstimate(x1, x1, sum1);
            sum2 = Vector256.MultiplyAddEstimate(x2, x2, sum2);
            sum3 = Vector256.MultiplyAddEstimate(x3, x3, sum3);
        }

        double sum = Vector256.Sum(sum0 + sum1 + (sum2 + sum3));
        for (; i < count; i++)
        {
            sum += (double)values[i] * values[i];
        }

        return sum;
    }

    /// <summary>Adds a combination of four rows to a vector in float32.</summary>
    public static void AddSingles<TRow>(ReadOnlySpan<double> factors, byte* rows, long stride, byte* vector, int count)
        where TRow : struct, ISingles => AddSingles<TRow>(factors, rows, stride, vector, count, Vector512.IsHardwareAccelerated);

    /// <summary>The same with vectors of 512 bits, or of 256.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddSingles<TRow>(ReadOnlySpan<double> factors, byte* rows, long stride, byte* vector, int count, bool isWide)
        where TRow : struct, ISingles
    {
        byte* row1 = rows + stride;
        byte* row2 = row1 + stride;
        byte* row3 = row2 + stride;
        float* y = (float*)vector;
        (float f0, float f1, float f2, float f3) = ((float)factors[0], (float)factors[1], (float)factors[2], (float)factors[3]);
        int i = 0;
        if (isWide)
        {
            Vector512<float> w0 = Vector512.Create(f0), w1 = Vector512.Create(f1), w2 = Vector512.Create(f2), w3 = Vector512.Create(f3);
            for (; i <= count - Wide; i += Wide)
            {
                Vector512<float> sum = Vector512.MultiplyAddEstimate(w0, TRow.LoadWide(rows, i), Vector512.Load(y + i));
                sum = Vector512.MultiplyAddEstimate(w1, TRow.LoadWide(row1, i), sum);
                sum = Vector512.MultiplyAddEstimate(w2, TRow.LoadWide(row2, i), sum);
                Vector512.Store(Vector512.MultiplyAddEstimate(w3, TRow.LoadWide(row3, i), sum), y + i);
            }
        }

        Vector256<float> v0 = Vector256.Create(f0), v1 = Vector256.Create(f1), v2 = Vector256.Create(f2), v3 = Vector256.Create(f3);
        for (; i <= count - Lanes; i += Lanes)
        {
            Vector256<float> sum = Vector256.MultiplyAddEstimate(v0, TRow.Load(rows, i), Vector256.Load(y + i));
            sum = Vector256.MultiplyAddEstimate(v1, TRow.Load(row1, i), sum);
            sum = Vector256.MultiplyAddEstimate(v2, TRow.Load(row2, i), sum);
            Vector256.Store(Vector256.MultiplyAddEstimate(v3, TRow.Load(row3, i), sum), y + i);
        }

        for (; i < count; i++)
        {
            y[i] += (f0 * TRow.At(rows, i)) + (f1 * TRow.At(row1, i)) + (f2 * TRow.At(row2, i)) + (f3 * TRow.At(row3, i));
        }
    }

    /// <summary>Adds a combination of four rows to a vector, all in float64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddDoubles(ReadOnlySpan<double> factors, byte* rows, long stride, byte* vector, int count)
    {
        double* row0 = (double*)rows;
        double* row1 = (double*)(rows + stride);
        double* row2 = (double*)(rows + (2 * stride));
        double* row3 = (double*)(rows + (3 * stride));
        double* y = (double*)vector;
        Vector256<double> v0 = Vector256.Create(factors[0]), v1 = Vector256.Create(factors[1]), v2 = Vector256.Create(factors[2]), v3 = Vector256.Create(factors[3]);
        int i = 0;
        for (; i <= count - Vector256<double>.Count; i += Vector256<double>.Count)
        {
            Vector256<double> sum = Vector256.MultiplyAddEstimate(v0, Vector256.Load(row0 + i), Vector256.Load(y + i));
            sum = Vector256.MultiplyAddEstimate(v1, Vector256.Load(row1 + i), sum);
            sum = Vector256.MultiplyAddEstimate(v2, Vector256.Load(row2 + i), sum);
            Vector256.Store(Vector256.MultiplyAddEstimate(v3, Vector256.Load(row3 + i), sum), y + i);
        }

        for (; i < count; i++)
        {
            y[i] += (factors[0] * row0[i]) + (factors[1] * row1[i]) + (factors[2] * row2[i]) + (factors[3] * row3[i]);
        }
    }

    /// <summary>Elements in float64.</summary>
    public readonly struct OfDouble : IDoubles
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Load(byte* from, int i, out Vector256<double> low, out Vector256<double> high)
        {
            low = Vector256.Load((double*)from + i);
            high = Vector256.Load((double*)from + i + Vector256<double>.Count);
        }

        public static double At(byte* from, int i) => ((double*)from)[i];
    }

    /// <summary>Elements in float32.</summary>
    public readonly struct OfSingle : IDoubles, ISingles
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Load(byte* from, int i, out Vector256<double> low, out Vector256<double> high)
        {
            // Converted on their way from memory, which spares a shuffle.
            float* at = (float*)from + i;
            low = Widen(Vector128.Load(at));
            high = Widen(Vector128.Load(at + Vector128<float>.Count));
        }

        public static Vector256<float> Load(byte* from, int i) => Vector256.Load((float*)from + i);

        public static Vector512<float> LoadWide(byte* from, int i) => Vector512.Load((float*)from + i);

        static double IDoubles.At(byte* from, int i) => ((float*)from)[i];

        static float ISingles.At(byte* from, int i) => ((float*)from)[i];

        static int ISingles.Size => sizeof(float);
    }

    /// <summary>Elements in bfloat16: the upper halves of float32.</summary>
    public readonly struct OfBFloat16 : IDoubles, ISingles
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Load(byte* from, int i, out Vector256<double> low, out Vector256<double> high)
        {
            Vector256<float> singles = Load(from, i);
            low = Widen(singles.GetLower());
            high = Widen(singles.GetUpper());
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Load(byte* from, int i)
        {
            Vector128<ushort> halves = Vector128.Load((ushort*)from + i);
            Vector256<int> wide = Avx2.IsSupported
                ? Avx2.ConvertToVector256Int32(halves)
                : Vector256.Create(Vector128.WidenLower(halves), Vector128.WidenUpper(halves)).AsInt32();
            return Vector256.ShiftLeft(wide, 16).AsSingle();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> LoadWide(byte* from, int i)
        {
            Vector256<ushort> halves = Vector256.Load((ushort*)from + i);
            Vector512<int> wide = Avx512F.IsSupported
                ? Avx512F.ConvertToVector512Int32(halves)
                : Vector512.Create(Vector256.WidenLower(halves), Vector256.WidenUpper(halves)).AsInt32();
            return Vector512.ShiftLeft(wide, 16).AsSingle();
        }

        static double IDoubles.At(byte* from, int i) => ToSingle(((ushort*)from)[i]);

        static float ISingles.At(byte* from, int i) => ToSingle(((ushort*)from)[i]);

        static int ISingles.Size => sizeof(ushort);

        private static float ToSingle(ushort half) => BitConverter.UInt32BitsToSingle((uint)half << 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DotRunsOf256<TRow>(byte* rows, long stride, float* x, int count, Span<double> sums)
        where TRow : struct, ISingles
    {
        byte* row1 = rows + stride;
        byte* row2 = row1 + stride;
        byte* row3 = row2 + stride;
        Vector256<double> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        for (int i = 0; i < count; i += Run)
        {
            Vector256<float> even0 = default, odd0 = default, even1 = default, odd1 = default;
            Vector256<float> even2 = default, odd2 = default, even3 = default, odd3 = default;
            for (int j = i; j < i + Run; j += 2 * Lanes)
            {
                Vector256<float> even = Vector256.Load(x + j);
                Vector256<float> odd = Vector256.Load(x + j + Lanes);
                even0 = Vector256.MultiplyAddEstimate(TRow.Load(rows, j), even, even0);
                odd0 = Vector256.MultiplyAddEstimate(TRow.Load(rows, j + Lanes), odd, odd0);
                even1 = Vector256.MultiplyAddEstimate(TRow.Load(row1, j), even, even1);
                odd1 = Vector256.MultiplyAddEstimate(TRow.Load(row1, j + Lanes), odd, odd1);
                even2 = Vector256.MultiplyAddEstimate(TRow.Load(row2, j), even, even2);
                odd2 = Vector256.MultiplyAddEstimate(TRow.Load(row2, j + Lanes), odd, odd2);
                even3 = Vector256.MultiplyAddEstimate(TRow.Load(row3, j), even, even3);
                odd3 = Vector256.MultiplyAddEstimate(TRow.Load(row3, j + Lanes), odd, odd3);
            }

            sum0 += Widened(even0 + odd0);
            sum1 += Widened(even1 + odd1);
            sum2 += Widened(even2 + odd2);
            sum3 += Widened(even3 + odd3);
        }

        Add(sums, sum0, sum1, sum2, sum3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DotRunsOf512<TRow>(byte* rows, long stride, float* x, int count, Span<double> sums)
        where TRow : struct, ISingles
    {
        byte* row1 = rows + stride;
        byte* row2 = row1 + stride;
        byte* row3 = row2 + stride;
        Vector256<double> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        for (int i = 0; i < count; i += Run)
        {
            Vector512<float> even0 = default, odd0 = default, even1 = default, odd1 = default;
            Vector512<float> even2 = default, odd2 = default, even3 = default, odd3 = default;
            for (int j = i; j < i + Run; j += 2 * Wide)
            {
                Vector512<float> even = Vector512.Load(x + j);
                Vector512<float> odd = Vector512.Load(x + j + Wide);
                even0 = Vector512.MultiplyAddEstimate(TRow.LoadWide(rows, j), even, even0);
                odd0 = Vector512.MultiplyAddEstimate(TRow.LoadWide(rows, j + Wide), odd, odd0);
                even1 = Vector512.MultiplyAddEstimate(TRow.LoadWide(row1, j), even, even1);
                odd1 = Vector512.MultiplyAddEstimate(TRow.LoadWide(row1, j + Wide), odd, odd1);
                even2 = Vector512.MultiplyAddEstimate(TRow.LoadWide(row2, j), even, even2);
                odd2 = Vector512.MultiplyAddEstimate(TRow.LoadWide(row2, j + Wide), odd, odd2);
                even3 = Vector512.MultiplyAddEstimate(TRow.LoadWide(row3, j), even, even3);
                odd3 = Vector512.MultiplyAddEstimate(TRow.LoadWide(row3, j + Wide), odd, odd3);
            }

            sum0 += Widened(even0 + odd0);
            sum1 += Widened(even1 + odd1);
            sum2 += Widened(even2 + odd2);
            sum3 += Widened(even3 + odd3);
        }

        Add(sums, sum0, sum1, sum2, sum3);
    }

    private static void Add(Span<double> sums, Vector256<double> sum0, Vector256<double> sum1, Vector256<double> sum2, Vector256<double> sum3)
    {
        sums[0] += Vector256.Sum(sum0);
        sums[1] += Vector256.Sum(sum1);
        sums[2] += Vector256.Sum(sum2);
        sums[3] += Vector256.Sum(sum3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Widened(Vector512<float> values) => Widened(values.GetLower()) + Widened(values.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Widened(Vector256<float> values) => Widen(values.GetLower()) + Widen(values.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Widen(Vector128<float> values) => Avx.IsSupported
        ? Avx.ConvertToVector256Double(values)
        : Vector256.Create(Vector128.WidenLower(values), Vector128.WidenUpper(values));
}
