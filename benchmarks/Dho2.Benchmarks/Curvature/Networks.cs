using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Dho2.Benchmarks.Curvature;

/// <summary>A piece of a network that is never cut.</summary>
/// <param name="Create">Its layers.</param>
/// <param name="Products">Multiplications of its forward, per sample, in matrix products and convolutions.</param>
internal sealed record NetworkBlock(Func<nn.Module<Tensor, Tensor>> Create, double Products);

/// <summary>A classifier as a chain of blocks, which are shared out over any number of stages.</summary>
/// <param name="Name">Its name in tables.</param>
/// <param name="Blocks">The blocks.</param>
/// <param name="Input">The sizes of a sample.</param>
/// <param name="Classes">The number of classes.</param>
/// <param name="Batch">Samples of a batch.</param>
internal sealed record Network(string Name, IReadOnlyList<NetworkBlock> Blocks, long[] Input, int Classes, int Batch)
{
    /// <summary>The networks of the tables.</summary>
    public static IReadOnlyList<Network> All { get; } =
    [
        new("MLP 784-256-128-10", [Dense(784, 256), Dense(256, 128), Head(128, 10)], [784], 10, 1024),
        new("MLP 512 x 8", [.. Enumerable.Repeat(Dense(512, 512), 7), Head(512, 10)], [512], 10, 1024),
        new("CNN 16-32-64", [Conv(1, 16, 28, 1, false), Conv(16, 32, 28, 2, false), Conv(32, 64, 14, 2, false), Flat(64 * 7 * 7, 10)], [1, 28, 28], 10, 64),
        new("CNN 16-32-64, batch norm", [Conv(1, 16, 28, 1, true), Conv(16, 32, 28, 2, true), Conv(32, 64, 14, 2, true), Flat(64 * 7 * 7, 10)], [1, 28, 28], 10, 64),
        new("residual MLP 256, layer norm, GELU", [Dense(256, 256), Residual(256), Residual(256), Residual(256), Head(256, 10)], [256], 10, 1024),
    ];

    /// <summary>
    /// The least ratio of a product's multiplications to a gradient's: per layer, two for each of tangents, gradients with
    /// respect to activations and to weights (Pearlmutter 1994), against one each of forward and the two gradients. The
    /// first layer has no gradient with respect to its input, and a tangent of weights alone.
    /// </summary>
    public double Floor
    {
        get
        {
            double first = Blocks[0].Products;
            double rest = Blocks.Skip(1).Sum(block => block.Products);
            return ((2 * first) + (6 * rest)) / ((2 * first) + (3 * rest));
        }
    }

    /// <summary>Whether third derivatives are right throughout, as a plan would know: not with batch and layer normalisation.</summary>
    public bool HasThirdDerivatives => !Name.Contains("norm", StringComparison.Ordinal);

    /// <summary>One stage.</summary>
    public IPipelineStage Stage(StageContext context, int stage, int stages) => new NetworkStage(
        stage,
        [.. Enumerable.Range(First(stage, stages), First(stage + 1, stages) - First(stage, stages)).Select(b =>
            new StageLayer($"block{b}", context.Create($"block{b}", Blocks[b].Create)))]);

    /// <summary>The cuts between stages.</summary>
    public static IReadOnlyList<CutPlan> Cuts(int stages) =>
        [.. Enumerable.Range(0, stages - 1).Select(cut =>
            new CutPlan(cut, new[] { new CutValue(cut, "x", "global::TorchSharp.torch.Tensor", null, true) }.ToEquatableArray()))];

    /// <summary>The loss.</summary>
    public static Tensor Loss(IReadOnlyList<Tensor> results, IReadOnlyList<Tensor> targets) => functional.cross_entropy(results[0], targets[0]);

    /// <summary>Random samples.</summary>
    public Batch RandomBatch()
    {
        random.manual_seed(1);
        return new Batch([randn([Batch, .. Input])], [randint(0, Classes, Batch, int64)]);
    }

    private int First(int stage, int stages) => Blocks.Count * stage / stages;

    private static NetworkBlock Dense(int from, int to) =>
        new(() => nn.Sequential(nn.Linear(from, to), nn.Tanh()), (double)from * to);

    private static NetworkBlock Head(int from, int to) => new(() => nn.Sequential(nn.Linear(from, to)), (double)from * to);

    private static NetworkBlock Flat(int from, int to) => new(() => nn.Sequential(nn.Flatten(), nn.Linear(from, to)), (double)from * to);

    private static NetworkBlock Conv(int from, int to, int size, int stride, bool norm) => new(
        () => norm
            ? nn.Sequential(nn.Conv2d(from, to, 3, stride: stride, padding: 1), nn.BatchNorm2d(to), nn.ReLU())
            : nn.Sequential(nn.Conv2d(from, to, 3, stride: stride, padding: 1), nn.ReLU()),
        9.0 * from * to * (size / stride) * (size / stride));

    private static NetworkBlock Residual(int width) => new(() => new ResidualBlock(width), 2.0 * width * width);

    private sealed class NetworkStage(int index, IReadOnlyList<StageLayer> layers) : IPipelineStage
    {
        public int Index => index;

        public IReadOnlyList<StageLayer> Layers => layers;

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs) =>
            [layers.Aggregate(inputs[0], (x, layer) => ((nn.Module<Tensor, Tensor>)layer.Module!).forward(x))];

        public void Dispose()
        {
            foreach (StageLayer layer in layers)
            {
                layer.Module!.Dispose();
            }
        }
    }

    private sealed class ResidualBlock : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.Sequential branch;

        public ResidualBlock(int width)
            : base(nameof(ResidualBlock))
        {
            branch = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width));
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => input + branch.forward(input);
    }
}
