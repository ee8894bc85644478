using System;
using TorchSharp;

namespace Dho2.Curvature;

/// <summary>How extreme eigenpairs of the Hessian are estimated.</summary>
public sealed record LanczosSettings
{
    /// <summary>Largest eigenpairs wanted (k); at least 0.</summary>
    public int Largest { get; init; } = Defaults.CurvatureRank;

    /// <summary>Smallest eigenpairs wanted (l); at least 0.</summary>
    public int Smallest { get; init; } = Defaults.CurvatureSmallest;

    /// <summary>The largest number of products of one estimate (m); null for <c>max(4 (k + l), 2 ln n)</c>. Never above n.</summary>
    public int? MaxOrder { get; init; }

    /// <summary>
    /// An estimate ends when the residual bound of every wanted pair is at most this times
    /// <c>max(|theta|, 0.01 |theta|max)</c>; at least 0.
    /// </summary>
    public double Tolerance { get; init; } = 1e-3;

    /// <summary>The norm of the noise added to a warm start, relative to the start's; at least 0.</summary>
    public double WarmStartNoise { get; init; } = 0.3;

    /// <summary>Whether an estimate starts from the previous eigenvectors.</summary>
    public bool WarmStart { get; init; } = true;

    /// <summary>Products spent on looking for eigenvalues that an early stop missed; 0 to trust it.</summary>
    public int CertificateProducts { get; init; } = 3;

    /// <summary>
    /// Before an estimate the previous one is tried, with one product and a certificate; it is kept if it is off by at most
    /// this, relative. 0, the default, always estimates anew.
    /// </summary>
    public double GateTolerance { get; init; }

    /// <summary>The element type of the basis: float32, or float64. Sums are accumulated in float64 in either case.</summary>
    public torch.ScalarType BasisType { get; init; } = torch.ScalarType.Float32;

    /// <summary>Weight decay that counts as part of the loss: <c>weight / 2 |theta|^2</c> adds <c>weight I</c> to the Hessian.</summary>
    public double L2 { get; init; }

    /// <summary>The run's seed, for random vectors.</summary>
    public long Seed { get; init; }

    /// <summary>The number of wanted eigenpairs (k + l).</summary>
    public int Count => Largest + Smallest;

    /// <summary>The largest number of products in a space of <paramref name="size"/> dimensions.</summary>
    /// <param name="size">The dimension of the space (n).</param>
    public int OrderFor(long size) =>
        (int)Math.Min(size, MaxOrder ?? Math.Max(4 * Count, (int)Math.Ceiling(2 * Math.Log(size))));

    /// <summary>Checks the settings against each other and the dimension of the space.</summary>
    /// <param name="size">The dimension of the space (n).</param>
    /// <exception cref="ArgumentException">A number is out of its range; the message names it and the range.</exception>
    public void Validate(long size)
    {
        Require(Largest >= 0 && Smallest >= 0 && Count >= 1, $"Largest ({Largest}) and Smallest ({Smallest}) must not be negative, nor both 0.");
        Require(Count <= size, $"{Largest} largest and {Smallest} smallest eigenpairs are wanted of a Hessian of {size} rows.");
        Require(MaxOrder is null || MaxOrder >= Count, $"MaxOrder ({MaxOrder}) must be at least Largest + Smallest ({Count}).");
        Require(Tolerance >= 0 && double.IsFinite(Tolerance), $"Tolerance ({Tolerance}) must be a number of at least 0.");
        Require(WarmStartNoise >= 0 && double.IsFinite(WarmStartNoise), $"WarmStartNoise ({WarmStartNoise}) must be a number of at least 0.");
        Require(CertificateProducts >= 0, $"CertificateProducts ({CertificateProducts}) must be at least 0.");
        Require(GateTolerance >= 0 && double.IsFinite(GateTolerance), $"GateTolerance ({GateTolerance}) must be a number of at least 0.");
        Require(double.IsFinite(L2) && L2 >= 0, $"L2 ({L2}) must be a number of at least 0.");
        Require(
            BasisType is torch.ScalarType.Float32 or torch.ScalarType.Float64,
            $"BasisType ({BasisType}) must be Float32 or Float64.");
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new ArgumentException(message);
        }
    }
}
