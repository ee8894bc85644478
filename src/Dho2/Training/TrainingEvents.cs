using System;
using System.Collections.Generic;

namespace Dho2;

/// <summary>What one training step did; the same on every rank.</summary>
/// <param name="Step">The step, counted from 1 over the whole run.</param>
/// <param name="TotalSteps">Steps of the whole run.</param>
/// <param name="Epoch">The epoch, counted from 1.</param>
/// <param name="Loss">The mean loss over the step's samples, before the update.</param>
/// <param name="Samples">Samples in the step, over all replicas.</param>
/// <param name="Elapsed">Time since <c>Fit</c> began.</param>
public sealed record StepCompleted(long Step, long TotalSteps, int Epoch, double Loss, int Samples, TimeSpan Elapsed);

/// <summary>What a curvature estimate found.</summary>
/// <param name="Step">The step before which it took force, counted from 1.</param>
/// <param name="Eigenvalues">Kept eigenvalues, the smallest first (ascending), then the largest (ascending).</param>
/// <param name="ResidualBounds">The bound on each pair's residual norm, in the same order.</param>
/// <param name="Products">Hessian-vector products used.</param>
/// <param name="Duration">Time it took.</param>
/// <param name="Kept">Whether an earlier estimate was kept, because it still held or because this one failed.</param>
public sealed record CurvatureRefreshed(
    long Step,
    IReadOnlyList<double> Eigenvalues,
    IReadOnlyList<double> ResidualBounds,
    int Products,
    TimeSpan Duration,
    bool Kept);

/// <summary>What one pass over the training data came to.</summary>
/// <param name="Epoch">The epoch, counted from 1.</param>
/// <param name="TrainingLoss">The mean of the steps' losses, weighted by samples.</param>
/// <param name="Test">Loss and accuracy on the test data; null where none were given.</param>
/// <param name="Elapsed">Time since <c>Fit</c> began.</param>
public sealed record EpochCompleted(int Epoch, double TrainingLoss, Evaluation? Test, TimeSpan Elapsed);

/// <summary>Loss and accuracy over a data set; the same on every rank.</summary>
/// <param name="Loss">The mean loss over the samples.</param>
/// <param name="Accuracy">
/// The share of samples whose largest output is at the label's index; null where the target is no class label.
/// </param>
/// <param name="Samples">Samples evaluated.</param>
public sealed record Evaluation(double Loss, double? Accuracy, long Samples);
