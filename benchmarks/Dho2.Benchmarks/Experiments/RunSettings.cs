using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Dho2;
using Dho2.Optimizers;

namespace Dho2.Benchmarks.Experiments;

/// <summary>Everything that determines one run of the experiment; equal settings give equal runs.</summary>
/// <param name="Task">The task's name.</param>
/// <param name="Base">The base optimizer.</param>
/// <param name="LearningRate">The base rate at the first step.</param>
/// <param name="Cosine">Whether the rate falls to 0 along a half cosine; otherwise it is constant.</param>
/// <param name="Seed">The seed of weights and sampling.</param>
/// <param name="Curvature">The curvature; null for the base alone.</param>
internal sealed record RunSettings(string Task, BaseKind Base, double LearningRate, bool Cosine, int Seed, CurvatureSettings? Curvature)
{
    /// <summary>The run's steps as a share of the task's budget; a cosine reaches 0 at its end.</summary>
    public double Budget { get; init; } = 1;

    /// <summary>What the gradient is multiplied by before the base sees it; null for nothing.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PreconditionerSettings? Preconditioner { get; init; }

    /// <summary>A file name that tells the settings.</summary>
    [JsonIgnore]
    public string Key => string.Create(CultureInfo.InvariantCulture,
        $"{Task}.{Base}.lr{LearningRate:g4}.{(Cosine ? "cosine" : "constant")}{(Budget == 1 ? "" : $".steps{Budget:g3}")}.{Preconditioner?.Key ?? Curvature?.Key ?? "alone"}.seed{Seed}");
}

/// <summary>A second-order method that precedes the base optimizer.</summary>
/// <param name="Kind">The method.</param>
/// <param name="Damping">What it adds to its curvature, in the loss's own units.</param>
internal sealed record PreconditionerSettings(PreconditionerKind Kind, double Damping)
{
    /// <summary>The settings as part of a file name.</summary>
    [JsonIgnore]
    public string Key => string.Create(CultureInfo.InvariantCulture, $"{Kind}.damping{Damping:g3}");
}

/// <summary>The second-order methods that the benchmark has besides the runtime's own.</summary>
internal enum PreconditionerKind
{
    /// <summary>L-BFGS on overlapping batches.</summary>
    LimitedBfgs,

    /// <summary>K-FAC.</summary>
    Kfac,
}

/// <summary>The factors that the experiment varies.</summary>
internal sealed record CurvatureSettings
{
    private static readonly CurvatureSettings Usual = new();

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

    /// <summary>The step before which the first refresh is made; the same for all intervals, so that they alone differ.</summary>
    public int Warmup { get; init; } = 25;

    /// <summary>Steps between the parameters that an estimate is of and the step from which it is in force.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Delay { get; init; }

    /// <summary>The residual at which eigenpairs count as converged, relative.</summary>
    public double Tolerance { get; init; } = 1e-5;

    /// <summary>Products at most of an estimate.</summary>
    public int MaxProducts { get; init; } = 200;

    /// <summary>Eigenvalues count as at least this share of the largest.</summary>
    public double Floor { get; init; } = 1e-4;

    /// <summary>How the Newton part's direction is accumulated.</summary>
    public NewtonMomentum Momentum { get; init; } = NewtonMomentum.LikeBase;

    /// <summary>The settings as part of a file name; what is hardly ever varied appears only where it is.</summary>
    [JsonIgnore]
    public string Key
    {
        get
        {
            StringBuilder key = new();
            key.Append(CultureInfo.InvariantCulture, $"{Kind}.every{(Every == int.MaxValue ? "once" : Every)}.k{Rank}.b{Batch}.c{MaxScale:g3}.a{Alpha:g3}");
            if (Tolerance != Usual.Tolerance)
            {
                key.Append(CultureInfo.InvariantCulture, $".tol{Tolerance:g3}");
            }

            if (MaxProducts != Usual.MaxProducts)
            {
                key.Append(CultureInfo.InvariantCulture, $".max{MaxProducts}");
            }

            if (Warmup != Usual.Warmup)
            {
                key.Append(CultureInfo.InvariantCulture, $".warmup{Warmup}");
            }

            if (Delay != Usual.Delay)
            {
                key.Append(CultureInfo.InvariantCulture, $".delay{Delay}");
            }

            if (Floor != Usual.Floor)
            {
                key.Append(CultureInfo.InvariantCulture, $".floor{Floor:g3}");
            }

            if (Momentum != Usual.Momentum)
            {
                key.Append(CultureInfo.InvariantCulture, $".momentum{Momentum}");
            }

            return key.ToString();
        }
    }
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
