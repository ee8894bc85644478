namespace Dho2;

/// <summary>Every default of the language, stated once: attributes, analyzers, planner and runtime read them here.</summary>
public static class Defaults
{
    /// <summary>Micro-batches per step.</summary>
    public const int MicroBatches = 1;

    /// <summary>The schedule.</summary>
    public const Schedule Schedule = Dho2.Schedule.OneForwardOneBackward;

    /// <summary>Stages on one rank under <see cref="Dho2.Schedule.Interleaved"/>.</summary>
    public const int StagesPerRank = 2;

    /// <summary>The base optimizer.</summary>
    public const BaseKind Base = BaseKind.HeavyBall;

    /// <summary>Replicas of the pipeline.</summary>
    public const int Replicas = 1;

    /// <summary>Samples per step where no input states them.</summary>
    public const int Batch = 64;

    /// <summary>Largest eigenpairs kept (k); ten did no better at twice the cost (docs/experiments/ceiling.md).</summary>
    public const int CurvatureRank = 5;

    /// <summary>Smallest eigenpairs kept (l).</summary>
    public const int CurvatureSmallest = 0;

    /// <summary>Steps between two estimates.</summary>
    public const int CurvatureEvery = 400;

    /// <summary>Rate of the Newton part (alpha); ten times as much moved no faster (docs/experiments/ceiling.md).</summary>
    public const double Alpha = 0.01;

    /// <summary>Momentum decay (d).</summary>
    public const double Decay = 0.9;

    /// <summary>
    /// Largest raise of the base rate (c_max): none. A rate that suits the base alone is too high when raised
    /// (docs/experiments/ceiling.md).
    /// </summary>
    public const double MaxScale = 1;

    /// <summary>Local steps between two consensus rounds.</summary>
    public const int AdmmPeriod = 16;

    /// <summary>Weight of the proximal term.</summary>
    public const double AdmmSigma = 0.1;

    /// <summary>Over-relaxation.</summary>
    public const double AdmmRelaxation = 1;
}
