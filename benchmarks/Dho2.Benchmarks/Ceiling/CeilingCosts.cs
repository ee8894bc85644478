using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2;
using Dho2.Benchmarks.Experiments;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>The times behind kappa, in milliseconds: medians of rounds in which each was measured once.</summary>
/// <param name="Rounds">Rounds.</param>
/// <param name="Gradient">A gradient of the training batch.</param>
/// <param name="Updates">An update, by base and rank; rank 0 is the base alone.</param>
/// <param name="CurvatureGradients">A gradient, by the curvature batch's samples.</param>
/// <param name="Products">A product with the Hessian, by the curvature batch's samples.</param>
/// <param name="GaussNewtonProduct">A product with the Gauss-Newton matrix of 256 samples.</param>
internal sealed record MeasuredCosts(
    int Rounds,
    double Gradient,
    Dictionary<string, double> Updates,
    Dictionary<int, double> CurvatureGradients,
    Dictionary<int, double> Products,
    double GaussNewtonProduct)
{
    /// <summary>The name that a task's costs are stored under.</summary>
    public static string NameFor(string task) => $"costs.{task}";

    /// <summary>The name of an update.</summary>
    public static string Update(BaseKind kind, int rank) => $"{kind} k={rank}";

    /// <summary>What curvature cost in some runs.</summary>
    /// <param name="products">Products of an estimate.</param>
    /// <param name="settings">The runs' settings.</param>
    /// <param name="batch">Samples of the training batch.</param>
    public StepCost Of(double products, RunSettings settings, int batch)
    {
        CurvatureSettings curvature = settings.Curvature!;
        int samples = curvature.Batch;
        double product = curvature.Kind == SubspaceKind.GaussNewton ? GaussNewtonProduct : Products[samples];
        double update = curvature.Kind == SubspaceKind.ScaleOnly
            ? 0
            : (Updates[Update(settings.Base, curvature.Rank)] - Updates[Update(settings.Base, 0)]) / Gradient;
        return StepCost.Of(
            products, update, product / CurvatureGradients[samples], (double)samples / batch, curvature.Every == int.MaxValue ? double.PositiveInfinity : curvature.Every);
    }
}

/// <summary>Measures them: all kinds take turns within a round, so that what else the machine does meets all alike.</summary>
internal static class CeilingCosts
{
    private static readonly int[] Ranks = [0, 5, 10, 20];
    private static readonly int[] Batches = [64, 256, 1024];
    private const long Seed = 1;

    public static MeasuredCosts Measure(TrainingTask task, int rounds)
    {
        using DisposeScope scope = NewDisposeScope();
        using IPipelineStage stage = task.Model.Stages[0](new StageContext(Seed));
        using FlatParameters parameters = new(stage.Layers, ScalarType.Float32, CPU);
        ShardedSpace space = new([.. parameters.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))]);
        List<IDisposable> owned = [];
        Dictionary<string, Action> work = [];
        Dictionary<string, List<double>> times = [];
        void AddGradient(string name, int samples)
        {
            (Tensor inputs, Tensor targets) = task.Take(arange(Math.Min(samples, task.Samples), ScalarType.Int64));
            work[name] = () => Gradient(task, stage, parameters, inputs, targets);
        }

        void AddProduct(string name, int samples, bool gaussNewton)
        {
            (Tensor inputs, Tensor targets) = task.Take(arange(Math.Min(samples, task.Samples), ScalarType.Int64));
            BatchHessian hessian = new(task.Model, parameters, Seed, inputs, targets, gaussNewton);
            owned.Add(hessian);
            Tensor direction = space.Zeros();
            Tensor product = space.Zeros();
            space.FillRandom(direction, Seed, name);
            work[name] = () => hessian.Multiply(direction, product);
        }

        AddGradient("gradient", task.Batch);
        foreach (int samples in Batches)
        {
            AddGradient($"gradient of {samples}", samples);
            AddProduct($"product of {samples}", samples, gaussNewton: false);
        }

        AddProduct("Gauss-Newton product", 256, gaussNewton: true);
        Tensor gradient = space.Zeros();
        space.FillRandom(gradient, Seed, "gradient");
        foreach (BaseKind kind in new[] { BaseKind.HeavyBall, BaseKind.Adam })
        {
            foreach (int rank in Ranks)
            {
                HybridOptimizer optimizer = Optimizer(space, kind, rank);
                Tensor values = parameters.Values.detach().clone();
                owned.Add(optimizer);
                work[MeasuredCosts.Update(kind, rank)] = () =>
                {
                    optimizer.ClipGradient(gradient);
                    optimizer.Step(values, gradient);
                };
            }
        }

        for (int round = -1; round < rounds; round++)
        {
            foreach ((string name, Action action) in work)
            {
                // Twice, and the second counts: each finds the caches as its own predecessor left them.
                action();
                long start = Stopwatch.GetTimestamp();
                action();
                double elapsed = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                if (round >= 0)
                {
                    (times.TryGetValue(name, out List<double>? list) ? list : times[name] = []).Add(elapsed);
                }
            }
        }

        owned.ForEach(item => item.Dispose());
        double Median(string name) => Math.Round(times[name].Order().ElementAt(times[name].Count / 2), 3);
        return new MeasuredCosts(
            rounds,
            Median("gradient"),
            new[] { BaseKind.HeavyBall, BaseKind.Adam }.SelectMany(kind => Ranks.Select(rank => MeasuredCosts.Update(kind, rank))).ToDictionary(name => name, Median),
            Batches.ToDictionary(samples => samples, samples => Median($"gradient of {samples}")),
            Batches.ToDictionary(samples => samples, samples => Median($"product of {samples}")),
            Median("Gauss-Newton product"));
    }

    private static void Gradient(TrainingTask task, IPipelineStage stage, FlatParameters parameters, Tensor inputs, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        parameters.Gradients.zero_();
        task.Model.Loss(stage.Forward([inputs]), [targets]).backward();
    }

    private static HybridOptimizer Optimizer(ShardedSpace space, BaseKind kind, int rank)
    {
        HybridOptimizer optimizer = new(space, new HybridSettings { Base = kind, LearningRate = 1e-6, Alpha = 1e-6, MaxGradientNorm = 3 });
        if (rank > 0)
        {
            optimizer.Refresh(new CurvatureEstimate
            {
                Outcome = EstimateOutcome.Converged,
                Subspace = Subspace.Random(space, [.. Enumerable.Range(1, rank).Select(i => (double)i)], 0, Seed, "costs"),
                Eigenvalues = [],
                ResidualBounds = [],
                Products = 0,
                GateProducts = 0,
                CertificateProducts = 0,
                Breakdowns = 0,
                NonFiniteEstimates = 0,
                Duration = TimeSpan.Zero,
            });
        }

        return optimizer;
    }
}
