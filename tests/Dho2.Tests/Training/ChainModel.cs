using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>A classifier of points in the plane: one tanh layer with dropout for each stage, and the class scores on the last.</summary>
internal static class ChainModel
{
    private const int Width = 8;
    private const int Classes = 3;

    public static ModelOptions Attributes { get; } =
        new(2, Schedule.OneForwardOneBackward, BaseKind.HeavyBall, 1, 32, null, null, null);

    /// <summary>What a generator would hand over.</summary>
    public static PipelineDefinition Define(int stages, ModelOptions? options = null, double dropout = 0, Action<int, int>? beforeForward = null)
    {
        ModelDescription description = Describe(stages, options ?? Attributes);
        return new PipelineDefinition
        {
            DescriptionText = ModelDescriptionText.Write(description),
            PlanHash = Planner.Plan(description).Plan!.Hash,
            Stages = [.. Enumerable.Range(0, stages).Select(s => (Func<StageContext, IPipelineStage>)(c => new Stage(c, s, stages, dropout, beforeForward)))],
            Loss = (results, targets) => nn.functional.cross_entropy(results[0], targets[0]),
            Unsplit = seed => new Unsplit(seed, stages, dropout),
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

    private static ModelDescription Describe(int stages, ModelOptions options)
    {
        const string tensorType = "global::TorchSharp.torch.Tensor";
        return new(
            "Chain",
            "Tests.Chain",
            options,
            new[] { new InputDescription("x", new[] { new DimensionDescription(2, null) }.ToEquatableArray(), DType.Float32) }.ToEquatableArray(),
            new[] { new InputDescription("labels", default(EquatableArray<DimensionDescription>), DType.Int64) }.ToEquatableArray(),
            Enumerable.Range(0, stages).Select(s => new LayerDescription($"block{s}", "unknown", "global::Block", default, s, null, null)).ToEquatableArray(),
            Enumerable.Range(0, stages).Select(s => new Operation("layer", new[] { Argument.OfValue("input", s) }.ToEquatableArray(), s, s, tensorType)).ToEquatableArray(),
            Enumerable.Range(0, stages).Select(_ => new StatementDescription(default, default, Pieces: true)).ToEquatableArray(),
            new[] { stages }.ToEquatableArray());
    }

    private static Sequential CreateBlock(int stage, int stages, double dropout)
    {
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>
        {
            ("fc", nn.Linear(stage == 0 ? 2 : Width, Width)),
            ("act", nn.Tanh()),
            ("drop", nn.Dropout(dropout)),
        };
        if (stage == stages - 1)
        {
            layers.Add(("head", nn.Linear(Width, Classes)));
        }

        return nn.Sequential(layers);
    }

    private sealed class Stage : IPipelineStage
    {
        private readonly Sequential block;
        private readonly Action<int, int>? beforeForward;
        private int forwards;

        public Stage(StageContext context, int index, int stages, double dropout, Action<int, int>? beforeForward)
        {
            Index = index;
            this.beforeForward = beforeForward;
            block = context.Create($"block{index}", () => CreateBlock(index, stages, dropout));
        }

        public int Index { get; }

        public IReadOnlyList<StageLayer> Layers => [new($"block{Index}", block)];

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs)
        {
            beforeForward?.Invoke(Index, forwards++);
            return [block.forward(inputs[0])];
        }

        public void Dispose() => block.Dispose();
    }

    private sealed class Unsplit : nn.Module<Tensor, Tensor>
    {
        private readonly Sequential[] blocks;

        public Unsplit(long seed, int stages, double dropout)
            : base(nameof(Unsplit))
        {
            var context = new StageContext(seed);
            blocks = [.. Enumerable.Range(0, stages).Select(s => context.Create($"block{s}", () => CreateBlock(s, stages, dropout)))];
            for (int s = 0; s < stages; s++)
            {
                register_module($"block{s}", blocks[s]);
            }
        }

        public override Tensor forward(Tensor input) => blocks.Aggregate(input, (x, block) => block.call(x));
    }
}
