using System;
using System.Linq;
using Dho2.Numerics;
using static TorchSharp.torch;

namespace Dho2.Tests.Numerics;

public class SymmetricEigenTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(17)]
    [InlineData(120)]
    public void A_random_matrix_is_decomposed(int size)
    {
        Random random = new(size);
        Check(Symmetric(size, (_, _) => random.NextDouble() - 0.5));
    }

    [Fact]
    public void A_tridiagonal_matrix_is_decomposed()
    {
        Random random = new(3);
        Check(Symmetric(60, (i, j) => Math.Abs(i - j) > 1 ? 0 : random.NextDouble()));
    }

    [Fact]
    public void A_block_diagonal_matrix_is_decomposed() => Check(Symmetric(20, (i, j) => i / 5 == j / 5 ? 1.0 / (1 + i + j) : 0));

    [Fact]
    public void Equal_and_zero_eigenvalues_are_found() => Check(Symmetric(9, (i, j) => i == j ? i / 3 : 0));

    [Fact]
    public void Wildly_different_magnitudes_are_kept() => Check(Symmetric(12, (i, j) => Math.Pow(10, -(i + j) / 2.0) * (i == j ? 2 : 1)));

    [Fact]
    public void Equal_input_gives_equal_bits()
    {
        Random random = new(8);
        double[][] matrix = Symmetric(30, (_, _) => random.NextDouble());
        (double[] values, double[][] vectors) = SymmetricEigen.Decompose(Copy(matrix));
        (double[] again, double[][] vectorsAgain) = SymmetricEigen.Decompose(Copy(matrix));
        Assert.Equal(values, again);
        Assert.Equal(vectors, vectorsAgain);
    }

    private static void Check(double[][] matrix)
    {
        int n = matrix.Length;
        double[] flat = [.. matrix.SelectMany(row => row)];
        using Tensor dense = tensor(flat).view(n, n);
        using Tensor expected = linalg.eigvalsh(dense);
        (double[] values, double[][] vectors) = SymmetricEigen.Decompose(Copy(matrix));
        double norm = matrix.Max(row => row.Sum(Math.Abs));
        Compare.Near(expected.data<double>().ToArray(), values, 1e-14 * n * norm);
        for (int i = 0; i < n; i++)
        {
            double[] image = [.. matrix.Select(row => Dot(row, vectors[i]))];
            Compare.Near([.. vectors[i].Select(v => values[i] * v)], image, 1e-14 * n * norm);
            for (int j = 0; j <= i; j++)
            {
                Assert.Equal(i == j ? 1 : 0, Dot(vectors[i], vectors[j]), 1e-14 * n);
            }
        }
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private static double[][] Copy(double[][] matrix) => [.. matrix.Select(row => row.ToArray())];

    private static double[][] Symmetric(int size, Func<int, int, double> element)
    {
        double[][] matrix = [.. Enumerable.Range(0, size).Select(_ => new double[size])];
        for (int i = 0; i < size; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                matrix[i][j] = matrix[j][i] = element(i, j);
            }
        }

        return matrix;
    }
}
