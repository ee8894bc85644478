using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Tests.Memory;

/// <summary>What a product needs for a moment and what its graphs keep, worked out by hand: one sample, in numbers of four bytes.</summary>
public class SweepTests
{
    /// <summary>Beside the gradient that comes and the one that goes there are the results of the formula.</summary>
    [Theory]
    [InlineData("gelu", 5)]
    [InlineData("sigmoid", 4)]
    [InlineData("tanh", 3)]
    [InlineData("silu", 3)]
    [InlineData("softplus", 7)]
    [InlineData("softmax", 7)]
    [InlineData("log_softmax", 3)]
    public void TheResultsOfAFormulaAreThereTogether(string function, int results)
    {
        var m = new ModelBuilder();
        int h = m.Call(Linear(m, "a", 10, 20), m.Input("x", 10));
        StageActivations activations = Activations(m.Return(m.Operation(
            "TorchSharp.torch.nn.functional." + function, ModelBuilder.Tensor, Argument.OfValue("input", h), Argument.OfInteger("dim", 1))));
        Assert.Equal(20 * (2 + results), Numbers(activations.Sweep(1, ofTangents: false)));
    }

    /// <summary>The statistics' double backwards hold results as well, as many as a count of allocations shows.</summary>
    [Theory]
    [InlineData("LayerNorm", "normalized_shape", 7)]
    [InlineData("BatchNorm1d", "num_features", 8)]
    public void ANormalisationHoldsSevenOrEightResults(string kind, string size, int results)
    {
        var m = new ModelBuilder();
        int h = m.Call(Linear(m, "a", 10, 20), m.Input("x", 10));
        StageActivations activations = Activations(m.Return(m.Call(m.Layer("norm", 0, kind, null, Argument.OfInteger(size, 20)), h)));
        Assert.Equal(20 * (2 + results), Numbers(activations.Sweep(1, ofTangents: false)));
    }

    /// <summary>A convolution's double backward holds three tensors as large as the operand and three as the result.</summary>
    [Fact]
    public void AConvolutionHoldsThreeOfEither()
    {
        var m = new ModelBuilder();
        int h = m.Operation("Tensor.reshape", ModelBuilder.Tensor, Argument.OfValue("this", m.Call(Linear(m, "a", 10, 2 * 20), m.Input("x", 10))),
            Argument.OfList("shape", new[] { Argument.OfInteger("", -1), Argument.OfInteger("", 2), Argument.OfInteger("", 20) }.ToEquatableArray()));
        int convolution = m.Layer(
            "c", 0, "Conv1d", null, Argument.OfInteger("in_channels", 2), Argument.OfInteger("out_channels", 5), Argument.OfInteger("kernel_size", 3), Argument.OfInteger("padding", 1));
        Assert.Equal(3 * 20 * (2 + 5), Numbers(Activations(m.Return(m.Call(convolution, h))).Sweep(1, ofTangents: false)));
    }

    /// <summary>
    /// The backward's graph is swept over from the stage's beginning, so that at gelu nothing waits yet; the tangents' from its
    /// end, so that the last layer's derivative waits.
    /// </summary>
    [Fact]
    public void WhatWaitsDependsOnTheOrder()
    {
        var m = new ModelBuilder();
        int h = m.Call(Linear(m, "a", 10, 100), m.Input("x", 10));
        StageActivations activations = Activations(m.Return(m.Call(Linear(m, "b", 100, 5), m.Operation("Tensor.gelu", h))));
        const int AtGelu = 100 * (2 + 5);
        Assert.Equal(AtGelu, Numbers(activations.Sweep(1, ofTangents: false)));
        Assert.Equal(AtGelu + 100, Numbers(activations.Sweep(1, ofTangents: true)));
    }

