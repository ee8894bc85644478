using System;
using TorchSharp;

namespace Dho2.Optimizers;

/// <summary>How the Newton part's direction is accumulated over steps.</summary>
public enum NewtonMomentum
{
    /// <summary>As the base accumulates: none for gradient descent, a sum for momentum, Nesterov's look-ahead for Nesterov, a mean for Adam.</summary>
    LikeBase,

    /// <summary>The gradient of this step alone: <c>vel = g1</c>.</summary>
    None,

    /// <summary>A decaying sum: <c>vel = g1 + d vel</c>.</summary>
    Sum,

    /// <summary>A decaying sum with look-ahead: <c>vel = (1 + d) g1 + d^2 vel</c>.</summary>
    LookAhead,

    /// <summary>A running mean: <c>vel = (1 - d) g1 + d vel</c>.</summary>
    Mean,
}

/// <summary>How an eigenvalue and the weight of a proximal term make a rate.</summary>
public enum NewtonRates
{
    /// <summary><c>1 / (max(|lambda|, floor) + sigma)</c>: negative curvature is as steep as positive.</summary>
    Magnitude,

    /// <summary><c>|1 / (lambda + sigma)|</c>: the published DHO2 program's, unbounded where lambda is near -sigma.</summary>
    Shifted,
}

/// <summary>The settings of <see cref="HybridOptimizer"/>.</summary>
public sealed record HybridSettings
{
    /// <summary>The first-order optimizer outside the subspace.</summary>
    public BaseKind Base { get; init; } = Defaults.Base;

    /// <summary>Its numbers.</summary>
    public BaseSettings BaseSettings { get; init; } = new();

    /// <summary>The base's rate at the start (lr_0); above 0.</summary>
    public double LearningRate { get; init; } = 0.01;

    /// <summary>The rate of the Newton part; at least 0, and 0 turns it off.</summary>
    public double Alpha { get; init; } = Defaults.Alpha;

    /// <summary>Whether alpha keeps its ratio to the learning rate as a schedule changes that.</summary>
    public bool AlphaFollowsSchedule { get; init; } = true;

    /// <summary>Decay of the Newton part's direction (d); in [0, 1).</summary>
    public double Decay { get; init; } = Defaults.Decay;

    /// <summary>How that direction is accumulated.</summary>
    public NewtonMomentum Momentum { get; init; } = NewtonMomentum.LikeBase;

    /// <summary>The largest factor by which the base rate is raised (c_max); at least 1, and 1 never raises it.</summary>
    public double MaxScale { get; init; } = Defaults.MaxScale;

    /// <summary>Eigenvalues count as at least this share of the largest by magnitude; at least 0.</summary>
    public double Floor { get; init; } = 1e-4;

    /// <summary>
    /// At a refresh, an eigenvalue's magnitude counts as at least this share of what it counted as before; in [0, 1), and 0,
    /// the default, for none. It guards against a curvature batch on which the loss has all but vanished, whose eigenvalues
    /// are orders of magnitude below those of the next batch.
    /// </summary>
    public double EigenvalueRetention { get; init; }

    /// <summary>How eigenvalues make rates.</summary>
    public NewtonRates Rates { get; init; } = NewtonRates.Magnitude;

    /// <summary>Added to the magnitude of every eigenvalue: the weight of a proximal term; at least 0.</summary>
    public double Sigma { get; init; }

    /// <summary>Gradients are scaled down to this global norm; 0 for no clipping.</summary>
    public double MaxGradientNorm { get; init; }

    /// <summary>Weight decay that counts as part of the loss (give the same to the estimator); at least 0.</summary>
    public double L2 { get; init; }

    /// <summary>Weight decay outside the loss (Loshchilov and Hutter 2019), of the base part; at least 0.</summary>
    public double WeightDecay { get; init; }

    /// <summary>The element type of the eigenvectors: null for the parameters' own, or bfloat16 for half of float32.</summary>
    public torch.ScalarType? VectorType { get; init; }

    /// <summary>The control experiment: random orthonormal directions in place of the eigenvectors.</summary>
    public bool RandomDirections { get; init; }

    /// <summary>The run's seed, for random directions.</summary>
    public long Seed { get; init; }

    /// <summary>The number of diagonal blocks that step side by side: 1 for a global subspace, the number of stages for one per stage.</summary>
    public int Blocks { get; init; } = 1;

    /// <summary>Allows an <see cref="Alpha"/> at which blocks that ignore their coupling can overshoot together.</summary>
    public bool AllowOvershoot { get; init; }

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="ArgumentException">A number is out of its range; the message names it and the range.</exception>
    public void Validate()
    {
        BaseSettings.Validate();
        Ranges.Require(LearningRate > 0 && double.IsFinite(LearningRate), $"LearningRate ({LearningRate}) must be above 0.");
        RequireAtLeastZero(Alpha, nameof(Alpha));
        Ranges.Require(Decay is >= 0 and < 1, $"Decay ({Decay}) must lie in [0, 1).");
        Ranges.Require(MaxScale >= 1, $"MaxScale ({MaxScale}) must be at least 1.");
        RequireAtLeastZero(Floor, nameof(Floor));
        Ranges.Require(EigenvalueRetention is >= 0 and < 1, $"EigenvalueRetention ({EigenvalueRetention}) must lie in [0, 1).");
        RequireAtLeastZero(Sigma, nameof(Sigma));
        RequireAtLeastZero(MaxGradientNorm, nameof(MaxGradientNorm));
        RequireAtLeastZero(L2, nameof(L2));
        RequireAtLeastZero(WeightDecay, nameof(WeightDecay));
        Ranges.Require(
            VectorType is null or torch.ScalarType.Float32 or torch.ScalarType.Float64 or torch.ScalarType.BFloat16,
            $"VectorType ({VectorType}) must be Float32, Float64 or BFloat16.");
        Ranges.Require(Blocks >= 1, $"Blocks ({Blocks}) must be at least 1.");

        // Blocks that each correct the whole of a shared error correct it Blocks times over.
        double limit = 2 * (1 + Decay);
        Ranges.Require(
            Blocks == 1 || AllowOvershoot || Alpha * Blocks < limit,
            $"With {Blocks} diagonal blocks Alpha ({Alpha}) must be below 2 (1 + Decay) / Blocks = {limit / Blocks}, or AllowOvershoot be set.");
    }

    private static void RequireAtLeastZero(double value, string name) =>
        Ranges.Require(value >= 0 && double.IsFinite(value), $"{name} ({value}) must be a number of at least 0.");
}
