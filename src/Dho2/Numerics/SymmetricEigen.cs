using System;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Dho2.Numerics;

/// <summary>
/// Eigenvalues and eigenvectors of a small dense symmetric matrix in float64: Householder reduction to tridiagonal form,
/// then the QL iteration with implicit shifts (Golub and Van Loan, sections 8.3.1 and 8.3.3). It is our own because all
/// ranks decide upon its result: plain arithmetic in a fixed order gives every one of them the same bits.
/// </summary>
internal static class SymmetricEigen
{
    private const int MaxSweeps = 60;

    /// <summary>Decomposes a symmetric matrix.</summary>
    /// <param name="matrix">The matrix, n rows of n numbers; overwritten.</param>
    /// <returns>The eigenvalues in ascending order, and for each its eigenvector of norm 1.</returns>
    /// <exception cref="ArithmeticException">An eigenvalue did not settle, which finite numbers do not bring about.</exception>
    public static (double[] Values, double[][] Vectors) Decompose(double[][] matrix)
    {
        int n = matrix.Length;
        double[][] vectors = new double[n][];
        for (int i = 0; i < n; i++)
        {
            vectors[i] = new double[n];
            vectors[i][i] = 1;
        }

        double[] diagonal = new double[n];
        double[] off = new double[n];
        Tridiagonalise(matrix, vectors);
        double norm = 0;
        for (int i = 0; i < n; i++)
        {
            diagonal[i] = matrix[i][i];
            off[i] = i + 1 < n ? matrix[i][i + 1] : 0;
            norm = Math.Max(norm, Math.Abs(diagonal[i]) + Math.Abs(off[i]));
        }

        for (int first = 0; first < n; first++)
        {
            Settle(first, diagonal, off, vectors, Math.ScaleB(norm, -53));
        }

        Array.Sort(diagonal, vectors);
        return (diagonal, vectors);
    }

    // Reflections from both sides clear column after column below its first subdiagonal; their product goes to the rows
    // of "vectors". A column that is clear already, as all are where Lanczos ran undisturbed, costs nothing.
    private static void Tridiagonalise(double[][] a, double[][] vectors)
    {
        int n = a.Length;
        double[] v = new double[n];
        double[] w = new double[n];
        for (int k = 0; k + 2 < n; k++)
        {
            double rest = 0;
            for (int i = k + 2; i < n; i++)
            {
                rest += a[k][i] * a[k][i];
            }

            if (rest == 0)
            {
                continue;
            }

            double head = a[k][k + 1];
            double length = Math.Sqrt(head * head + rest);
            double image = head > 0 ? -length : length;
            Array.Clear(v);
            Array.Copy(a[k], k + 1, v, k + 1, n - k - 1);
            v[k + 1] -= image;
            double factor = 2 / (rest + v[k + 1] * v[k + 1]);

            // A - v w' - w v' with w = factor A v - (factor / 2)(v' factor A v) v.
            double inner = 0;
            for (int i = k + 1; i < n; i++)
            {
                w[i] = factor * Dot(a[i], v);
                inner += w[i] * v[i];
            }

            for (int i = k + 1; i < n; i++)
            {
                w[i] -= factor / 2 * inner * v[i];
            }

            for (int i = k + 1; i < n; i++)
            {
                for (int j = k + 1; j < n; j++)
                {
                    a[i][j] -= v[i] * w[j] + w[i] * v[j];
                }
            }

            Array.Clear(a[k], k + 1, n - k - 1);
            a[k][k + 1] = image;
            for (int i = k + 1; i < n; i++)
            {
                a[i][k] = 0;
            }

            a[k + 1][k] = image;
            Reflect(vectors, v, k + 1, factor, w);
        }
    }

    private static void Reflect(double[][] rows, double[] v, int first, double factor, double[] work)
    {
        Array.Clear(work);
        for (int i = first; i < rows.Length; i++)
        {
            for (int j = 0; j < work.Length; j++)
            {
                work[j] += v[i] * rows[i][j];
            }
        }

        for (int i = first; i < rows.Length; i++)
        {
            for (int j = 0; j < work.Length; j++)
            {
                rows[i][j] -= factor * v[i] * work[j];
            }
        }
    }

    // Shifted QL sweeps over the unreduced block that starts at "first", until that eigenvalue stands alone.
    private static void Settle(int first, double[] diagonal, double[] off, double[][] vectors, double negligible)
    {
        for (int sweep = 0; ; sweep++)
        {
            int last = first;
            while (last + 1 < diagonal.Length && Math.Abs(off[last]) > negligible)
            {
                last++;
            }

            if (last == first)
            {
                return;
            }

            if (sweep == MaxSweeps)
            {
                throw new ArithmeticException($"Eigenvalue {first} of {diagonal.Length} did not settle in {MaxSweeps} sweeps.");
            }

            // Wilkinson's shift: the eigenvalue of the leading 2 x 2 block that is nearer to its first element.
            double half = (diagonal[first + 1] - diagonal[first]) / (2 * off[first]);
            double shift = diagonal[first] - off[first] / (half + Math.CopySign(Math.Sqrt(half * half + 1), half));
            double bulge = diagonal[last] - shift;
            double sine = 1;
            double cosine = 1;
            double moved = 0;
            int i = last - 1;
            for (; i >= first; i--)
            {
                double f = sine * off[i];
                double b = cosine * off[i];
                double radius = Math.Sqrt(f * f + bulge * bulge);
                off[i + 1] = radius;
                if (radius == 0)
                {
                    diagonal[i + 1] -= moved;
                    off[last] = 0;
                    break;
                }

                sine = f / radius;
                cosine = bulge / radius;
                double rest = diagonal[i + 1] - moved;
                double mix = (diagonal[i] - rest) * sine + 2 * cosine * b;
                moved = sine * mix;
                diagonal[i + 1] = rest + moved;
                bulge = cosine * mix - b;
                Rotate(vectors[i], vectors[i + 1], cosine, sine);
            }

            if (i < first)
            {
                diagonal[first] -= moved;
                off[first] = bulge;
                off[last] = 0;
            }
        }
    }

    private static void Rotate(double[] lower, double[] upper, double cosine, double sine)
    {
        Span<Vector<double>> a = MemoryMarshal.Cast<double, Vector<double>>(lower.AsSpan());
        Span<Vector<double>> b = MemoryMarshal.Cast<double, Vector<double>>(upper.AsSpan());
        for (int i = 0; i < a.Length; i++)
        {
            Vector<double> t = b[i];
            b[i] = sine * a[i] + cosine * t;
            a[i] = cosine * a[i] - sine * t;
        }

        for (int i = a.Length * Vector<double>.Count; i < lower.Length; i++)
        {
            double t = upper[i];
            upper[i] = sine * lower[i] + cosine * t;
            lower[i] = cosine * lower[i] - sine * t;
        }
    }

    private static double Dot(double[] a, double[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }
}
