using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Experiments;

/// <summary>The runtime's optimizer: a base, alone or with curvature.</summary>
internal sealed class HybridMethod : ITrainingMethod
{

    private readonly TrainingState state;
    private readonly CurvatureSettings? curvature;
    private readonly HybridOptimizer optimizer;
    private readonly LanczosEstimator? estimator;
    private readonly Generator sampler;
    private readonly List<int> refreshes = [];
    private readonly List<int> products = [];
    private readonly List<double> scales = [];
    private readonly List<double> largest = [];
    private readonly List<double> smallest = [];
    private readonly Queue<(int Step, CurvatureEstimate Estimate)> waiting = [];
    private Subspace? known;
    private int unconverged;
    private double raise = 1;

    public HybridMethod(TrainingState state)
    {
        this.state = state;
        RunSettings settings = state.Settings;
        curvature = settings.Curvature;
        if (curvature is { Delay: var delay, Every: var every } && (delay > every || (delay > 0 && curvature.Kind is SubspaceKind.Random or SubspaceKind.ScaleOnly)))
        {
            throw new ArgumentException($"A delay ({delay}) is at most the interval ({every}), and goes with the true eigenvectors only.", nameof(state));
        }

        optimizer = new HybridOptimizer(state.Space, new HybridSettings
        {
            Base = settings.Base,
            LearningRate = settings.LearningRate,
            Alpha = curvature?.Alpha ?? 0,
            MaxScale = curvature?.MaxScale ?? 1,
            MaxGradientNorm = TrainingState.GradientClip,
            Floor = curvature?.Floor ?? 1e-4,
            Momentum = curvature?.Momentum ?? NewtonMomentum.LikeBase,
            RandomDirections = curvature?.Kind == SubspaceKind.Random,
            Seed = settings.Seed,
        });
        if (curvature is not null)
        {
            estimator = new LanczosEstimator(state.Space, new LanczosSettings
            {
                Largest = curvature.Rank,
                Smallest = 0,
                Tolerance = curvature.Tolerance,
                MaxOrder = (int)Math.Min(curvature.MaxProducts, state.Parameters.Count),
                Seed = settings.Seed,
            });
        }

        sampler = new Generator((ulong)StageContext.SeedOf(settings.Seed, "curvature samples"));
    }

    /// <inheritdoc/>
    public double Share { private get; set; } = 1;

    /// <inheritdoc/>
    public void Prepare(int step)
    {
        if (waiting.TryPeek(out var first) && first.Step == step)
        {
            waiting.Dequeue();
            PutIntoForce(first.Estimate);
        }

        if (IsDue(step))
        {
            refreshes.Add(step);
            raise = 1;
            Refresh(step);
        }
    }

    /// <inheritdoc/>
    public void Step(Tensor inputs, Tensor targets)
    {
        optimizer.LearningRate = state.Settings.LearningRate * Share * raise;
        state.ComputeGradient(inputs, targets);
        optimizer.ClipGradient(state.Parameters.Gradients);
        optimizer.Step(state.Parameters.Values, state.Parameters.Gradients);
    }

    /// <inheritdoc/>
    public RunResult Describe(RunResult result) => result with
    {
        Products = [.. products],
        Unconverged = unconverged,
        Scales = [.. scales],
        First = [.. largest],
        Last = [.. smallest],
        Refreshes = curvature is null ? null : [.. refreshes],
    };

    public void Dispose()
    {
        foreach ((_, CurvatureEstimate estimate) in waiting)
        {
            estimate.Subspace?.Dispose();
        }

        estimator?.Dispose();
        known?.Dispose();
        optimizer.Dispose();
        sampler.Dispose();
    }

    private bool IsDue(int step) =>
        curvature is not null
        && step >= curvature.Warmup
        && (step == curvature.Warmup || (curvature.Every != int.MaxValue && (step - curvature.Warmup) % curvature.Every == 0));

    private void Refresh(int step)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets) = state.Task.Take(randperm(state.Task.Samples, generator: sampler).narrow(0, 0, curvature!.Batch));
        using BatchHessian hessian = new(state.Task.Model, state.Parameters, state.Settings.Seed, inputs, targets, curvature.Kind == SubspaceKind.GaussNewton);
        CurvatureEstimate estimate = estimator!.Run(hessian, known ?? optimizer.Subspace);
        IReadOnlyList<double> values = estimate.Eigenvalues;
        products.Add(estimate.Products);
        unconverged += estimate.Outcome is EstimateOutcome.Certified or EstimateOutcome.Converged ? 0 : 1;
        if (values.Count == 0)
        {
            // The first estimate met a number that is none: the run has diverged, or is about to show it.
            return;
        }

        largest.Add(TrainingState.Digits(values[^1]));
        smallest.Add(TrainingState.Digits(values[0]));
        if (curvature.Kind is SubspaceKind.Random or SubspaceKind.ScaleOnly && estimate.Subspace is { } pairs)
        {
            // The next estimate starts from the true pairs, which the optimizer is not given.
            known?.Dispose();
            known = pairs.To(ScalarType.Float32);
        }

        if (curvature.Kind == SubspaceKind.ScaleOnly)
        {
            estimate.Subspace?.Dispose();
            double floor = curvature.Floor * values.Max(Math.Abs);
            raise = Math.Clamp(Math.Max(Math.Abs(values[^1]), floor) / Math.Max(Math.Abs(values[0]), floor), 1, curvature.MaxScale);
            scales.Add(TrainingState.Digits(raise));
        }
        else if (curvature.Delay == 0)
        {
            PutIntoForce(estimate);
        }
        else
        {
            waiting.Enqueue((step + curvature.Delay, estimate));
        }
    }

    private void PutIntoForce(CurvatureEstimate estimate)
    {
        optimizer.Refresh(estimate);
        scales.Add(TrainingState.Digits(optimizer.Scale));
    }
}
