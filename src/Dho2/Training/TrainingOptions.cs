using System;
using Dho2.Planning;

namespace Dho2;

/// <summary>Which optimizer updates the parameters.</summary>
public enum OptimizerKind
{
    /// <summary>The base optimizer outside the curvature subspace, damped Newton steps inside it (FOSI, arXiv 2302.08484).</summary>
    Hybrid,

    /// <summary>The base optimizer alone: no curvature is estimated, whatever the attributes say.</summary>
    FirstOrder,
}

/// <summary>
/// The numbers of one training run. A property that is null takes the attributes' value; one that is given overrides it,
/// and the run is planned anew with it.
/// </summary>
public sealed record TrainingOptions
{
    private readonly double learningRate = 0.05;
    private readonly int epochs = 1;
    private readonly double gradientClip;
    private readonly double weightDecay;

    /// <summary>The base optimizer's rate; above 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above 0.</exception>
    public double LearningRate
    {
        get => learningRate;
        init => learningRate = double.IsFinite(value) && value > 0 ? value : throw OutOfRange(nameof(LearningRate), value, "a finite number above 0");
    }

    /// <summary>Passes over the training data; at least 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Epochs
    {
        get => epochs;
        init => epochs = value >= 1 ? value : throw OutOfRange(nameof(Epochs), value, "at least 1");
    }

    /// <summary>The seed of initial weights, sampling, dropout and random vectors.</summary>
    public long Seed { get; init; }

    /// <summary>The optimizer.</summary>
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.Hybrid;

    /// <summary>The largest Euclidean norm of the whole model's gradient; 0 means no clipping.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative or not finite.</exception>
    public double GradientClip
    {
        get => gradientClip;
        init => gradientClip = double.IsFinite(value) && value >= 0 ? value : throw OutOfRange(nameof(GradientClip), value, "a finite number, at least 0");
    }

    /// <summary>The weight of the L2 penalty, which gradient and Hessian both see; 0 means none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative or not finite.</exception>
    public double WeightDecay
    {
        get => weightDecay;
        init => weightDecay = double.IsFinite(value) && value >= 0 ? value : throw OutOfRange(nameof(WeightDecay), value, "a finite number, at least 0");
    }

    /// <summary>The element type of parameters and activations: float32 or float64.</summary>
    public DType DType { get; init; } = DType.Float32;

    /// <summary>What replaces the attributes' numbers; null leaves all of them.</summary>
    public PlanOverrides? Overrides { get; init; }

    /// <summary>Threads that torch may use inside each rank; 0 divides the machine's processors by the local ranks.</summary>
    public int ThreadsPerRank { get; init; }

    private static ArgumentOutOfRangeException OutOfRange(string name, object value, string expected) =>
        new(name, value, $"{name} must be {expected}.");
}
