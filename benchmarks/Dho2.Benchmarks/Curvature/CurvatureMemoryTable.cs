using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Dho2.Benchmarks.Curvature;

/// <summary>
/// Bytes of curvature that each rank owns at 1, 2, 4 and 8 stages, counted on the buffers themselves, against the plan and
/// against an equal share.
/// </summary>
internal static class CurvatureMemoryTable
{
    private const int Width = 64;
    private const int Layers = 8;
    private const int Rank = 10;
    private const int Samples = 32;

    public static int Run(bool quick)
    {
        Measuring.PrintEnvironment("curvature-memory", quick);
        Console.WriteLine($"{Layers} linear layers of {Width} x {Width}, k = {Rank}, heavy-ball. Kept: eigenvectors and the carried rest, after two estimates. Basis: what an estimate holds while it runs, the new eigenvectors and the graphs apart.");
        Console.WriteLine();
        Console.WriteLine("| stages | kept on the fullest rank, bytes | planned | kept / planned | of one rank's alone | 1 / stages | off by | target | basis on the fullest rank, bytes | of one rank's alone |");
        Console.WriteLine("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        (long Kept, long Basis) whole = (0, 0);
        foreach (int stages in new[] { 1, 2, 4, 8 })
        {
            long planned = Planned(stages);
            (long Kept, long Basis) most = Measure(stages);
            whole = stages == 1 ? most : whole;
            double share = (double)most.Kept / whole.Kept;
            Console.WriteLine(
                $"| {stages} | {most.Kept} | {planned} | {Measuring.Text((double)most.Kept / planned, 4)} | {Measuring.Text(share, 4)} | {Measuring.Text(1.0 / stages, 4)} | {Measuring.Text(100 * ((share * stages) - 1))} % | exact, 2 % | {most.Basis} | {Measuring.Text((double)most.Basis / whole.Basis, 4)} |");
        }

        return 0;
    }

    private static (long Kept, long Basis) Measure(int stages)
    {
        long[] kept = new long[stages];
        long[] basis = new long[stages];
        Network network = new("chain", [.. Enumerable.Repeat(new NetworkBlock(() => nn.Sequential(nn.Linear(Width, Width)), Width * Width), Layers)], [Width], Width, Samples);
        using DisposeScope scope = NewDisposeScope();
        Batch samples = network.RandomBatch();
        Measuring.OnRanks(stages, pipeline =>
        {
            StageContext context = new(1);
            using IPipelineStage stage = network.Stage(context, pipeline.Rank, stages);
            using FlatParameters flat = new(stage.Layers, ScalarType.Float32, CPU);
            StageContext twinContext = new(1);
            using PipelineHessian hessian = new(network.Stage(twinContext, pipeline.Rank, stages), twinContext, pipeline, Network.Cuts(stages), Network.Loss);
            ShardedSpace space = new(hessian.Segments, pipeline);
            using HybridOptimizer optimizer = new(space, new() { Base = BaseKind.HeavyBall });
            using LanczosEstimator estimator = new(space, new() { Largest = Rank });
            hessian.Begin(flat, new CurvatureBatch(samples, [Samples], 0, Samples));
            for (int i = 0; i < 2; i++)
            {
                estimator.Start(hessian, optimizer.Subspace);
                while (!estimator.Advance())
                {
                    basis[pipeline.Rank] = Math.Max(basis[pipeline.Rank], estimator.OwnedBytes);
                }

                optimizer.Refresh(estimator.TakeResult());
            }

            kept[pipeline.Rank] = optimizer.GetState().Vectors
                .Where(vector => vector.Key.StartsWith("curvature.", StringComparison.Ordinal) || vector.Key == "newton.rest")
                .Sum(vector => vector.Value.numel() * vector.Value.element_size());
        });
        return (kept.Max(), basis.Max());
    }

    private static long Planned(int stages)
    {
        const string tensorType = "global::TorchSharp.torch.Tensor";
        ModelDescription model = new(
            "Chain",
            "Chain",
            new ModelOptions(1, Schedule.OneForwardOneBackward, BaseKind.HeavyBall, 1, Samples, null, new CurvatureOptions(Rank, 0, 400, 400, 0, 0.1, 3, CurvatureScope.Global), null),
            new[] { new InputDescription("x", new[] { new DimensionDescription(Width, null) }.ToEquatableArray(), DType.Float32) }.ToEquatableArray(),
            default,
            Enumerable.Range(0, Layers).Select(i => new LayerDescription(
                $"fc{i}", "TorchSharp.torch.nn.Linear", "global::TorchSharp.Modules.Linear",
                new[] { Argument.OfInteger("inputSize", Width), Argument.OfInteger("outputSize", Width) }.ToEquatableArray(), i * stages / Layers, null, null)).ToEquatableArray(),
            Enumerable.Range(0, Layers).Select(i => new Operation("layer", new[] { Argument.OfValue("input", i) }.ToEquatableArray(), i, i, tensorType)).ToEquatableArray(),
            Enumerable.Range(0, Layers).Select(_ => new StatementDescription(default, default, Pieces: true)).ToEquatableArray(),
            new[] { Layers }.ToEquatableArray());
        Plan plan = Planner.Plan(model).Plan!;
        return plan.Stages.Max(stage => stage.Memory.Single(term => term.Kind == MemoryKind.Curvature).Bytes!.Value);
    }
}
