using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using Dho2;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>Makes one run: a model on one stage, trained for the task's budget, its loss followed on fixed samples.</summary>
internal sealed class CeilingRun : IDisposable
{
    private const int Measurements = 25;
    private const int EvaluationSamples = 1_000;
    private const int MaxProducts = 200;
    private const int Chunk = 250;
    private const double GradientClip = 3;

    private readonly CeilingTask task;
    private readonly RunSettings settings;
    private readonly IPipelineStage stage;
    private readonly FlatParameters parameters;
    private readonly ShardedSpace space;
    private readonly HybridOptimizer optimizer;
    private readonly LanczosEstimator? estimator;
    private readonly Generator sampler;
    private readonly Generator curvatureSampler;
    private readonly List<int> products = [];
    private readonly List<double> scales = [];
    private readonly List<double> largest = [];
    private readonly List<double> smallest = [];
    private readonly int steps;
    private Subspace? known;
    private int unconverged;

    public CeilingRun(CeilingTask task, RunSettings settings)
    {
        this.task = task;
        this.settings = settings;
        steps = (int)Math.Round(settings.Budget * task.Steps);
        stage = task.Model.Stages[0](new StageContext(settings.Seed));
        parameters = new FlatParameters(stage.Layers, ScalarType.Float32, CPU);
        ParameterSegment[] segments = [.. parameters.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))];
        space = new ShardedSpace(segments);
        CurvatureSettings? curvature = settings.Curvature;
        optimizer = new HybridOptimizer(space, new HybridSettings
        {
            Base = settings.Base,
            LearningRate = settings.LearningRate,
            Alpha = curvature?.Alpha ?? 0,
            MaxScale = curvature?.MaxScale ?? 1,
            MaxGradientNorm = GradientClip,
            Floor = curvature?.Floor ?? 1e-4,
            Momentum = curvature?.Momentum ?? NewtonMomentum.LikeBase,
            RandomDirections = curvature?.Kind == SubspaceKind.Random,
            Seed = settings.Seed,
        });
        if (curvature is not null)
        {
            estimator = new LanczosEstimator(space, new LanczosSettings
            {
                Largest = curvature.Rank,
                Smallest = 0,
                Tolerance = curvature.Tolerance,
                MaxOrder = (int)Math.Min(MaxProducts, parameters.Count),
                Seed = settings.Seed,
            });
        }

        sampler = new Generator((ulong)StageContext.SeedOf(settings.Seed, "training samples"));
        curvatureSampler = new Generator((ulong)StageContext.SeedOf(settings.Seed, "curvature samples"));
    }

    /// <summary>Trains for the whole budget.</summary>
    public RunResult Run()
    {
        Stopwatch clock = Stopwatch.StartNew();
        TimeSpan processor = ProcessorTime();
        int every = Math.Max(1, task.Steps / Measurements);
        List<int> measured = [];
        List<double> losses = [];
        double raise = 1;
        for (int step = 0; step <= steps; step++)
        {
            if (step % every == 0 || step == steps)
            {
                measured.Add(step);
                losses.Add(Digits(Loss()));
                if (!double.IsFinite(losses[^1]))
                {
                    break;
                }
            }

            if (step == steps)
            {
                break;
            }

            if (IsDue(step))
            {
                raise = Refresh();
            }

            double share = settings.Cosine ? 0.5 * (1 + Math.Cos(Math.PI * step / steps)) : 1;
            optimizer.LearningRate = settings.LearningRate * share * raise;
            Step();
        }

        (double testLoss, double? accuracy) = Test();
        return new RunResult(
            settings, [.. measured], [.. losses], Digits(testLoss), accuracy, [.. products], unconverged, [.. scales], [.. largest], [.. smallest],
            Math.Round(clock.Elapsed.TotalSeconds, 1), Math.Round((ProcessorTime() - processor).TotalSeconds, 1));
    }

    public void Dispose()
    {
        estimator?.Dispose();
        known?.Dispose();
        optimizer.Dispose();
        parameters.Dispose();
        stage.Dispose();
        sampler.Dispose();
        curvatureSampler.Dispose();
    }

    private bool IsDue(int step) =>
        settings.Curvature is { } curvature
        && step >= curvature.Warmup
        && (step == curvature.Warmup || (curvature.Every != int.MaxValue && (step - curvature.Warmup) % curvature.Every == 0));

    private void Step()
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets) = task.Take(randint(0, task.Samples, [task.Batch], ScalarType.Int64, generator: sampler));
        parameters.Gradients.zero_();
        task.Model.Loss(stage.Forward([inputs]), [targets]).backward();
        optimizer.ClipGradient(parameters.Gradients);
        optimizer.Step(parameters.Values, parameters.Gradients);
    }

    // Puts new curvature into force; returns the factor by which the base's rate is to be raised by hand.
    private double Refresh()
    {
        CurvatureSettings curvature = settings.Curvature!;
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets) = task.Take(randperm(task.Samples, generator: curvatureSampler).narrow(0, 0, curvature.Batch));
        using BatchHessian hessian = new(task.Model, parameters, settings.Seed, inputs, targets, curvature.Kind == SubspaceKind.GaussNewton);
        CurvatureEstimate estimate = estimator!.Run(hessian, known ?? optimizer.Subspace);
        IReadOnlyList<double> values = estimate.Eigenvalues;
        products.Add(estimate.Products);
        unconverged += estimate.Outcome is EstimateOutcome.Certified or EstimateOutcome.Converged ? 0 : 1;
        if (values.Count == 0)
        {
            // The first estimate met a number that is none: the run has diverged, or is about to show it.
            return 1;
        }

        largest.Add(Digits(values[^1]));
        smallest.Add(Digits(values[0]));
        if (curvature.Kind is SubspaceKind.Random or SubspaceKind.ScaleOnly && estimate.Subspace is { } pairs)
        {
            // The next estimate starts from the true pairs, which the optimizer is not given.
            known?.Dispose();
            known = pairs.To(ScalarType.Float32);
        }

        if (curvature.Kind != SubspaceKind.ScaleOnly)
        {
            optimizer.Refresh(estimate);
            scales.Add(Digits(optimizer.Scale));
            return 1;
        }

        estimate.Subspace?.Dispose();
        double floor = curvature.Floor * values.Max(Math.Abs);
        double scale = Math.Clamp(Math.Max(Math.Abs(values[^1]), floor) / Math.Max(Math.Abs(values[0]), floor), 1, curvature.MaxScale);
        scales.Add(Digits(scale));
        return scale;
    }

    private double Loss()
    {
        (Tensor inputs, Tensor targets) = task.EvaluationSamples(Math.Min(EvaluationSamples, task.Samples));
        return Evaluate(inputs, targets).Loss;
    }

    private (double Loss, double? Accuracy) Test()
    {
        (Tensor inputs, Tensor targets) = task.TestSamples();
        return Evaluate(inputs, targets);
    }

    // In chunks, so that activations stay small; takes over both tensors.
    private (double Loss, double? Accuracy) Evaluate(Tensor inputs, Tensor targets)
    {
        using IDisposable noGrad = no_grad();
        long count = inputs.shape[0];
        double loss = 0;
        double hits = 0;
        for (long first = 0; first < count; first += Chunk)
        {
            using DisposeScope scope = NewDisposeScope();
            long size = Math.Min(Chunk, count - first);
            Tensor part = targets.narrow(0, first, size);
            Tensor[] results = stage.Forward([inputs.narrow(0, first, size)]);
            loss += task.Model.Loss(results, [part]).item<float>() * size;
            hits += task.HasAccuracy ? results[0].argmax(1).eq(part).to_type(ScalarType.Float64).sum().item<double>() : 0;
        }

        inputs.Dispose();
        targets.Dispose();
        return (loss / count, task.HasAccuracy ? hits / count : null);
    }

    private static TimeSpan ProcessorTime() => Process.GetCurrentProcess().TotalProcessorTime;

    // Six digits are more than the seeds agree on, and keep the stored runs short.
    private static double Digits(double value) => double.Parse(value.ToString("g6", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
