using System;
using System.Globalization;
using Dho2;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>Everything that determines one run of the experiment; equal settings give equal runs.</summary>
/// <param name="Task">The task's name.</param>
/// <param name="Base">The base optimizer.</param>
/// <param name="LearningRate">The base rate at the first step.</param>
/// <param name="Cosine">Whether the rate falls to 0 along a half cosine; otherwise it is constant.</param>
/// <param name="Seed">The seed of weights and sampling.</param>
/// <param name="Curvature">The curvature; null for the base alone.</param>
internal sealed record RunSettings(string Task, BaseKind Base, double LearningRate, bool Cosine, int Seed, CurvatureSettings? Curvature)
{
    /// <summary>A file name that tells the settings.</summary>
    public string Key => string.Create(CultureInfo.InvariantCulture,
        $"{Task}.{Base}.lr{LearningRate:g6}.{(Cosine ? "cosine" : "constant")}.{Curvature?.Key ?? "alone"}.seed{Seed}");
}

/// <summary>The factors that the experiment varies.</summary>
internal sealed record CurvatureSettings
{
    /// <summary>Steps between refreshes; <see cref="int.MaxValue"/> refreshes once only.</summary>
    public int Every { get; init; } = 100;

    /// <summary>Largest eigenpairs kept (k).</summary>
    public int Rank { get; init; } = 10;

    /// <summary>Samples in the curvature batch.</summary>
    public int Batch { get; init; } = 256;

    /// <summary>Largest raise of the base rate (c_max).</summary>
    public double MaxScale { get; init; } = 3;

    /// <summary>Rate of the Newton part.</summary>
    public double Alpha { get; init; } = 0.1;

    /// <summary>What the subspace is.</summary>
    public SubspaceKind Kind { get; init; } = SubspaceKind.Hessian;

    /// <summary>The step before which the first refresh is made.</summary>
    public int Warmup { get; init; } = 25;

    public string Key => string.Create(CultureInfo.InvariantCulture,
        $"{Kind}.every{(Every == int.MaxValue ? "once" : Every)}.k{Rank}.b{Batch}.c{MaxScale:g3}.a{Alpha:g3}");
}

/// <summary>What spans the curvature subspace.</summary>
internal enum SubspaceKind
{
    /// <summary>Eigenvectors of the Hessian.</summary>
    Hessian,

    /// <summary>Eigenvectors of the Gauss-Newton matrix.</summary>
    GaussNewton,

    /// <summary>Random orthonormal vectors with the Hessian's eigenvalues: a control.</summary>
    Random,

    /// <summary>None: the base alone, its rate raised by the scale that the eigenvalues give: a control.</summary>
    ScaleOnly,
}

/// <summary>What one run came to.</summary>
/// <param name="Settings">The run's settings.</param>
/// <param name="Steps">The steps after which the loss was measured, 0 first.</param>
/// <param name="Losses">The loss on the fixed evaluation samples of the training set.</param>
/// <param name="TestLoss">The loss on the test set at the end.</param>
/// <param name="TestAccuracy">The accuracy on the test set at the end; null where the task has none.</param>
/// <param name="Products">Products of each estimate.</param>
/// <param name="Scales">The raise of the base rate after each estimate.</param>
/// <param name="GradientSeconds">Time of a gradient of the training batch (median).</param>
/// <param name="UpdateSeconds">Time of an update (median).</param>
/// <param name="ProductSeconds">Time of a product on the curvature batch (median); 0 without curvature.</param>
/// <param name="CurvatureGradientSeconds">Time of a gradient of the curvature batch (median); 0 without curvature.</param>
/// <param name="Seconds">Time of the whole run.</param>
internal sealed record RunResult(
    RunSettings Settings,
    int[] Steps,
    double[] Losses,
    double TestLoss,
    double? TestAccuracy,
    int[] Products,
    double[] Scales,
    double GradientSeconds,
    double UpdateSeconds,
    double ProductSeconds,
    double CurvatureGradientSeconds,
    double Seconds)
{
    /// <summary>Whether the run ended with a loss that is a number.</summary>
    public bool Finite => double.IsFinite(Losses[^1]);

    /// <summary>The first step, interpolated between measurements, at which the loss is at most <paramref name="threshold"/>; null if it never is.</summary>
    public double? StepsTo(double threshold)
    {
        for (int i = 0; i < Losses.Length; i++)
        {
            if (Losses[i] <= threshold)
            {
                if (i == 0)
                {
                    return 0;
                }

                double share = (Losses[i - 1] - threshold) / (Losses[i - 1] - Losses[i]);
                return Steps[i - 1] + (share * (Steps[i] - Steps[i - 1]));
            }
        }

        return null;
    }

    /// <summary>The lowest loss measured within the first share of the steps.</summary>
    public double BestWithin(double share)
    {
        double best = double.PositiveInfinity;
        for (int i = 0; i < Steps.Length && Steps[i] <= share * Steps[^1]; i++)
        {
            best = Math.Min(best, Losses[i]);
        }

        return best;
    }
}
