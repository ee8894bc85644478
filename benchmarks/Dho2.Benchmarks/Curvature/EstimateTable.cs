using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
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
        Console.WriteLine($"Training on MNIST by the hybrid update on heavy-ball (k = {Rank}, alpha 0.01, estimates every {Every(quick)} steps, curvature batch = training batch). At each of its estimates the others are made as well, at the same parameters and from the same previous eigenvectors, and thrown away.");
        Console.WriteLine("Residual: the largest |H v - lambda v| / max(|lambda|, 0.01 lambda_1) of the kept pairs, recomputed. Seconds: processor time, building the graphs included.");
        Console.WriteLine("Ours, as it is set: tolerance 1e-3, certified. Ours at equal residuals: with the residual that 4k products reached as its tolerance, certified as well; certificates are among the products.");
        Console.WriteLine();
        Console.WriteLine("| network | step | 4k products: rebuilt, s | kept, s | residual | ours as set: products | s | residual | ours at equal residuals: products | s | residual | products / 4k | goal | s / rebuilt | s / kept |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        using LabelledImages images = Mnist.LoadTraining(mnist, Mnist.Mean, Mnist.Deviation);
        foreach (Network network in new[] { Network.All[0] with { Batch = 256 }, Network.All[2] })
        {
            Train(network, images, quick);
        }

        return 0;
    }

    private static int Every(bool quick) => quick ? 20 : 100;

    private static void Train(Network network, LabelledImages images, bool quick)
    {
        set_num_threads(1);
        random.manual_seed(1);
        StageContext context = new(1);
        using IPipelineStage stage = network.Stage(context, 0, 1);
        using FlatParameters flat = new(stage.Layers, ScalarType.Float32, CPU);
        using var world = World.Join();
        using ICommunicator alone = world.Open(1)[0];
        using PipelineExecutor executor = new(stage, context, alone, [], Network.Loss);
        ShardedSpace space = new([.. flat.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))]);
        using HybridOptimizer optimizer = new(space, new() { Base = BaseKind.HeavyBall, LearningRate = 0.05, Alpha = 0.01, MaxGradientNorm = 3 });
        using PipelineHessian kept = Hessian(network, true);
        using PipelineHessian rebuilt = Hessian(network, false);
        EpochSampler sampler = new((int)images.Labels.shape[0], network.Batch, 1, 1);
        int step = 0;
        List<Row> warm = [];
        foreach (long[][] dealt in Enumerable.Range(1, 20).SelectMany(epoch => sampler.Shuffled(epoch)))
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor index = tensor(dealt[0]);
            Tensor inputs = images.Images.index_select(0, index).reshape([index.shape[0], .. network.Input]);
            Batch batch = new([inputs], [images.Labels.index_select(0, index)]);
            int[] sizes = [.. MicroBatches.Split(batch.Samples, 1)];
            if (step > 0 && step % Every(quick) == 0)
            {
                Row row = Compare(new(batch, sizes, step, batch.Samples));
                Console.WriteLine(row.Text($"{network.Name} | {step}"));
                if (step > Every(quick))
                {
                    warm.Add(row);
                }

                if (warm.Count == (quick ? 2 : 8))
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

        double Mean(Func<Row, double> of) => warm.Average(of);
        Console.WriteLine(
            $"| **{network.Name}, mean of warm starts** | | {Measuring.Text(Mean(r => r.Rebuilt.Seconds))} | {Measuring.Text(Mean(r => r.Kept.Seconds))} | | {Measuring.Text(Mean(r => r.Ours.Products), 1)} | {Measuring.Text(Mean(r => r.Ours.Seconds))} | | {Measuring.Text(Mean(r => r.Equal.Products), 1)} | {Measuring.Text(Mean(r => r.Equal.Seconds))} | | **{Measuring.Text(Mean(r => r.Share))}** | 0.60 | {Measuring.Text(Mean(r => r.Equal.Seconds / r.Rebuilt.Seconds))} | {Measuring.Text(Mean(r => r.Equal.Seconds / r.Kept.Seconds))} |");

        Row Compare(CurvatureBatch batch)
        {
            LanczosSettings fourK = new() { Largest = Rank, MaxOrder = 4 * Rank, Tolerance = 0, CertificateProducts = 0, WarmStart = false, Seed = step };
            LanczosSettings ours = new() { Largest = Rank, Seed = step };
            Measured anew = Estimate(rebuilt, batch, fourK);
            Measured again = Estimate(kept, batch, fourK);
            Measured equal = Estimate(kept, batch, ours with { Tolerance = again.Residual });
            return new(anew, again, Estimate(kept, batch, ours, refresh: true), equal);
        }

        Measured Estimate(PipelineHessian hessian, CurvatureBatch batch, LanczosSettings settings, bool refresh = false)
        {
            using LanczosEstimator estimator = new(space, settings);
            double start = Measuring.ProcessorSeconds();
            hessian.Begin(flat, batch);
            CurvatureEstimate estimate = estimator.Run(hessian, optimizer.Subspace);
            double seconds = Measuring.ProcessorSeconds() - start;
            double residual = Residual(hessian, estimate.Subspace!);
            hessian.End();
            if (refresh)
            {
                optimizer.Refresh(estimate);
            }
            else
            {
                estimate.Subspace!.Dispose();
            }

            return new(seconds, residual, estimate.Products);
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

    /// <summary>One estimate.</summary>
    private sealed record Measured(double Seconds, double Residual, int Products);

    /// <summary>The estimates at one step.</summary>
    private sealed record Row(Measured Rebuilt, Measured Kept, Measured Ours, Measured Equal)
    {
        public double Share => (double)Equal.Products / (4 * Rank);

        public string Text(string where) =>
            $"| {where} | {Measuring.Text(Rebuilt.Seconds)} | {Measuring.Text(Kept.Seconds)} | {Kept.Residual:E1} | {Ours.Products} | {Measuring.Text(Ours.Seconds)} | {Ours.Residual:E1} | {Equal.Products} | {Measuring.Text(Equal.Seconds)} | {Equal.Residual:E1} | {Measuring.Text(Share)} | 0.60 | {Measuring.Text(Equal.Seconds / Rebuilt.Seconds)} | {Measuring.Text(Equal.Seconds / Kept.Seconds)} |";
    }
}
