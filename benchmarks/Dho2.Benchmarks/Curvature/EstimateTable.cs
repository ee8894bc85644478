using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Optimizers;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Curvature;

/// <summary>
/// Estimates along real training against what the published programs do: 4k products from a random start, with graphs
/// built anew for every product, or kept.
/// </summary>
internal static class EstimateTable
{
    private const int Rank = 10;

    public static int Run(string mnist, bool quick)
    {
        Measuring.PrintEnvironment("estimate", quick);
        Console.WriteLine($"Training on MNIST by the hybrid update on heavy-ball (k = {Rank}, alpha 0.01, estimates every {Every(quick)} steps, curvature batch = training batch). At each of its estimates the two baselines are made as well, at the same parameters, and thrown away.");
        Console.WriteLine("Residual: the largest |H v - lambda v| / max(|lambda|, 0.01 lambda_1) of the kept pairs, recomputed. Time: processor time, building the graphs included. At \"equal\" residuals, ours is run again with the tolerance at which it stops with residuals like those of 4k products.");
        Console.WriteLine();
        Console.WriteLine("| network | step | 4k products: time rebuilt, s | time kept, s | residual | ours: products | of them certificate | time, s | residual | products / 4k | goal | time / rebuilt | time / kept | products at equal residual |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        using LabelledImages images = Mnist.LoadTraining(mnist, Mnist.Mean, Mnist.Deviation);
        foreach (Network network in new[] { Network.All[0] with { Batch = 256 }, Network.All[2] })
        {
            Train(network, images, quick);
        }

        return 0;
    }

    private static int Every(bool quick) => quick ? 10 : 100;

    private static void Train(Network network, LabelledImages images, bool quick)
    {
        set_num_threads(1);
        random.manual_seed(1);
        StageContext context = new(1);
        using IPipelineStage stage = network.Stage(context, 0, 1);
        using FlatParameters flat = new(stage.Layers, ScalarType.Float32, CPU);
        using var world = World.Join();
        using Dho2.Communication.ICommunicator alone = world.Open(1)[0];
        using PipelineExecutor executor = new(stage, context, alone, [], Network.Loss);
        ShardedSpace space = new([.. flat.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))]);
        using HybridOptimizer optimizer = new(space, new() { Base = BaseKind.HeavyBall, LearningRate = 0.05, Alpha = 0.01, MaxGradientNorm = 3 });
        using PipelineHessian kept = Hessian(network, true);
        using PipelineHessian rebuilt = Hessian(network, false);
        using LanczosEstimator ours = new(space, new() { Largest = Rank });
        LanczosSettings fourK = new() { Largest = Rank, MaxOrder = 4 * Rank, Tolerance = 0, CertificateProducts = 0, WarmStart = false };
        EpochSampler sampler = new((int)images.Labels.shape[0], network.Batch, 1, 1);
        int step = 0;
        int estimates = 0;
        List<double> shares = [];
        foreach (long[][] dealt in sampler.Shuffled(1).Concat(sampler.Shuffled(2)))
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor index = tensor(dealt[0]);
            Tensor inputs = images.Images.index_select(0, index).reshape([index.shape[0], .. network.Input]);
            Batch batch = new([inputs], [images.Labels.index_select(0, index)]);
            int[] sizes = [.. MicroBatches.Split(batch.Samples, 1)];
            if (step > 0 && step % Every(quick) == 0)
            {
                CurvatureBatch curvature = new(batch, sizes, step, batch.Samples);
                (double anew, double _, _) = Estimate(rebuilt, curvature, fourK, null);
                (double again, double residual, _) = Estimate(kept, curvature, fourK, null);
                double start = Measuring.ProcessorSeconds();
                kept.Begin(flat, curvature);
                CurvatureEstimate estimate = ours.Run(kept, optimizer.Subspace);
                double time = Measuring.ProcessorSeconds() - start;
                double own = Residual(kept, estimate.Subspace!);
                (_, _, int equal) = Estimate(kept, curvature, new() { Largest = Rank, Tolerance = double.Max(residual, 1e-4) }, optimizer.Subspace);
                double share = (double)estimate.Products / (4 * Rank);
                if (optimizer.Subspace is not null)
                {
                    shares.Add(share);
                }

                Console.WriteLine(
                    $"| {network.Name} | {step} | {Measuring.Text(anew)} | {Measuring.Text(again)} | {residual:E1} | {estimate.Products} | {estimate.CertificateProducts} | {Measuring.Text(time)} | {own:E1} | {Measuring.Text(share)} | 0.60 | {Measuring.Text(time / anew)} | {Measuring.Text(time / again)} | {equal} |");
                optimizer.Refresh(estimate);
                kept.End();
                if (++estimates == (quick ? 2 : 6))
                {
                    break;
                }
            }

            flat.Gradients.zero_();
            executor.Train(ScheduleBuilder.Build(Schedule.GPipe, 1, 1)[0], batch, sizes, step, batch.Samples);
            optimizer.ClipGradient(flat.Gradients);
            optimizer.Step(flat.Values, flat.Gradients);
            step++;
        }

        Console.WriteLine($"| {network.Name}, warm starts | | | | | | | | | **{Measuring.Text(shares.Average())}** | 0.60 | | | |");

        (double Seconds, double Residual, int Products) Estimate(PipelineHessian hessian, CurvatureBatch batch, LanczosSettings settings, Subspace? previous)
        {
            using LanczosEstimator estimator = new(space, settings);
            double start = Measuring.ProcessorSeconds();
            hessian.Begin(flat, batch);
            CurvatureEstimate estimate = estimator.Run(hessian, previous);
            double seconds = Measuring.ProcessorSeconds() - start;
            using Subspace found = estimate.Subspace!;
            double residual = Residual(hessian, found);
            hessian.End();
            return (seconds, residual, estimate.Products);
        }
    }

    private static double Residual(PipelineHessian hessian, Subspace subspace)
    {
        double spread = subspace.Eigenvalues.Max(Math.Abs);
        double worst = 0;
        for (int i = 0; i < subspace.Count; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor vector = subspace.Vectors[i].clone();
            Tensor product = zeros_like(vector);
            hessian.Multiply(vector, product);
            double value = subspace.Eigenvalues[i];
            double length = product.sub(vector.mul(value)).to(float64).norm().item<double>();
            worst = Math.Max(worst, length / Math.Max(Math.Abs(value), 0.01 * spread));
        }

        return worst;
    }

    private static PipelineHessian Hessian(Network network, bool retain)
    {
        StageContext context = new(1);
        return new PipelineHessian(network.Stage(context, 0, 1), context, null, [], Network.Loss, new() { RetainGraphs = retain });
    }
}
