using System.Linq;
using Dho2.Planning.Tests.Text;

namespace Dho2.Planning.Tests.Inference;

public class NetworkTests
{
    [Fact]
    public void ANetworkOfConvolutionsIsKnownInFull()
    {
        Plan plan = Planner.Plan(Mnist(64 * 7 * 7)).Plan!;

        Assert.Equal("float32 (N, 64, 7, 7)", Show(plan.Cuts[0].Values.Single()));
        Assert.True(plan.Cuts[0].Values.Single().Differentiable);
        Assert.Equal(
            ["conv1.weight 32x1x3x3", "conv1.bias 32", "conv2.weight 64x32x3x3", "conv2.bias 64"],
            plan.Stages[0].Parameters!.Value.Select(p => $"{p.Name} {string.Join("x", p.Shape)}"));
        Assert.Equal(18_816, plan.Stages[0].Parameters!.Value.Sum(p => p.Count));
        Assert.Equal(402_826, plan.Stages[1].Parameters!.Value.Sum(p => p.Count));

        // Multiply-adds count twice; the activation and the pooling follow the convolution.
        long first = 256L * 28 * 28 * 32 * ((9 * 2) + 1) + (256L * 14 * 14 * 32 * 4);
        long second = 256L * 14 * 14 * 64 * ((32 * 9 * 2) + 1) + (256L * 7 * 7 * 64 * 4);
        Assert.Equal(first + second, plan.Stages[0].ForwardOperations);
    }

    [Fact]
    public void AMismatchNamesBothShapesAndWhereTheyComeFrom()
    {
        PlanResult result = Planner.Plan(Mnist(1568 * 2 - 1));

        PlanProblem problem = Assert.Single(result.Problems);
        Assert.Equal("Linear 'fc' expects 3135 features, gets 3136 from `flatten` of (N, 64, 7, 7)", problem.Message);
        Assert.Equal(new PlanSite(SiteKind.Operation, 7), problem.Site);
        Assert.NotNull(result.Plan);
    }

    [Fact]
    public void AResidualBlockIsInterpretedAndNamedFromOutside()
    {
        var inner = new ModelBuilder();
        int x = inner.Input("x", 1);
        int conv = Conv(inner, "conv", 8, 8, null);
        int norm = inner.Layer("bn", null, "BatchNorm2d", null, Argument.OfInteger("num_features", 8));
        int sum = inner.Operation("operator +", ModelBuilder.Tensor, Argument.OfValue("left", inner.Call(norm, inner.Call(conv, x))), Argument.OfValue("right", x));
        ModelDescription body = inner.Return(inner.Operation("Tensor.relu", sum));

        var m = new ModelBuilder();
        int image = m.Input("image", 3, 32, 32);
        int stem = Conv(m, "stem", 3, 8, 0);
        int block = m.Layer("block", 0, "module");
        int y = m.Call(block, m.Call(stem, image));
        ModelDescription model = WithBody(m.Return(y), "block", body);

        InferenceResult inferred = ShapeInference.Infer(model);

        Assert.Empty(inferred.Problems);
        Assert.Equal("float32 (N, 8, 32, 32)", inferred.Values[y].ToString());
        Assert.Equal(
            ["block.conv.weight", "block.conv.bias", "block.bn.weight", "block.bn.bias"], inferred.Layers[block].Parameters!.Value.Select(p => p.Name));
        Assert.Equal(["block.bn.running_mean", "block.bn.running_var", "block.bn.num_batches_tracked"], inferred.Layers[block].Buffers!.Value.Select(p => p.Name));
    }

    [Fact]
    public void AProblemInsideAModuleIsFoundThroughItsPath()
    {
        var inner = new ModelBuilder();
        int x = inner.Input("x", 1);
        int conv = Conv(inner, "conv", 4, 8, null);
        ModelDescription body = inner.Return(inner.Call(conv, inner.Operation("Tensor.relu", x)));
        var m = new ModelBuilder();
        int image = m.Input("image", 3, 32, 32);
        int block = m.Layer("block", 0, "module");
        ModelDescription model = WithBody(m.Return(m.Call(block, m.Operation("Tensor.relu", image))), "block", body);

        PlanProblem problem = Assert.Single(ShapeInference.Infer(model).Problems);

        Assert.Equal("Conv2d 'block.conv' expects 4 channels, gets 3 in (N, 3, 32, 32)", problem.Message);
        Assert.Equal(new PlanSite(SiteKind.Operation, 1, Path: new[] { 1 }.ToEquatableArray()), problem.Site);
    }

