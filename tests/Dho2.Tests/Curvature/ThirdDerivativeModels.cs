using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace Dho2.Tests.Curvature;

/// <summary>Models whose second stage contains what planning says has third derivatives, a few at a time.</summary>
internal static class ThirdDerivativeModels
{
    private const int Width = 6;

    // By the names of planning's list: a layer, and what is done with it and values of shape (n, 6), which gives (n, 6).
    private static readonly (string[] Names, Func<StageContext, nn.Module<Tensor, Tensor>> Layer, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor> Apply)[] Entries =
    [
        Layer(["Linear", "operator +"], () => nn.Linear(Width, Width), (layer, x) => x + layer.forward(x)),
        Layer(["Conv1d"], () => nn.Conv1d(1, 1, 3, padding: 1), (layer, x) => layer.forward(x.unsqueeze(1)).squeeze(1)),
        Layer(["Conv2d"], () => nn.Conv2d(1, 1, 3, padding: 1), (layer, x) => layer.forward(Image(x)).flatten(1)),
        Layer(["Flatten"], () => nn.Flatten(), (layer, x) => layer.forward(Image(x))),
        Layer(["Embedding"], () => nn.Embedding(5, Width), (layer, x) => layer.forward(x.detach().narrow(1, 0, 1).abs().mul(3).to(int64).remainder(5).squeeze(1)) * x),
        Layer(["Identity", "ReLU", "relu"], () => nn.Sequential(nn.Identity(), nn.ReLU()), (layer, x) => layer.forward(x) * relu(x + 0.1)),
        (["Dropout"], c => new StageDropout(c, "drop", 0.3), (layer, x) => layer.forward(x)),
        Layer(["LeakyReLU", "leaky_relu"], () => nn.LeakyReLU(0.2), (layer, x) => layer.forward(x) * leaky_relu(x.sin(), 0.1)),
        Layer(["Tanh", "tanh"], () => nn.Tanh(), (layer, x) => layer.forward(x) * tanh(x * x)),
        Layer(["Sigmoid", "sigmoid"], () => nn.Sigmoid(), (layer, x) => layer.forward(x) * torch.sigmoid(x * x)),
        Layer(["SiLU", "silu"], () => nn.SiLU(), (layer, x) => layer.forward(x) * silu(x)),
        Layer(["GELU", "gelu"], () => nn.GELU(), (layer, x) => layer.forward(x) * gelu(x)),
        Layer(["Softplus", "softplus"], () => nn.Softplus(), (layer, x) => layer.forward(x) * softplus(x)),
        Layer(["ELU", "elu"], () => nn.ELU(), (layer, x) => layer.forward(x) * elu(x, 1.0)),
        Layer(["MaxPool2d", "max_pool2d"], () => nn.MaxPool2d(2, stride: 1), (layer, x) => Pooled(x, layer.forward) + Pooled(x.sin(), y => max_pool2d(y, 2, 1))),
        Layer(["AvgPool2d", "avg_pool2d"], () => nn.AvgPool2d(2, stride: 1), (layer, x) => Pooled(x, layer.forward) + Pooled(x.sin(), y => avg_pool2d(y, 2, 1))),
        Layer(
            ["AdaptiveAvgPool2d", "adaptive_avg_pool2d"], () => nn.AdaptiveAvgPool2d([1, 2]),
            (layer, x) => Pooled(x, layer.forward) + Pooled(x.sin(), y => adaptive_avg_pool2d(y, [1, 2]))),
        Layer(["linear"], () => nn.Linear(Width, Width, hasBias: false), (layer, x) => linear(x.sin(), ((Linear)layer).weight!)),
        Layer(["conv2d"], () => nn.Conv2d(1, 1, 3, bias: false), (layer, x) => conv2d(Image(x), ((Conv2d)layer).weight!, padding: [1, 1]).flatten(1)),
        Function(["exp", "sin", "cos"], x => exp(x.sin() * 0.5) * x.cos()),
        Function(["square", "pow"], x => square(x.sin()) + x.pow(3)),
        Function(["softmax", "log_softmax"], x => softmax(x, 1) * log_softmax(x.sin(), 1)),
        Function(["matmul", "mm"], x => x.matmul(mm(x.transpose(0, 1), x.sin()))),
        Function(["bmm"], x => bmm(x.view(-1, 2, 3), x.view(-1, 3, 2).sin()).flatten(1).repeat(1, 2).narrow(1, 0, Width) * x),
        Function(["sum", "mean"], x => (x * x.sum([1L], true).sin()) + x.pow(2).mean([1L], true)),
        Function(
            ["operator -", "operator *", "operator /", "add", "sub", "mul", "div"],
            x => ((x - x.tanh()) * x / (x.pow(2) + 2)).add(x.sin()).sub(x.cos()).mul(x).div(x.exp() + 1)),
    ];

    /// <summary>The models, each of four blocks: linear with tanh, what is tested, linear with tanh, and the head.</summary>
    public static IReadOnlyDictionary<string, HandModel> All { get; } = Entries.ToDictionary(e => string.Join(", ", e.Names), e => Model(e.Layer, e.Apply));

    /// <summary>Every model on two and on four stages.</summary>
    public static TheoryData<string, int> Cases
    {
        get
        {
            TheoryData<string, int> cases = [];
            foreach (string name in All.Keys)
            {
                cases.Add(name, 2);
                cases.Add(name, 4);
            }

            return cases;
        }
    }

    /// <summary>The names that the models cover.</summary>
    public static IEnumerable<string> Tested => Entries.SelectMany(e => e.Names);

    private static (string[] Names, Func<StageContext, nn.Module<Tensor, Tensor>> Layer, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor> Apply) Layer(
        string[] names, Func<nn.Module<Tensor, Tensor>> create, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor> apply) => (names, c => c.Create("tested", create), apply);

    private static (string[] Names, Func<StageContext, nn.Module<Tensor, Tensor>> Layer, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor> Apply) Function(
        string[] names, Func<Tensor, Tensor> apply) => (names, c => c.Create("tested", () => nn.Linear(Width, Width)), (layer, x) => apply(layer.forward(x)));

    private static HandModel Model(Func<StageContext, nn.Module<Tensor, Tensor>> create, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor> apply) => new()
    {
        Blocks =
        [
            c => Dense(c, "first", Width, x => x.tanh()),
            c =>
            {
                nn.Module<Tensor, Tensor> tested = create(c);
                return new Block([new StageLayer("tested", tested)], x => [apply(tested, x[0])]);
            },
            c => Dense(c, "third", Width, x => x.tanh()),
            c => Dense(c, "head", 3, x => x),
        ],
        Live = [[true], [true], [true]],
        Inputs = n => [randn(n, Width, float64)],
        Targets = n => [randint(0, 3, n, int64)],
        Loss = (results, targets) => cross_entropy(results[0], targets[0]),
    };

    private static Block Dense(StageContext context, string name, int to, Func<Tensor, Tensor> after)
    {
        Linear layer = context.Create(name, () => nn.Linear(Width, to));
        return new Block([new StageLayer(name, layer)], x => [after(layer.forward(x[0]))]);
    }

    private static Tensor Image(Tensor x) => x.view(-1, 1, 2, 3);

    private static Tensor Pooled(Tensor x, Func<Tensor, Tensor> pool) => pool(Image(x)).flatten(1).repeat(1, 3) * x;
}