    /// <summary>
    /// With leading dimensions every linear layer takes what it keeps through a view, where its derivative waits by itself;
    /// without them derivatives of several layers add up.
    /// </summary>
    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 4)]
    public void DerivativesBehindViewsWaitApart(int dimensions, int expected)
    {
        var m = new ModelBuilder();
        int h = m.Call(Linear(m, "a", 16, 16), dimensions == 1 ? m.Input("x", 16) : m.Input("x", 7, 16));
        int q = m.Call(Linear(m, "q", 16, 16), h);
        int k = m.Call(Linear(m, "k", 16, 16), h);
        int size = dimensions == 1 ? 16 : 7 * 16;

        // At the second of them: two gradients, the first one's derivative, and its own unless it is the same.
        Assert.Equal(expected * size, Numbers(Activations(m.Return(q, k)).Sweep(1, ofTangents: false)));
    }

    /// <summary>The straight way past a block has a gradient of its own while the block is swept over.</summary>
    [Fact]
    public void WhatGoesPastABlockHasAGradientBesideIt()
    {
        var m = new ModelBuilder();
        int h = m.Call(Linear(m, "a", 10, 20), m.Input("x", 10));
        int branch = m.Operation("Tensor.gelu", m.Operation("Tensor.relu", h));
        StageActivations activations = Activations(m.Return(m.Operation(
            "operator +", ModelBuilder.Tensor, Argument.OfValue("left", h), Argument.OfValue("right", branch))));

        // At gelu: two gradients, five results, what relu kept, and the gradient of what was added around both.
        Assert.Equal(20 * (2 + 5 + 1 + 1), Numbers(activations.Sweep(1, ofTangents: false)));
    }

    /// <summary>The gradient of a sum is that of its terms: what crossed the cut is kept once, whoever of them needs it.</summary>
    [Fact]
    public void ATermOfASumThatLeavesHasTheGradientThatComesOverTheCut()
    {
        // Of the sum and of the layer's own result: the layer keeps the gradient, which has come over the cut.
        Assert.Equal(20 + 20, TwiceOf(static (m, h, d) => m.Operation("operator +", ModelBuilder.Tensor, Argument.OfValue("left", h), Argument.OfValue("right", d))));
        Assert.Equal(20 + 20, TwiceOf(static (_, _, d) => d));

        // A term that is used again has another gradient to add.
        Assert.Equal(20 + 20 + 20, TwiceOf(static (m, h, d) => m.Operation(
            "operator +", ModelBuilder.Tensor, Argument.OfValue("left", d), Argument.OfValue("right", d))));

        static long? TwiceOf(System.Func<ModelBuilder, int, int, int> result)
        {
            var m = new ModelBuilder();
            int h = m.Call(Linear(m, "a", 10, 20), m.Input("x", 10));
            int d = m.Call(Linear(m, "b", 20, 20), h);
            int left = result(m, h, d);
            return Numbers(Activations(m.Return(left), left).Twice(1));
        }
    }

    /// <summary>What libtorch puts together from operations, each with results of its own, keeps them all: as many as a count of allocations shows.</summary>
    [Theory]
    [InlineData("gelu", 1)]
    [InlineData("silu", 5)]
    [InlineData("square", 2)]
    public void ABackwardThatIsPutTogetherKeepsItsParts(string function, int results)
    {
        var m = new ModelBuilder();
        int h = m.Call(Linear(m, "a", 10, 20), m.Input("x", 10));
        Assert.Equal(20 + (20 * results), Numbers(Activations(m.Return(m.Operation("Tensor." + function, h))).Twice(1)));
    }

    /// <summary>Blocks need the same whether they are written out or are modules: what goes on inside a module counts by its operations.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ABlockInAModuleNeedsWhatItNeedsWrittenOut(bool endsInSum)
    {
        StageActivations writtenOut = Blocks(areModules: false, endsInSum);
        StageActivations modules = Blocks(areModules: true, endsInSum);
        Assert.Equal(writtenOut.Kept(1), modules.Kept(1));
        Assert.Equal(writtenOut.Twice(1), modules.Twice(1));
        Assert.Equal(writtenOut.Sweep(1, ofTangents: false), modules.Sweep(1, ofTangents: false));
        Assert.Equal(writtenOut.Sweep(1, ofTangents: true), modules.Sweep(1, ofTangents: true));

        // Each of three blocks keeps two linear layers' gradients and gelu's, but for the very first layer, whose operand is data.
        // What the last layer keeps has come over the cut, where that follows the sum at once.
        Assert.Equal(20 * ((3 * 3) - 1 - (endsInSum ? 1 : 0)), Numbers(modules.Twice(1) - modules.Kept(1)));
    }

    private static StageActivations Blocks(bool areModules, bool endsInSum)
    {
        var m = new ModelBuilder();
        var bodies = new Dictionary<string, ModuleBody>();
        int x = m.Input("x", 20);
        for (int i = 0; i < 3; i++)
        {
            if (areModules)
            {
                var inner = new ModelBuilder();
                ModelDescription body = inner.Return(Block(inner, inner.Input("x", 20), $"{i}", endsInSum));
                bodies[$"block{i}"] = new(1, body.Layers, body.Operations, body.Results);
                x = m.Call(m.Layer($"block{i}", 0, "module"), x);
            }
            else
            {
                x = Block(m, x, $"{i}", endsInSum);
            }
        }

        ModelDescription model = m.Return(x);
        return Activations(
            model with { Layers = model.Layers.Select(layer => bodies.TryGetValue(layer.Name, out ModuleBody? body) ? layer with { Body = body } : layer).ToEquatableArray() },
            x);
    }

    private static int Block(ModelBuilder m, int x, string name, bool endsInSum)
    {
        int branch = m.Call(Linear(m, "b" + name, 20, 20), m.Operation("Tensor.gelu", m.Call(Linear(m, "a" + name, 20, 20), x)));
        int sum = m.Operation("operator +", ModelBuilder.Tensor, Argument.OfValue("left", x), Argument.OfValue("right", branch));
        return endsInSum ? sum : m.Operation("Tensor.relu", sum);
    }

    private static int Linear(ModelBuilder m, string name, int input, int output) =>
        m.Layer(name, 0, "Linear", null, Argument.OfInteger("inputSize", input), Argument.OfInteger("outputSize", output));

    private static StageActivations Activations(ModelDescription model, params int[] outgoing) =>
        StageActivations.Of(Enumerable.Range(0, model.Operations.Count), model, ShapeInference.Infer(model), [], outgoing, isFirst: true, isLast: false);

    private static long? Numbers(long? bytes) => bytes / sizeof(float);
}
