using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Curvature;

/// <summary>
/// Hessian-vector products against gradients of the same batch: with graphs that are kept, with graphs built anew, and
/// what the multiplications alone would come to.
/// </summary>
internal static class ProductTable
{
    private const int MicroBatches = 4;

    public static int Run(bool quick, string? only = null)
    {
        Measuring.PrintEnvironment("product", quick);
        Console.WriteLine($"Processor time of all ranks together, in gradients; {MicroBatches} micro-batches; medians of interleaved repetitions.");
        Console.WriteLine("Drain: the share of a pipeline's time in which a stage waits at the ends of one sweep, on as many free processors as stages; not in the other columns.");
        Console.WriteLine();
        Console.WriteLine("| network | stages | gradient, ms | rebuilt | kept | floor | kept / floor | target | drain |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (Network network in Network.All.Where(n => only is null || n.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            foreach (int stages in new[] { 1, 2, 4 }.Where(s => s <= network.Blocks.Count))
            {
                (double gradient, double rebuilt, double kept) = Measure(network, stages, quick ? 5 : 25);
                double drain = (stages - 1.0) / (MicroBatches + stages - 1);
                Console.WriteLine(
                    $"| {network.Name} | {stages} | {Measuring.Text(1000 * gradient)} | {Measuring.Text(rebuilt)} | {Measuring.Text(kept)} | {Measuring.Text(network.Floor)} | {Measuring.Text(kept / network.Floor)} | 1.25 | {Measuring.Text(100 * drain, 0)} % |");
            }
        }

        return 0;
    }

    private static (double Gradient, double Rebuilt, double Kept) Measure(Network network, int stages, int repetitions)
    {
        List<double> gradients = [];
        List<double> rebuilt = [];
        List<double> kept = [];
        using DisposeScope outer = NewDisposeScope();
        Batch samples = network.RandomBatch();
        int[] sizes = [.. Dho2.Planning.MicroBatches.Split(network.Batch, MicroBatches)];
        IReadOnlyList<Instruction> Instructions(int stage) => ScheduleBuilder.Build(Schedule.OneForwardOneBackward, stages, sizes.Length)[stage];
        Measuring.OnRanks(stages, pipeline =>
        {
            StageContext context = new(1);
            using IPipelineStage stage = network.Stage(context, pipeline.Rank, stages);
            using FlatParameters flat = new(stage.Layers, ScalarType.Float32, CPU);
            using PipelineExecutor executor = new(stage, context, pipeline, Network.Cuts(stages), Network.Loss);
            using PipelineHessian keeping = Hessian(network, pipeline, stages, retain: true);
            using PipelineHessian rebuilding = Hessian(network, pipeline, stages, retain: false);
            CurvatureBatch batch = new(samples, sizes, 0, network.Batch);
            keeping.Begin(flat, batch);
            rebuilding.Begin(flat, batch);
            using Tensor direction = randn(flat.Count).DetachFromDisposeScope();
            using Tensor product = zeros_like(direction).DetachFromDisposeScope();
            for (int i = 0; i < repetitions + 2; i++)
            {
                double gradient = Time(pipeline, () =>
                {
                    flat.Gradients.zero_();
                    executor.Train(Instructions(pipeline.Rank), samples, sizes, 0, network.Batch);
                });
                double anew = Time(pipeline, () => rebuilding.Multiply(direction, product));
                double again = Time(pipeline, () => keeping.Multiply(direction, product));
                if (pipeline.Rank == 0 && i >= 2)
                {
                    gradients.Add(gradient);
                    rebuilt.Add(anew / gradient);
                    kept.Add(again / gradient);
                }
            }
        });
        return (Measuring.Median(gradients), Measuring.Median(rebuilt), Measuring.Median(kept));
    }

    private static double Time(ICommunicator pipeline, Action work)
    {
        using DisposeScope scope = NewDisposeScope();
        pipeline.Barrier();
        double start = Measuring.ProcessorSeconds();

        // Nobody begins before the clock was read.
        pipeline.Barrier();
        work();
        pipeline.Barrier();
        double time = Measuring.ProcessorSeconds() - start;
        pipeline.Barrier();
        return time;
    }

    private static PipelineHessian Hessian(Network network, ICommunicator pipeline, int stages, bool retain)
    {
        StageContext context = new(1);
        return new PipelineHessian(
            network.Stage(context, pipeline.Rank, stages), context, pipeline, Network.Cuts(stages), Network.Loss, new() { RetainGraphs = retain, ReuseTangents = network.HasThirdDerivatives });
    }
}
