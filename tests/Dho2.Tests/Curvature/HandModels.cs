using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using Dho2.Pipelines;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Tests.Curvature;

/// <summary>Small models, each of four blocks, that together touch what a cut or a second derivative may stumble over.</summary>
internal static class HandModels
{
    public static IReadOnlyDictionary<string, HandModel> All { get; } = new Dictionary<string, HandModel>
    {
        ["mlp"] = Chain([5], 3, [
            c => One(c, "a", 5, 7, x => x.tanh()),
            c => One(c, "b", 7, 6, x => x.sigmoid()),
            c => One(c, "c", 6, 6, x => x.tanh()),
            c => One(c, "d", 6, 3, x => x)]),
        ["gelu, layer norm, dropout"] = Chain([5], 3, [
            c => Sequence(c, "a", () => [nn.Linear(5, 8), nn.GELU()]),
            c => Sequence(c, "b", () => [nn.LayerNorm(8), nn.Linear(8, 8)]),
            c =>
            {
                StageDropout dropout = new(c, "c", 0.4);
                return new Block([new StageLayer("c", dropout)], x => [dropout.forward(x[0])]);
            },
            c => One(c, "d", 8, 3, x => x)]),
        ["cnn, batch norm"] = Chain([1, 6, 6], 3, [
            c => Sequence(c, "a", () => [nn.Conv2d(1, 4, 3, padding: 1), nn.BatchNorm2d(4), nn.SiLU()]),
            c => Sequence(c, "b", () => [nn.Conv2d(4, 4, 3, padding: 1), nn.BatchNorm2d(4), nn.Tanh(), nn.AvgPool2d(2)]),
            c => Sequence(c, "c", () => [nn.Conv2d(4, 4, 3, padding: 1), WithOnes(nn.GroupNorm(2, 4)), nn.Softplus(), nn.MaxPool2d(3)]),
            c => Sequence(c, "d", () => [nn.Flatten(), nn.Linear(4, 3)])]),
        ["lstm, embedding"] = Sequences(
            c =>
            {
                Embedding embedding = c.Create("tokens", () => nn.Embedding(11, 6));
                return new Block([new StageLayer("tokens", embedding)], x => [embedding.forward(x[0])]);
            },
            c =>
            {
                LSTM lstm = c.Create("lstm", () => nn.LSTM(6, 5, batchFirst: true));
                return new Block([new StageLayer("lstm", lstm)], x => [lstm.forward(x[0]).Item1]);
            }),
        ["attention, embedding"] = Sequences(
            c =>
            {
                Embedding embedding = c.Create("tokens", () => nn.Embedding(11, 4));
                return new Block([new StageLayer("tokens", embedding)], x => [embedding.forward(x[0])]);
            },
            c =>
            {
                Linear qkv = c.Create("qkv", () => nn.Linear(4, 15));
                return new Block([new StageLayer("qkv", qkv)], x =>
                {
                    Tensor[] parts = qkv.forward(x[0]).unsqueeze(1).chunk(3, -1);
                    return [scaled_dot_product_attention(parts[0], parts[1], parts[2], is_casual: true).squeeze(1)];
                });
            }),
        ["skips"] = Skips(),
        ["residual, group norm"] = Residual(),
        ["transformer"] = Sequences(
            c =>
            {
                Embedding embedding = c.Create("tokens", () => nn.Embedding(11, 4));
                return new Block([new StageLayer("tokens", embedding)], x => [embedding.forward(x[0])]);
            },
            c =>
            {
                MultiheadAttention attention = c.Create("attention", () => nn.MultiheadAttention(4, 2));
                Sequential rest = c.Create("rest", () => nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 5)));
                return new Block(
                    [new StageLayer("attention", attention), new StageLayer("rest", rest)],
                    x =>
                    {
                        Tensor tokens = x[0].transpose(0, 1);
                        Tensor attended = attention.forward(tokens, tokens, tokens, null, false, null).Item1;
                        return [rest.forward(x[0] + attended.transpose(0, 1))];
                    });
            }),
        ["ties"] = Tied(),
    };

    /// <summary>
    /// An embedding whose weight is also the last layer's, within that layer's module, and a bare parameter that is used
    /// before its owner's block and after it.
    /// </summary>
    private static HandModel Tied() => new()
    {
        Blocks =
        [
            c =>
            {
                Embedding embedding = c.Create("tokens", () => nn.Embedding(7, 5));
                SharedOf(c)["tokens.weight"] = embedding.weight!;
                return new Block([new StageLayer("tokens", embedding)], x => [embedding.forward(x[0])]);
            },
            c =>
            {
                Linear b = Linear(c, "b", 5, 5);
                Parameter shift = Shift(c);
                return new Block([new StageLayer("b", b)], x => [b.forward(x[0] * shift).tanh()]) { Mirrors = [new("shift", shift)] };
            },
            c =>
            {
                Linear d = Linear(c, "d", 5, 5);
                Parameter shift = Shift(c);
                return new Block([new StageLayer("d", d), new StageLayer("shift", shift)], x => [(d.forward(x[0]) + shift).sin()]);
            },
            c =>
            {
                Linear head = c.Create("head", () => nn.Linear(5, 7, hasBias: false));
                if (SharedOf(c).TryGetValue("tokens.weight", out Parameter? weight))
                {
                    head.weight = weight;
                }

                Parameter shift = Shift(c);
                return new Block([new StageLayer("head", head)], x => [head.forward(x[0].mean([1L]) + shift.pow(2))])
                {
                    Mirrors = [new("tokens.weight", head.weight!), new("shift", shift)],
                };
            },
        ],
        Live = [[true], [true], [true]],
        Inputs = n => [torch.randint(0, 7, [n, 3], int64)],
        Targets = n => [torch.randint(0, 7, n, int64)],
        Loss = CrossEntropy,
        Shared = [("tokens.weight", 0, [3]), ("shift", 2, [1, 3])],
    };

    // What the blocks of one stage share; the stage's context stands for the stage.
    private static readonly ConditionalWeakTable<StageContext, Dictionary<string, Parameter>> SharedByStage = [];

    private static Dictionary<string, Parameter> SharedOf(StageContext context) => SharedByStage.GetOrCreateValue(context);

    private static Parameter Shift(StageContext context) => SharedOf(context).TryGetValue("shift", out Parameter? known)
        ? known
        : SharedOf(context)["shift"] = context.Create("shift", () => new Parameter(torch.rand(5, context.DType)));

    /// <summary>Two residual blocks, each with a cut between its branches and their sum.</summary>
    private static HandModel Residual() => new()
    {
        Blocks =
        [
            c =>
            {
                Sequential stem = c.Create("stem", () => nn.Sequential(nn.Conv2d(1, 4, 3, padding: 1), nn.SiLU()));
                return new Block([new StageLayer("stem", stem)], x => [stem.forward(x[0])]);
            },
            c =>
            {
                Sequential branch = Branch(c, "branch1");
                return new Block([new StageLayer("branch1", branch)], x => [branch.forward(x[0]), x[0]]);
            },
            c =>
            {
                Sequential branch = Branch(c, "branch2");
                return new Block([new StageLayer("branch2", branch)], x =>
                {
                    Tensor sum = x[0] + x[1];
                    return [branch.forward(sum), sum];
                });
            },
            c =>
            {
                Linear head = Linear(c, "head", 4, 3);
                return new Block([new StageLayer("head", head)], x => [head.forward((x[0] + x[1]).tanh().mean([2L, 3L]))]);
            },
        ],
        Live = [[true], [true, true], [true, true]],
        Inputs = n => [torch.randn([n, 1, 4, 4], float64)],
        Targets = n => [torch.randint(0, 3, n, int64)],
        Loss = CrossEntropy,
    };

    private static Sequential Branch(StageContext context, string name) =>
        context.Create(name, () => nn.Sequential(nn.Conv2d(4, 4, 3, padding: 1), WithOnes(nn.GroupNorm(2, 4)), nn.GELU()));

    /// <summary>Two tensors over every cut, one of them carried over two, beside one that has no derivative.</summary>
    private static HandModel Skips() => new()
    {
        Blocks =
        [
            c =>
            {
                Linear a = Linear(c, "a", 4, 5);
                return new Block([new StageLayer("a", a)], x => [a.forward(x[0]).tanh(), x[0].argmax(1), x[0]]);
            },
            c =>
            {
                Linear b = Linear(c, "b", 5, 5);
                Parameter shift = c.Create("shift", () => new Parameter(torch.rand(5, float64)));
                return new Block(
                    [new StageLayer("b", b), new StageLayer("shift", shift)],
                    x => [b.forward(x[0] + shift).sin(), x[0], x[1], x[2]]);
            },
            c =>
            {
                Linear d = Linear(c, "d", 5, 5);
                return new Block([new StageLayer("d", d)], x => [d.forward(x[0]) * x[0], x[1], x[2], x[3]]);
            },
            c =>
            {
                Linear e = Linear(c, "e", 9, 3);
                return new Block(
                    [new StageLayer("e", e)],
                    x => [e.forward(cat([x[0].tanh() + x[1].pow(2), x[3]], 1)) + one_hot(x[2], 4).narrow(1, 0, 3)]);
            },
        ],
        Live = [[true, false, false], [true, true, false, false], [true, true, false, false]],
        Inputs = n => [torch.randn(n, 4, float64)],
        Targets = n => [torch.randint(0, 3, n, int64)],
        Loss = CrossEntropy,
    };

    private static HandModel Chain(long[] input, int classes, IReadOnlyList<Func<StageContext, Block>> blocks) => new()
    {
        Blocks = blocks,
        Live = [.. Enumerable.Repeat(new[] { true }, blocks.Count - 1)],
        Inputs = n => [torch.randn([n, .. input], float64)],
        Targets = n => [torch.randint(0, classes, n, int64)],
        Loss = CrossEntropy,
    };

    private static HandModel Sequences(Func<StageContext, Block> first, Func<StageContext, Block> second) => new()
    {
        Blocks =
        [
            first,
            second,
            c => One(c, "mix", 5, 4, x => x.tanh()),
            c => One(c, "out", 4, 3, x => x.mean([1L])),
        ],
        Live = [[true], [true], [true]],
        Inputs = n => [torch.randint(0, 11, [n, 4], int64)],
        Targets = n => [torch.randint(0, 3, n, int64)],
        Loss = CrossEntropy,
    };

    private static Tensor CrossEntropy(IReadOnlyList<Tensor> results, IReadOnlyList<Tensor> targets) => cross_entropy(results[0], targets[0]);

    private static Linear Linear(StageContext context, string name, int from, int to) => context.Create(name, () => nn.Linear(from, to));

    private static Block One(StageContext context, string name, int from, int to, Func<Tensor, Tensor> after)
    {
        Linear layer = Linear(context, name, from, to);
        return new Block([new StageLayer(name, layer)], x => [after(layer.forward(x[0]))]);
    }

    private static Block Sequence(StageContext context, string name, Func<Module<Tensor, Tensor>[]> layers)
    {
        Sequential sequence = context.Create(name, () => nn.Sequential(layers()));
        return new Block([new StageLayer(name, sequence)], x => [sequence.forward(x[0])]);
    }

    // TorchSharp leaves the weight of a group norm as it found the memory.
    private static GroupNorm WithOnes(GroupNorm norm)
    {
        nn.init.ones_(norm.weight!);
        nn.init.zeros_(norm.bias!);
        return norm;
    }
}
