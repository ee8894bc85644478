using System;
using Dho2.Curvature;

namespace Dho2;

/// <summary>What one training step did; the same on every rank.</summary>
/// <param name="Step">The step, counted from 1 over the whole run.</param>
/// <param name="Loss">The mean loss over the step's samples, before the update.</param>
/// <param name="GradientNorm">The Euclidean norm of the whole model's gradient, before clipping.</param>
/// <param name="LearningRate">The base optimizer's rate.</param>
/// <param name="Samples">Samples in the step, over all replicas.</param>
public sealed record StepResult(long Step, double Loss, double GradientNorm, double LearningRate, int Samples)
{
    /// <summary>What the reporting rank has sent in this step, a curvature estimate before it included; null where nobody counted.</summary>
    public RankTraffic? Traffic { get; init; }

    /// <summary>The round of agreement that ended the step; null where none did.</summary>
    public AdmmRound? Round { get; init; }
}

/// <summary>Reports a training step of <c>Fit</c>.</summary>
/// <param name="Result">What the step did.</param>
/// <param name="TotalSteps">The last step of this <c>Fit</c>, counted like <see cref="StepResult.Step"/>.</param>
/// <param name="Epoch">The epoch, counted from 1.</param>
/// <param name="SamplesPerSecond">The mean rate since <c>Fit</c> began, all work included.</param>
/// <param name="Elapsed">Time since <c>Fit</c> began.</param>
public sealed record StepCompleted(StepResult Result, long TotalSteps, int Epoch, double SamplesPerSecond, TimeSpan Elapsed)
{
    /// <summary>How the run is doing; null where that was not measured.</summary>
    public TrainingStatus? Status { get; init; }

    /// <summary>All of it as one line: epoch, step, loss, rate, remaining time, idle ranks and memory against the plan, eigenvalues.</summary>
    /// <param name="width">The most characters: what matters least is left out first.</param>
    public string ToText(int width = int.MaxValue) => ProgressText.Of(this, width);
}

/// <summary>What a curvature estimate found.</summary>
/// <param name="Step">The step before which it took force, counted from 1.</param>
/// <param name="Stage">The stage whose diagonal block was estimated; null for the Hessian of the whole model.</param>
/// <param name="Estimate">Outcome, eigenvalues, residual bounds, products and time.</param>
public sealed record CurvatureRefreshed(long Step, int? Stage, CurvatureEstimate Estimate)
{
    /// <summary>The step, counted from 1, before which the parameters were those that the estimate was made at.</summary>
    public long SnapshotStep { get; init; } = Step;

    /// <summary>The time that the leading rank waited for the estimate when it was to take force; 0 unless ranks of their own estimate.</summary>
    public TimeSpan Lateness { get; init; }

    /// <summary>
    /// The time of all training steps of this process so far, over what they would have taken without curvature; at least 1. So many
    /// times fewer steps to the same loss is what curvature must come to if it is to pay. By the leading rank's clock: its part in
    /// estimates, waiting for ranks of their own included, and what updates take longer than before the first estimate.
    /// </summary>
    public double CostFactor { get; init; } = 1;

    /// <summary>The time that the ranks which estimate had nothing to do before it; 0 unless they are ranks of their own.</summary>
    public TimeSpan DedicatedIdle { get; init; }
}

/// <summary>What one pass over the training data came to.</summary>
/// <param name="Epoch">The epoch, counted from 1.</param>
/// <param name="TrainingLoss">The mean of the steps' losses, weighted by samples.</param>
/// <param name="Test">Loss and accuracy on the test data; null where none were given.</param>
/// <param name="Elapsed">Time since <c>Fit</c> began.</param>
public sealed record EpochCompleted(int Epoch, double TrainingLoss, Evaluation? Test, TimeSpan Elapsed);

/// <summary>Loss and accuracy over a data set; the same on every rank.</summary>
/// <param name="Loss">The mean loss over the samples, or over what the loss counts.</param>
/// <param name="Accuracy">
/// The share of samples whose largest output is at the label's index, among those whose label is not negative; null where results are not (samples, classes) or
/// targets are not one class label each.
/// </param>
/// <param name="Samples">Samples evaluated.</param>
public sealed record Evaluation(double Loss, double? Accuracy, long Samples);
