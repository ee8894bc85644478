using System;
using System.Collections.Generic;
using System.Linq;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>Symmetric matrices with known eigenpairs.</summary>
internal sealed class Spectrum
{
    private Spectrum(double[] values, double[][] vectors)
    {
        int[] order = [.. Enumerable.Range(0, values.Length).OrderBy(i => values[i])];
        Values = [.. order.Select(i => values[i])];
        Vectors = [.. order.Select(i => vectors[i])];
        Matrix = [.. Enumerable.Range(0, values.Length).Select(row =>
            Enumerable.Range(0, values.Length).Select(column =>
                Enumerable.Range(0, values.Length).Sum(k => values[k] * vectors[k][row] * vectors[k][column])).ToArray())];
    }

    /// <summary>Ascending.</summary>
    public double[] Values { get; }

    /// <summary>One for each value.</summary>
    public double[][] Vectors { get; }

    public double[][] Matrix { get; }

    /// <summary>A matrix with these eigenvalues and random eigenvectors.</summary>
    public static Spectrum Of(IReadOnlyList<double> values, int seed = 1)
    {
        using DisposeScope scope = NewDisposeScope();
        int n = values.Count;
        random.manual_seed(seed);
        double[] q = linalg.qr(randn(n, n, float64)).Q.contiguous().data<double>().ToArray();
        return new Spectrum([.. values], [.. Enumerable.Range(0, n).Select(i => q[(i * n)..((i + 1) * n)])]);
    }

    /// <summary>The same eigenvectors with other eigenvalues, given in the order of <see cref="Values"/>.</summary>
    public Spectrum With(Func<double, int, double> change) => new([.. Values.Select(change)], Vectors);

    /// <summary>The named families.</summary>
    public static Spectrum Named(string name, int n) => Of([.. Enumerable.Range(0, n).Select(i => name switch
    {
        "decaying" => Math.Pow(0.8, i),
        "clustered" => i < 5 ? 10 + (0.01 * i) : 1.0 / (i + 1),
        "duplicate" => i < 3 ? 7 : i < 5 ? 3 : Math.Pow(0.7, i),
        "singular" => i < n / 3 ? 1 + i : 0,
        "indefinite" => i - (n / 2.0) + (i == 0 ? -8 : 0),
        "constant" => 2,
        "zero" => 0,
        _ => throw new ArgumentException(name),
    })]);
}
