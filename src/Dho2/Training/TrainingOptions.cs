using System;
using Dho2.Admm;
using Dho2.Checkpoints;
using Dho2.Curvature;
using Dho2.Optimizers;
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
/// The numbers of one training run. What the attributes state as well is in <see cref="Overrides"/>: a run with overrides is
/// planned anew with them.
/// </summary>
public sealed record TrainingOptions
{
    private readonly double learningRate = 0.05;
    private readonly double? finalLearningRate;
    private readonly int epochs = 1;
    private readonly double gradientClip;
    private readonly double l2Penalty;
    private readonly double decoupledWeightDecay;
    private readonly int threadsPerRank;
    private readonly int gradientBuckets = 1;

    /// <summary>The base optimizer's rate; above 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a finite number above 0.</exception>
    public double LearningRate
    {
        get => learningRate;
        init => learningRate = double.IsFinite(value) && value > 0 ? value : throw OutOfRange(nameof(LearningRate), value, "a finite number above 0");
    }

    /// <summary>
    /// The rate that <c>Fit</c> ends with: from step to step the rate goes there in a straight line, and the Newton part's
    /// with it. At least 0; null keeps the rate constant.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative or not finite.</exception>
    public double? FinalLearningRate
    {
        get => finalLearningRate;
        init => finalLearningRate = value is { } rate ? AtLeastZero(nameof(FinalLearningRate), rate) : null;
    }

    /// <summary>
    /// One of TorchSharp's own schedules for the base's rate, made for the optimizer that it is given, such as
    /// <c>optimizer => torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)</c>. It begins at
    /// <see cref="LearningRate"/> (lr_0), and the Newton part's rate keeps its ratio to it. Every rank makes its own; it must
    /// depend on nothing that differs between ranks. Null for none; excludes <see cref="FinalLearningRate"/>.
    /// </summary>
    public Func<TorchSharp.torch.optim.Optimizer, TorchSharp.torch.optim.lr_scheduler.LRScheduler>? LearningRateSchedule { get; init; }

    /// <summary>What <see cref="LearningRateSchedule"/> counts.</summary>
    public ScheduleUnit ScheduleUnit { get; init; } = ScheduleUnit.Step;

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

    /// <summary>The largest Euclidean norm of the whole model's gradient, which is scaled down to it; 0 means no clipping.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative or not finite.</exception>
    public double GradientClip
    {
        get => gradientClip;
        init => gradientClip = AtLeastZero(nameof(GradientClip), value);
    }

    /// <summary>The weight of an L2 penalty, half the squared norm of the parameters, that gradient and Hessian both see; 0 means none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative or not finite.</exception>
    public double L2Penalty
    {
        get => l2Penalty;
        init => l2Penalty = AtLeastZero(nameof(L2Penalty), value);
    }

    /// <summary>Weight decay outside the loss (Loshchilov and Hutter 2019), of the base part; 0 means none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative or not finite.</exception>
    public double DecoupledWeightDecay
    {
        get => decoupledWeightDecay;
        init => decoupledWeightDecay = AtLeastZero(nameof(DecoupledWeightDecay), value);
    }

    /// <summary>
    /// Where the run saves, and from where it goes on: a trainer that finds a checkpoint there begins as the one that wrote
    /// it ended. Null for no checkpoints.
    /// </summary>
    public CheckpointOptions? Checkpoints { get; init; }

    /// <summary>What the run writes down while it trains, for <c>dho2 report</c>; null for nothing.</summary>
    public RecordOptions? Record { get; init; }

    /// <summary>
    /// Whether <c>Fit</c> says how far it is: on rank 0's error stream, as one line that is written over in a terminal, else as
    /// plain lines every ten seconds, in long runs a hundred in all.
    /// </summary>
    public ProgressDisplay Progress { get; init; }

    /// <summary>What replaces the attributes' numbers; null leaves all of them.</summary>
    public PlanOverrides? Overrides { get; init; }

    /// <summary>
    /// How eigenpairs are estimated: tolerance, order, certificate, type of the basis. Ranks, penalty and seed are taken
    /// from the plan and from these options.
    /// </summary>
    public LanczosSettings Estimation { get; init; } = new();

    /// <summary>How products with the curvature are computed: Hessian or Gauss-Newton, graphs kept or built anew.</summary>
    public PipelineHessianSettings Products { get; init; } = new();

    /// <summary>
    /// Lets <c>Fit</c> find out, by a trial of the base optimizer alone, whether curvature pays, and what it does where it does not;
    /// null for no trial. Excludes <c>CurvatureMode.Dedicated</c>, and <c>Amortized</c> estimates with <c>LocalCurvature</c>.
    /// </summary>
    public CurvatureTrial? CurvatureTrial { get; init; }

    /// <summary>Lets ADMM's sigma follow the residuals of consensus rounds; null leaves it constant.</summary>
    public ResidualBalanceSettings? ResidualBalance { get; init; }

    /// <summary>
    /// What else there is to set about the update: decays, floor, momentum of the Newton part, type of the eigenvectors. Base,
    /// rates, clipping, weight decay, scope and seed are taken from the plan and from these options.
    /// </summary>
    public HybridSettings Update { get; init; } = new();

    /// <summary>
    /// Calls in which the first stage's gradients are reduced over its replicas, each as soon as its part of the last backward
    /// is done; at least 1, which reduces them together after it. Every further bucket walks the upper part of the stage's last
    /// backward once more. The other stages' reductions are over before the first stage's backward is, whatever this says.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int GradientBuckets
    {
        get => gradientBuckets;
        init => gradientBuckets = value >= 1 ? value : throw OutOfRange(nameof(GradientBuckets), value, "at least 1");
    }

    /// <summary>
    /// Native threads that each rank may use within an operation; 0 divides the processors by this process's ranks. The
    /// last bits of results depend on it.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    public int ThreadsPerRank
    {
        get => threadsPerRank;
        init => threadsPerRank = value >= 0 ? value : throw OutOfRange(nameof(ThreadsPerRank), value, "at least 0");
    }

    /// <summary>
    /// Whether GPUs may multiply float32 matrices in TF32, with 10 bits of mantissa: faster, and less precise than the parity
    /// of partitions is tested with. The setting belongs to the process.
    /// </summary>
    public bool AllowTensorFloat32 { get; init; }

    /// <summary>What times are taken by that decide something.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    private static double AtLeastZero(string name, double value) =>
        double.IsFinite(value) && value >= 0 ? value : throw OutOfRange(name, value, "a finite number, at least 0");

    private static ArgumentOutOfRangeException OutOfRange(string name, object value, string expected) =>
        new(name, value, $"{name} must be {expected}.");
}
