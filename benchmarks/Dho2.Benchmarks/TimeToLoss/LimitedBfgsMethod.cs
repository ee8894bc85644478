using System;
using Dho2.Benchmarks.Experiments;
using Dho2.Curvature;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// L-BFGS on batches that overlap (Berahas, Nocedal and Takac 2016): a quarter of a batch belongs to the next one as well, and
/// the change of its own mean gradient is the pair's y. So no gradient is computed for the pairs alone. To y is added damping
/// times s (Schraudolph, Yu and Guenter 2007), and what curvature is still missing is made up by Powell's rule (1978).
/// </summary>
internal sealed class LimitedBfgsMethod : ITrainingMethod
{
    private const int Memory = 10;
    private const int OverlapShare = 4;

    private readonly TrainingState state;
    private readonly double damping;
    private readonly InverseHessian inverse;

    // Of the last step: the shared samples, their gradient, the parameters, and rate times gradient, which is B s.
    private readonly Tensor sharedGradient;
    private readonly Tensor before;
    private readonly Tensor modelled;
    private readonly Tensor part;
    private Tensor? sharedInputs;
    private Tensor? sharedTargets;

    public LimitedBfgsMethod(TrainingState state, double damping)
    {
        this.state = state;
        this.damping = damping;
        inverse = new InverseHessian(state.Space, Memory);
        sharedGradient = state.Space.Zeros();
        before = state.Space.Zeros();
        modelled = state.Space.Zeros();
        part = state.Space.Zeros();
    }

    /// <inheritdoc/>
    public double Share { private get; set; } = 1;

    /// <inheritdoc/>
    public void Prepare(int step)
    {
    }

    /// <inheritdoc/>
    public void Step(Tensor inputs, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        long batch = inputs.shape[0];
        long overlap = batch / OverlapShare;
        Tensor gradient = state.Parameters.Gradients;
        bool first = sharedInputs is null;
        part.zero_();
        if (!first)
        {
            // With the samples of the step before: their gradient here and there makes the pair.
            state.ComputeGradient(sharedInputs!, sharedTargets!);
            part.add_(gradient, alpha: (double)overlap / batch);
            AddPair(gradient);
        }

        Keep(inputs.narrow(0, 0, overlap), targets.narrow(0, 0, overlap));
        state.ComputeGradient(sharedInputs!, sharedTargets!);
        sharedGradient.copy_(gradient);
        part.add_(gradient, alpha: (double)overlap / batch);

        // The first batch has nothing of an earlier one, and is filled up by samples of its own.
        long rest = first ? batch - overlap : batch - (2 * overlap);
        state.ComputeGradient(inputs.narrow(0, overlap, rest), targets.narrow(0, overlap, rest));
        gradient.mul_((double)rest / batch).add_(part);
        Move(gradient);
    }

    /// <inheritdoc/>
    public RunResult Describe(RunResult result) => result;

    public void Dispose()
    {
        inverse.Dispose();
        sharedGradient.Dispose();
        before.Dispose();
        modelled.Dispose();
        part.Dispose();
        sharedInputs?.Dispose();
        sharedTargets?.Dispose();
    }

    private void AddPair(Tensor gradientHere)
    {
        Tensor displacement = state.Parameters.Values.detach() - before;
        Tensor change = gradientHere - sharedGradient;
        change.add_(displacement, alpha: damping);
        double measured = state.Space.Dot(displacement, change);
        double expected = state.Space.Dot(displacement, modelled);
        if (!double.IsFinite(measured) || expected <= 0)
        {
            // Diverged, or not moved at all: there is nothing to learn from.
            return;
        }

        Damp(change, modelled, measured, expected);
        inverse.Add(displacement, change);
    }

    /// <summary>
    /// Powell's damping: replaces y by a mean of it and B s such that s'y is at least a fifth of s'B s.
    /// </summary>
    /// <param name="change">y; changed in place.</param>
    /// <param name="modelled">B s.</param>
    /// <param name="measured">s'y.</param>
    /// <param name="expected">s'B s, above 0.</param>
    internal static void Damp(Tensor change, Tensor modelled, double measured, double expected)
    {
        if (measured < 0.2 * expected)
        {
            double share = 0.8 * expected / (expected - measured);
            change.mul_(share).add_(modelled, alpha: 1 - share);
        }
    }

    private void Move(Tensor gradient)
    {
        double norm = state.Space.Norm(gradient);
        if (norm > TrainingState.GradientClip)
        {
            gradient.mul_(TrainingState.GradientClip / norm);
        }

        double rate = state.Settings.LearningRate * Share;
        Tensor values = state.Parameters.Values;
        using IDisposable noGrad = no_grad();
        before.copy_(values);
        modelled.copy_(gradient).mul_(-rate);
        inverse.Multiply(gradient);
        values.add_(gradient, alpha: -rate);
    }

    private void Keep(Tensor inputs, Tensor targets)
    {
        sharedInputs?.Dispose();
        sharedTargets?.Dispose();
        sharedInputs = inputs.clone().DetachFromDisposeScope();
        sharedTargets = targets.clone().DetachFromDisposeScope();
    }
}
