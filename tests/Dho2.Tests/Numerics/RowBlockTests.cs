using System;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Numerics;

public class RowBlockTests
{
    public static TheoryData<ScalarType, ScalarType, int> Cases
    {
        get
        {
            TheoryData<ScalarType, ScalarType, int> cases = [];
            foreach (int size in new[] { 0, 1, 7, 33, 4096, 70_001 })
            {
                cases.Add(ScalarType.Float32, ScalarType.Float32, size);
                cases.Add(ScalarType.Float64, ScalarType.Float64, size);
                cases.Add(ScalarType.BFloat16, ScalarType.Float32, size);
                cases.Add(ScalarType.Float64, ScalarType.Float32, size);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Sums_are_those_of_float64(ScalarType rowType, ScalarType vectorType, int size)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(size);
        Tensor rows = randn(7, size).to(rowType);
        Tensor vector = randn(size).to(vectorType);
        double[] expected = rows.to(ScalarType.Float64).mv(vector.to(ScalarType.Float64)).data<double>().ToArray();
        double[] actual = new double[7];
        RowBlock.LocalDots(rows, vector, actual);
        Compare.Near(expected, actual, 1e-13 * (size + 1));
        RowBlock.SlicedDots(rows, vector, actual);
        Compare.Near(expected, actual, 1e-13 * (size + 1));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Combinations_are_added_in_the_vectors_type(ScalarType rowType, ScalarType vectorType, int size)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(size);
        double[] factors = [0.5, -2, 0.25, 1, -0.125, 3, -0.75];
        Tensor rows = randn(7, size).to(rowType);
        Tensor vector = randn(size).to(vectorType);
        Tensor expected = vector.to(ScalarType.Float64) + rows.to(ScalarType.Float64).t().mv(tensor(factors));
        Tensor sliced = vector.clone();
        RowBlock.AddCombination(rows, factors, vector);
        RowBlock.SlicedAddCombination(rows, factors, sliced);
        double tolerance = vectorType == ScalarType.Float64 ? 1e-14 : 8e-6;
        Compare.Near(Numbers(expected), Numbers(vector), tolerance);
        Compare.Near(Numbers(expected), Numbers(sliced), tolerance);
    }

    /// <summary>A vector's product with itself has a pass of its own, which converts each element once.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Squares_add_up_in_float64(ScalarType type, ScalarType other, int size)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(size);
        Tensor vector = (1e25 * randn(size, ScalarType.Float64)).to(type == ScalarType.BFloat16 ? other : type);
        double expected = vector.to(ScalarType.Float64).square().sum().item<double>();
        double[] actual = new double[1];
        RowBlock.LocalDot(vector, vector, actual);
        Assert.Equal(expected, actual[0], 1e-13 * (expected + 1));
    }

    /// <summary>Where products add up in float32 at first, the error is within its bound, and in float64 there is none of it.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public unsafe void Sums_in_runs_are_within_their_bound(ScalarType rowType, ScalarType vectorType, int size)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(size);
        Tensor rows = randn(7, size).to(rowType);
        Tensor vector = randn(size).to(vectorType);
        if (size == 0 || !HostRows.Supports(rows, vector))
        {
            return;
        }

        Tensor products = rows.to(ScalarType.Float64) * vector.to(ScalarType.Float64);
        double[] expected = products.sum(1).data<double>().ToArray();
        double[] magnitudes = products.abs().sum(1).data<double>().ToArray();
        double[] actual = new double[7];
        byte* first = HostRows.Address(rows);
        byte* second = HostRows.Address(vector);
        switch (rowType)
        {
            case ScalarType.Float32:
                HostRows.DotTile<SingleKernel>(first, size, second, size, actual, inRuns: true);
                break;
            case ScalarType.BFloat16:
                HostRows.DotTile<BFloat16Kernel>(first, size, second, size, actual, inRuns: true);
                break;
            default:
                HostRows.DotTile<DoubleKernel>(first, size, second, size, actual, inRuns: true);
                break;
        }

        for (int i = 0; i < actual.Length; i++)
        {
            double bound = rowType == ScalarType.Float64 ? 1e-14 : 17 * Math.ScaleB(1, -24);
            Assert.InRange(actual[i], expected[i] - (bound * magnitudes[i]) - 1e-300, expected[i] + (bound * magnitudes[i]) + 1e-300);
        }
    }

    /// <summary>Vectors of either width do the same, whichever of them this machine's passes use.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public unsafe void The_width_of_vectors_does_not_show(ScalarType rowType, ScalarType vectorType, int size)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(size);
        Tensor rows = randn(RowGroups.Rows, size).to(rowType);
        Tensor vector = randn(size).to(vectorType);
        if (size == 0 || vectorType != ScalarType.Float32 || !HostRows.Supports(rows, vector))
        {
            return;
        }

        if (rowType == ScalarType.BFloat16)
        {
            Check<RowGroups.OfBFloat16>();
        }
        else
        {
            Check<RowGroups.OfSingle>();
        }

        void Check<TRow>()
            where TRow : struct, ISingles, IDoubles
        {
            byte* first = HostRows.Address(rows);
            byte* x = HostRows.Address(vector);
            long stride = (long)size * TRow.Size;
            double[] narrow = new double[RowGroups.Rows], wide = new double[RowGroups.Rows];
            RowGroups.DotInRuns<TRow>(first, stride, x, size, narrow, isWide: false);
            RowGroups.DotInRuns<TRow>(first, stride, x, size, wide, isWide: true);
            double[] magnitudes = (rows.to(ScalarType.Float64) * vector.to(ScalarType.Float64)).abs().sum(1).data<double>().ToArray();
            for (int i = 0; i < narrow.Length; i++)
            {
                Assert.Equal(narrow[i], wide[i], 34 * Math.ScaleB(1, -24) * magnitudes[i]);
            }

            double[] factors = [0.5, -2, 0.25, 3];
            Tensor other = vector.clone();
            RowGroups.AddSingles<TRow>(factors, first, stride, x, size, isWide: false);
            RowGroups.AddSingles<TRow>(factors, first, stride, HostRows.Address(other), size, isWide: true);
            Assert.Equal(Numbers(vector), Numbers(other));
        }
    }

    [Fact]
    public void The_number_of_threads_does_not_show()
    {
        using DisposeScope scope = NewDisposeScope();
        int threads = get_num_threads();
        Tensor rows = randn(4, 400_000);
        Tensor vector = randn(400_000);
        double[] one = new double[4];
        double[] many = new double[4];
        try
        {
            set_num_threads(1);
            RowBlock.LocalDots(rows, vector, one);
            set_num_threads(4);
            RowBlock.LocalDots(rows, vector, many);
        }
        finally
        {
            set_num_threads(threads);
        }

        Assert.Equal(one, many);
    }

    [Fact]
    public void Shapes_that_do_not_belong_together_are_refused()
    {
        using Tensor rows = zeros(2, 5);
        using Tensor vector = zeros(4);
        ArgumentException error = Assert.Throws<ArgumentException>(() => RowBlock.LocalDots(rows, vector, new double[2]));
        Assert.Contains("(2, 5)", error.Message);
        Assert.Contains("(4)", error.Message);
    }

    private static double[] Numbers(Tensor tensor) => tensor.to(ScalarType.Float64).data<double>().ToArray();
}
