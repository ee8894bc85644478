using System;
using System.Linq;
using Dho2.Curvature;

namespace Dho2.Tests.Optimizers;

internal static class Estimates
{
    /// <summary>An estimate as if Lanczos had found this subspace.</summary>
    public static CurvatureEstimate Of(Subspace? subspace) => new()
    {
        Outcome = subspace is null ? EstimateOutcome.KeptByGate : EstimateOutcome.Certified,
        Subspace = subspace,
        Eigenvalues = subspace?.Eigenvalues ?? [],
        ResidualBounds = subspace?.Eigenvalues.Select(_ => 0.0).ToArray() ?? [],
        Products = 0,
        GateProducts = 0,
        CertificateProducts = 0,
        Breakdowns = 0,
        NonFiniteEstimates = 0,
        Duration = TimeSpan.Zero,
    };
}
