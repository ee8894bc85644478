using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>A classifier of points in the plane: blocks of a tanh layer with dropout, and the class scores in the last, spread over stages.</summary>
internal static class ChainModel
{
    private const int Width = 8;
    private const int Classes = 3;

    public static ModelOptions Attributes { get; } =
        new(2, Schedule.OneForwardOneBackward, BaseKind.HeavyBall, 1, 32, null, null, null);

    /// <summary>What a generator would hand over.</summary>
    public static PipelineDefinition Define(
        int stages, int? blocks = null, ModelOptions? options = null, double dropout = 0, Action<int, int>? beforeForward = null, bool batchNorm = false)
    {
        int count = blocks ?? stages;
        ModelDescription description = Describe(stages, count, options ?? Attributes);
        return new PipelineDefinition
        {
            DescriptionText = ModelDescriptionText.Write(description),
            PlanHash = Planner.Plan(description).Plan!.Hash,
            Stages = [.. Enumerable.Range(0, stages).Select(s => (Func<StageContext, IPipelineStage>)(c => new Stage(c, s, stages, count, dropout, beforeForward, batchNorm)))],
            Loss = (results, targets) => nn.functional.cross_entropy(results[0], targets[0]),
            Unsplit = seed => new Unsplit(seed, count, dropout, batchNorm),
        };
    }

    /// <summary>Points in the plane, with one of three sectors as their class.</summary>
    public static (Tensor Points, Tensor Labels) Data(int samples, ScalarType dtype, int seed = 1)
    {
        var random = new Random(seed);
        double[] points = [.. Enumerable.Range(0, 2 * samples).Select(_ => (random.NextDouble() * 2) - 1)];
        long[] labels = [.. Enumerable.Range(0, samples).Select(i =>
            (long)Math.Min(Classes - 1, (Math.Atan2(points[2 * i], points[(2 * i) + 1]) + Math.PI) / (2 * Math.PI) * Classes))];
        return (tensor(points).to(dtype).view(samples, 2).clone(), tensor(labels).clone());
    }

    private static int StageOf(int block, int stages, int blocks) => block * stages / blocks;

    private static ModelDescription Describe(int stages, int blocks, ModelOptions options)
    {
        const string tensorType = "global::TorchSharp.torch.Tensor";
        return new(
            "Chain",
            "Tests.Chain",
            options,
            new[] { new InputDescription("x", new[] { new DimensionDescription(2, null) }.ToEquatableArray(), DType.Float32) }.ToEquatableArray(),
            new[] { new InputDescription("labels", default(EquatableArray<DimensionDescription>), DType.Int64) }.ToEquatableArray(),
            Enumerable.Range(0, blocks).Select(b => new LayerDescription($"block{b}", "unknown", "global::Block", default, StageOf(b, stages, blocks), null, null)).ToEquatableArray(),
            Enumerable.Range(0, blocks).Select(s => new Operation("layer", new[] { Argument.OfValue("input", s) }.ToEquatableArray(), s, s, tensorType)).ToEquatableArray(),
            Enumerable.Range(0, blocks).Select(_ => new StatementDescription(default, default, Pieces: true)).ToEquatableArray(),
            new[] { blocks }.ToEquatableArray());
    }

    private static Sequential CreateBlock(int index, int blocks, double dropout, bool batchNorm)
    {
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>
        {
            ("fc", nn.Linear(index == 0 ? 2 : Width, Width)),
            ("act", nn.Tanh()),
            ("drop", nn.Dropout(dropout)),
        };
        if (batchNorm)
        {
            layers.Insert(1, ("norm", nn.BatchNorm1d(Width)));
        }

        if (index == blocks - 1)
        {
            layers.Add(("head", nn.Linear(Width, Classes)));
        }

        return nn.Sequential(layers);
    }

    private sealed class Stage : IPipelineStage
    {
        private readonly (string Name, Sequential Block)[] blocks;
        private readonly Action<int, int>? beforeForward;
        private int forwards;

        public Stage(StageContext context, int index, int stages, int count, double dropout, Action<int, int>? beforeForward, bool batchNorm)
        {
            Index = index;
            this.beforeForward = beforeForward;
            blocks =
            [
                .. Enumerable.Range(0, count)
                    .Where(b => StageOf(b, stages, count) == index)
                    .Select(b => ($"block{b}", context.Create($"block{b}", () => CreateBlock(b, count, dropout, batchNorm)))),
            ];
        }

        public int Index { get; }

        public IReadOnlyList<StageLayer> Layers => [.. blocks.Select(b => new StageLayer(b.Name, b.Block))];

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs)
        {
            beforeForward?.Invoke(Index, forwards++);
            return [blocks.Aggregate(inputs[0], (x, b) => b.Block.forward(x))];
        }

        public void Dispose() => Array.ForEach(blocks, b => b.Block.Dispose());
    }

    private sealed class Unsplit : nn.Module<Tensor, Tensor>
    {
        private readonly Sequential[] blocks;

        public Unsplit(long seed, int count, double dropout, bool batchNorm)
            : base(nameof(Unsplit))
        {
            var context = new StageContext(seed);
            blocks = [.. Enumerable.Range(0, count).Select(b => context.Create($"block{b}", () => CreateBlock(b, count, dropout, batchNorm)))];
            for (int b = 0; b < count; b++)
            {
                register_module($"block{b}", blocks[b]);
            }
        }

        public override Tensor forward(Tensor input) => blocks.Aggregate(input, (x, block) => block.call(x));
    }
}
