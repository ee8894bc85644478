using System;
using System.Collections.Generic;

namespace Dho2.Curvature;

/// <summary>Why an estimate ended as it did.</summary>
public enum EstimateOutcome
{
    /// <summary>All wanted pairs met the tolerance, and no certificate was asked for or there was no room for one.</summary>
    Converged,

    /// <summary>All wanted pairs met the tolerance, and a search outside them found nothing that they miss.</summary>
    Certified,

    /// <summary>The limit on products was reached first; the bounds say how far the pairs are.</summary>
    OrderReached,

    /// <summary>The previous eigenpairs still describe the Hessian and stay.</summary>
    KeptByGate,

    /// <summary>A product was not finite; the previous eigenpairs stay.</summary>
    NotFinite,
}

/// <summary>The result of one estimate of the extreme spectrum, the same on every rank but for the shards.</summary>
public sealed record CurvatureEstimate
{
    /// <summary>Why it ended.</summary>
    public required EstimateOutcome Outcome { get; init; }

    /// <summary>The new eigenpairs, owned by whoever takes the estimate; null where the previous ones stay.</summary>
    public required Subspace? Subspace { get; init; }

    /// <summary>The eigenvalues now in force, in the order of the rows; empty if there are none yet.</summary>
    public required IReadOnlyList<double> Eigenvalues { get; init; }

    /// <summary>A bound on the residual norm of each new eigenpair, <c>|H v - lambda v|</c>; empty where the previous ones stay.</summary>
    public required IReadOnlyList<double> ResidualBounds { get; init; }

    /// <summary>All Hessian-vector products of the estimate, those of gate and certificate included.</summary>
    public required int Products { get; init; }

    /// <summary>Products spent by the gate.</summary>
    public required int GateProducts { get; init; }

    /// <summary>Products spent by certificates.</summary>
    public required int CertificateProducts { get; init; }

    /// <summary>Invariant subspaces met on the way, after each of which the search went on from a random vector.</summary>
    public required int Breakdowns { get; init; }

    /// <summary>Estimates of this estimator, so far, that met a value that is not finite.</summary>
    public required int NonFiniteEstimates { get; init; }

    /// <summary>Time from start to result, in between included.</summary>
    public required TimeSpan Duration { get; init; }
}