    [Fact]
    public void WhatIsNotInTheCatalogueMakesWhatFollowsUnknown()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 3, 8, 8);
        int odd = m.Operation("Acme.Filters.blur", x);
        int conv = Conv(m, "conv", 3, 4, 0);
        int y = m.Call(conv, odd);
        int z = m.Operation("Tensor.flatten", ModelBuilder.Tensor, Argument.OfValue("this", y), Argument.OfInteger("start_dim", 1));

        InferenceResult inferred = ShapeInference.Infer(m.Return(z));

        Assert.Empty(inferred.Problems);
        Assert.Null(inferred.Values[z].Type);
        Assert.Null(inferred.Operations[0].Saved);
        Assert.Equal("conv.weight", inferred.Layers[conv].Parameters!.Value[0].Name);
    }

    [Fact]
    public void AFunctionOfNumbersLeavesWhatFollowsKnownAndOneOfTensorsDoesNot()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 3, 8, 8);
        int root = m.Operation("System.Math.Sqrt", "double", Argument.OfInteger("d", 8));
        int known = m.Operation("operator /", ModelBuilder.Tensor, Argument.OfValue("left", x), Argument.OfValue("right", root));
        int mean = m.Operation("Acme.Filters.mean", "double", Argument.OfValue("tensor", known));
        int scaled = m.Operation("operator /", ModelBuilder.Tensor, Argument.OfValue("left", known), Argument.OfValue("right", mean));

        InferenceResult inferred = ShapeInference.Infer(m.Return(scaled));

        Assert.Equal("float32 (N, 3, 8, 8)", inferred.Values[scaled].ToString());
        Assert.Equal([true, true, false], new[] { 0, 1, 2 }.Select(i => inferred.Operations[i].Saved is not null));
    }

    [Fact]
    public void TheBatchAndOtherSymbolsStaySymbols()
    {
        var m = new ModelBuilder();
        m.Input("tokens", DType.Int64);
        ModelDescription model = Sequence(m);

        InferenceResult inferred = ShapeInference.Infer(model);

        Assert.Empty(inferred.Problems);
        Assert.Equal(["int64 (N, T)", "float32 (N, T, 16)", "float32 (N, 16, T)", "float32 (N, 32, T)", "(N, 32, T)", "T", "float32 (T, 32*N)"], inferred.Values.Select(v => v.ToString()));
    }

    [Fact]
    public void IntegersAndBooleansAndWhatComesOfThemCarryNoGradient()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int w = m.Layer("w", 0, "parameter", null, Argument.OfList("shape", new[] { Argument.OfInteger("", 4) }.ToEquatableArray()));
        int read = m.Read(w);
        int sum = m.Operation("operator *", ModelBuilder.Tensor, Argument.OfValue("left", x), Argument.OfValue("right", read));
        m.Operation("Tensor.argmax", sum);
        int greater = m.Operation("operator >", ModelBuilder.Tensor, Argument.OfValue("left", sum), Argument.OfInteger("right", 0));
        int detached = m.Operation("Tensor.detach", sum);
        int chosen = m.Operation("operator *", ModelBuilder.Tensor, Argument.OfValue("left", greater), Argument.OfValue("right", detached));

        InferenceResult inferred = ShapeInference.Infer(m.Return(chosen));

        Assert.Equal([false, true, true, false, false, false, false], inferred.Values.Select(v => v.Differentiable));
        Assert.Equal("w", inferred.Layers[w].Parameters!.Value.Single().Name);
        Assert.Equal("float32 (N, 4)", inferred.Values[chosen].ToString());
    }

    [Fact]
    public void TheLossIsCheckedToo()
    {
        ModelDescription model = Mnist(64 * 7 * 7);
        EquatableArray<Argument> arguments = new[] { Argument.OfValue("input", 0), Argument.OfValue("target", 1) }.ToEquatableArray();
        var loss = new ModuleBody(
            2, default, new[] { new Operation("TorchSharp.torch.nn.functional.cross_entropy", arguments, -1, -1, ModelBuilder.Tensor) }.ToEquatableArray(), new[] { 2 }.ToEquatableArray());
        InputDescription Labels(params DimensionDescription[] dimensions) => new("labels", dimensions.ToEquatableArray(), DType.Int64);
        ModelDescription good = model with { Loss = loss, Targets = new[] { Labels() }.ToEquatableArray() };
        ModelDescription bad = model with { Loss = loss, Targets = new[] { Labels(new DimensionDescription(3, null)) }.ToEquatableArray() };

        Assert.Empty(Planner.Plan(good).Problems);
        PlanProblem problem = Assert.Single(Planner.Plan(bad).Problems);
        Assert.Equal("`cross_entropy` of (N, 10) expects classes of (N), gets (N, 3)", problem.Message);
        Assert.Equal(new PlanSite(SiteKind.LossOperation, 0, "target"), problem.Site);
    }

    [Fact]
    public void OddDescriptionsAreInferredWithoutException() =>
        CsCheck.Check.Sample(RandomDescriptions.Model, model => ValueUses.FindInconsistency(model) is not null || ShapeInference.Infer(model) is not null);

    private static ModelDescription Mnist(long features)
    {
        var m = new ModelBuilder();
        m.Options = m.Options with { Batch = 256 };
        int x = m.Input("x", 1, 28, 28);
        x = Pool(m, m.Operation("Tensor.relu", m.Call(Conv(m, "conv1", 1, 32, 0), x)));
        x = Pool(m, m.Operation("Tensor.relu", m.Call(Conv(m, "conv2", 32, 64, 0), x)));
        m.BeginStatement();
        x = m.Operation("Tensor.flatten", ModelBuilder.Tensor, Argument.OfValue("this", x), Argument.OfInteger("start_dim", 1));
        int fc = m.Layer("fc", 1, "Linear", null, Argument.OfInteger("inputSize", features), Argument.OfInteger("outputSize", 128));
        int head = m.Layer("head", 1, "Linear", null, Argument.OfInteger("inputSize", 128), Argument.OfInteger("outputSize", 10));
        return m.Return(m.Call(head, m.Operation("Tensor.relu", m.Call(fc, x))));
    }

    private static ModelDescription Sequence(ModelBuilder m)
    {
        int embedding = m.Layer("tokens", 0, "Embedding", null, Argument.OfInteger("num_embeddings", 100), Argument.OfInteger("embedding_dims", 16));
        int conv = m.Layer("conv", 0, "Conv1d", null, Argument.OfInteger("in_channels", 16), Argument.OfInteger("out_channels", 32), Argument.OfInteger("kernel_size", 3), Argument.OfInteger("padding", 1));
        int x = m.Call(embedding, 0);
        x = m.Operation("Tensor.transpose", ModelBuilder.Tensor, Argument.OfValue("this", x), Argument.OfInteger("dim0", 1), Argument.OfInteger("dim1", 2));
        x = m.Call(conv, x);
        int shape = m.Operation("Tensor.shape", "long[]", Argument.OfValue("this", x));
        int length = m.Operation("item", "long", Argument.OfValue("this", shape), Argument.OfInteger("index", 2));
        x = m.Operation("Tensor.view", ModelBuilder.Tensor, Argument.OfValue("this", x), Argument.OfList("shape", new[] { Argument.OfValue("", length), Argument.OfInteger("", -1) }.ToEquatableArray()));
        ModelDescription model = m.Return(x);
        return model with
        {
            Inputs = new[] { new InputDescription("tokens", new[] { new DimensionDescription(0, "T") }.ToEquatableArray(), DType.Int64) }.ToEquatableArray(),
        };
    }

    private static ModelDescription WithBody(ModelDescription model, string layer, ModelDescription body) => model with
    {
        Layers = model.Layers
            .Select(l => l.Name == layer ? l with { Body = new ModuleBody(body.Inputs.Count, body.Layers, body.Operations, body.Results) } : l)
            .ToEquatableArray(),
    };

    private static int Conv(ModelBuilder m, string name, long input, long output, int? stage) => m.Layer(
        name, stage, "Conv2d", null, Argument.OfInteger("in_channels", input), Argument.OfInteger("out_channels", output), Argument.OfInteger("kernel_size", 3), Argument.OfInteger("padding", 1));

    private static int Pool(ModelBuilder m, int x) => m.Operation(
        "TorchSharp.torch.nn.functional.max_pool2d", ModelBuilder.Tensor, Argument.OfValue("input", x), Argument.OfInteger("kernel_size", 2));

    private static string Show(CutValue value) => $"{ElementTypes.NameOf(value.Type!.DType)} {ShapeText.Of(value.Type.Shape)}";
}
