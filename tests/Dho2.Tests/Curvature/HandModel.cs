using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>A piece of a model: some layers, and a function of what is live before it to what is live after it.</summary>
/// <param name="Layers">Its layers.</param>
/// <param name="Forward">Its share of forward.</param>
internal sealed record Block(IReadOnlyList<StageLayer> Layers, Func<IReadOnlyList<Tensor>, Tensor[]> Forward)
{
    /// <summary>Its mirrors of parameters that another stage owns.</summary>
    public IReadOnlyList<ParameterMirror> Mirrors { get; init; } = [];
}

/// <summary>A model written as a list of blocks, so that consecutive ones can be put on one stage in any way.</summary>
internal sealed class HandModel
{
    /// <summary>The blocks' factories.</summary>
    public required IReadOnlyList<Func<StageContext, Block>> Blocks { get; init; }

    /// <summary>After each block but the last, what is live there: whether each value is differentiable.</summary>
    public required IReadOnlyList<bool[]> Live { get; init; }

    /// <summary>The model's inputs for a number of samples.</summary>
    public required Func<int, Tensor[]> Inputs { get; init; }

    /// <summary>The targets for a number of samples.</summary>
    public required Func<int, Tensor[]> Targets { get; init; }

    /// <summary>Parameters that several blocks use: the owner's block, and the others.</summary>
    public IReadOnlyList<(string Name, int Owner, int[] Users)> Shared { get; init; } = [];

    /// <summary>The loss.</summary>
    public required Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>, Tensor> Loss { get; init; }

    /// <summary>Where stages begin, for a number of stages: blocks are shared out as evenly as they go.</summary>
    public int FirstBlock(int stage, int stages) => Blocks.Count * stage / stages;

    /// <summary>One stage.</summary>
    public IPipelineStage Stage(StageContext context, int stage, int stages) => new HandStage(
        stage,
        [.. Blocks.Skip(FirstBlock(stage, stages)).Take(FirstBlock(stage + 1, stages) - FirstBlock(stage, stages)).Select(create => create(context))],
        [.. Shared.Where(shared => StageOf(shared.Owner, stages) == stage).Select(shared => shared.Name)]);

    /// <summary>The cuts between stages.</summary>
    public IReadOnlyList<CutPlan> Cuts(int stages) =>
        [.. Enumerable.Range(0, stages - 1).Select(cut => new CutPlan(
            cut,
            Live[FirstBlock(cut + 1, stages) - 1].Select((d, i) => new CutValue(i, $"v{i}", "global::TorchSharp.torch.Tensor", null, d)).ToEquatableArray()))];

    /// <summary>The shared parameters that lie on several stages.</summary>
    public IReadOnlyList<TiedParameter> Ties(int stages) =>
    [
        .. Shared
            .Select(shared => (shared.Name, Owner: StageOf(shared.Owner, stages), Users: shared.Users.Select(block => StageOf(block, stages))))
            .Select(shared => new TiedParameter(shared.Name, shared.Owner, [.. shared.Users.Where(s => s != shared.Owner).Distinct().Order()])),
    ];

    private int StageOf(int block, int stages) => Enumerable.Range(0, stages).Last(stage => FirstBlock(stage, stages) <= block);

    private sealed class HandStage(int index, IReadOnlyList<Block> blocks, IReadOnlyCollection<string> owned) : IPipelineStage
    {
        public int Index => index;

        public IReadOnlyList<StageLayer> Layers => [.. blocks.SelectMany(block => block.Layers)];

        // Whose owner is on this stage is no mirror.
        public IReadOnlyList<ParameterMirror> Mirrors =>
            [.. blocks.SelectMany(block => block.Mirrors).DistinctBy(mirror => mirror.Name).Where(mirror => !owned.Contains(mirror.Name))];

        public Tensor[] Forward(IReadOnlyList<Tensor> inputs)
        {
            Tensor[] live = [.. inputs];
            foreach (Block block in blocks)
            {
                live = block.Forward(live);
            }

            return live;
        }

        public void Dispose()
        {
            foreach (StageLayer layer in Layers)
            {
                layer.Module?.Dispose();
                layer.Parameter?.Dispose();
            }

            foreach (ParameterMirror mirror in Mirrors)
            {
                mirror.Parameter.Dispose();
            }
        }
    }
}
