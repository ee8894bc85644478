using System;
using System.Collections.Generic;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// Tries whether eigenpairs still describe the Hessian, with a few products. A subspace that has turned shows in the part
/// of <c>H x</c> outside it, growth of the whole spectrum in <c>&lt;x, H x&gt;</c>, an eigenvalue that has risen elsewhere
/// in a few Lanczos steps on the complement.
/// </summary>
internal sealed class StalenessGate(ShardedSpace space, Subspace previous, double tolerance)
{
    private const int ComplementProducts = 3;

    /// <summary>Why the eigenpairs stay; null if they are stale.</summary>
    public EstimateOutcome? Decision { get; private set; }

    /// <summary>Runs the trial; yields after every product.</summary>
    public IEnumerator<bool> Run(LanczosEstimator products)
    {
        double[] weights = new double[previous.Count];
        using (Tensor probe = products.DrawRandom().clone().DetachFromDisposeScope())
        {
            space.Project(previous.Vectors, probe, weights);
            probe.fill_(0);
            space.AddCombination(previous.Vectors, weights, probe);
            Tensor product = products.Multiply(probe);
            double rayleigh = space.Dot(probe, product);
            double length = space.Norm(product);
            Orthogonaliser.Apply(space, previous.Vectors, product);
            double outside = space.Norm(product);
            if (!double.IsFinite(length) || !double.IsFinite(rayleigh))
            {
                Decision = EstimateOutcome.NotFinite;
            }
            else if (outside <= tolerance * length && Agrees(rayleigh, weights))
            {
                Decision = EstimateOutcome.KeptByGate;
            }
        }

        yield return true;
        int room = (int)Math.Min(ComplementProducts, space.Size - previous.Count);
        if (Decision != EstimateOutcome.KeptByGate || room == 0)
        {
            yield break;
        }

        using KrylovBasis basis = new(space, room, products.BasisType);
        while (basis.Multiplied < room)
        {
            if (basis.NextPending(last: true) < 0)
            {
                Tensor start = products.DrawRandom();
                Orthogonaliser.Apply(space, previous.Vectors, start);
                if (!basis.TryAppend(start))
                {
                    break;
                }
            }

            if (!products.TryMultiply(basis, basis.NextPending(last: true), previous))
            {
                Decision = EstimateOutcome.NotFinite;
                yield break;
            }

            yield return true;
        }

        if (basis.Multiplied > 0 && !Bounds(basis.Solve(1, 1)))
        {
            Decision = null;
        }
    }

    private bool Agrees(double rayleigh, double[] weights)
    {
        double expected = 0;
        double size = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            expected += weights[i] * weights[i] * previous.Eigenvalues[i];
            size += weights[i] * weights[i] * Math.Abs(previous.Eigenvalues[i]);
        }

        return Math.Abs(rayleigh - expected) <= tolerance * size;
    }

    // The extremes of the complement against the innermost kept values.
    private bool Bounds(RitzPairs complement)
    {
        double spread = Math.Max(Math.Abs(previous.Eigenvalues[0]), Math.Abs(previous.Eigenvalues[^1]));
        bool below = previous.Largest == 0 || complement.Values[1] <= WithMargin(previous.Eigenvalues[previous.Smallest], 1);
        bool above = previous.Smallest == 0 || complement.Values[0] >= WithMargin(previous.Eigenvalues[previous.Smallest - 1], -1);
        return below && above;

        double WithMargin(double value, int sign) => value + sign * tolerance * Math.Max(Math.Abs(value), 0.01 * spread);
    }
}
