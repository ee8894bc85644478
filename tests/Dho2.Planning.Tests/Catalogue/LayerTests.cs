using System.Linq;
using CsCheck;
using static Dho2.Planning.Tests.Catalogue.Generators;

namespace Dho2.Planning.Tests.Catalogue;

public class LayerTests
{
    [Fact]
    public void Linear() => Agreement.Check(
        from x in Shape(1, 4)
        from output in Gen.Long[1, 5]
        from bias in Gen.Bool
        from wrong in Gen.Int[0, 5]
        select Call("Linear", new TensorSpec(x), ("inputSize", x[^1] + (wrong == 0 ? 1 : 0)), ("outputSize", output), ("hasBias", bias)));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Conv(int dimensions) => Agreement.Check(
        from x in Input(dimensions, 8)
        from input in Gen.Frequency((6, Gen.Const(x.Channels)), (1, Gen.Long[1, 4]))
        from groups in Gen.Frequency((3, Gen.Const(1L)), (1, Gen.Const(input)))
        from output in Gen.Long[1, 3].Select(o => o * groups)
        from kernel in Gen.Long[1, 3]
        from stride in Gen.Long[1, 3]
        from padding in Gen.Long[0, 2]
        from dilation in Gen.Long[1, 2]
        from bias in Gen.Bool
        select Call(
            $"Conv{dimensions}d",
            new TensorSpec(x.Shape),
            ("in_channels", input),
            ("out_channels", output),
            ("kernel_size", kernel),
            ("stride", stride),
            ("padding", padding),
            ("dilation", dilation),
            ("groups", groups),
            ("bias", bias)));

    [Theory]
    [InlineData("Same")]
    [InlineData("Valid")]
    public void ConvWithNamedPadding(string padding) => Agreement.Check(
        from x in Input(2, 6)
        from kernel in Gen.Long[1, 3]
        select Call(
            "Conv2d", new TensorSpec(x.Shape), ("in_channels", x.Channels), ("out_channels", 2L), ("kernel_size", kernel), ("padding", padding)));

    [Fact]
    public void ConvOfTwoSizes() => Agreement.Check(
        from x in Input(2, 8)
        from kernel in Gen.Long[1, 3].Array[2]
        from stride in Gen.Long[1, 3].Array[2]
        from padding in Gen.Long[0, 2].Array[2]
        select Call(
            "Conv2d", new TensorSpec(x.Shape), ("in_channels", x.Channels), ("out_channels", 3L), ("kernel_size", kernel), ("stride", stride), ("padding", padding)));

    /// <summary>A transposed convolution without a result ends the process: those are not tried.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void ConvTranspose(int dimensions) => Agreement.Check(
        from x in Input(dimensions, 4)
        from groups in Gen.Frequency((3, Gen.Const(1L)), (1, Gen.Const(x.Channels)))
        from output in Gen.Long[1, 3].Select(o => o * groups)
        from kernel in Gen.Long[1, 3]
        from stride in Gen.Long[2, 3]
        from padding in Gen.Long[0, (kernel - 1) / 2]
        from added in Gen.Long[0, 1]
        from bias in Gen.Bool
        select Call(
            $"ConvTranspose{dimensions}d",
            new TensorSpec(x.Shape),
            ("in_channels", x.Channels),
            ("out_channels", output),
            ("kernel_size", kernel),
            ("stride", stride),
            ("padding", padding),
            ("output_padding", added),
            ("groups", groups),
            ("bias", bias)));

    [Theory]
    [InlineData("MaxPool1d")]
    [InlineData("MaxPool2d")]
    [InlineData("MaxPool3d")]
    [InlineData("AvgPool1d")]
    [InlineData("AvgPool2d")]
    [InlineData("AvgPool3d")]
    public void Pool(string kind) => Agreement.Check(
        from t in Tensor(kind[^2] - '0', (kind[^2] - '0') + 3, 7, Floating)
        from kernel in Gen.Long[1, 3]
        from stride in Among<object?>(null, 1L, 2L, 3L)
        from padding in Gen.Long[0, 2]
        from ceil in Gen.Bool
        select Call(kind, t, ("kernel_size", kernel), ("stride", stride), ("padding", padding), ("ceil_mode", ceil)));

    [Theory]
    [InlineData("AdaptiveAvgPool1d")]
    [InlineData("AdaptiveAvgPool2d")]
    [InlineData("AdaptiveAvgPool3d")]
    [InlineData("AdaptiveMaxPool1d")]
    [InlineData("AdaptiveMaxPool2d")]
    public void AdaptivePool(string kind) => Agreement.Check(
        from t in Tensor(kind[^2] - '0', (kind[^2] - '0') + 3, 7, Floating)
        from size in Gen.Long[1, 4]
        from sizes in Gen.Long[1, 4].Array[kind[^2] - '0']
        select Call(kind, t, ("output_size", kind[^2] == '1' || (size > 2 && kind.Contains("Avg")) ? size : sizes)));

    [Theory]
    [InlineData("BatchNorm1d")]
    [InlineData("BatchNorm2d")]
    [InlineData("BatchNorm3d")]
    public void BatchNorm(string kind) => Agreement.Check(
        from t in Tensor(1, 5, 4, Floating).Select(t => t with { Type = DType.Float32, Shape = [.. t.Shape.Select((d, i) => i == 0 ? d + 1 : d)] })
        from features in Gen.Frequency((4, Gen.Const(t.Shape.ElementAtOrDefault(1))), (1, Gen.Long[1, 4]))
        from affine in Gen.Bool
        from track in Gen.Bool
        select Call(kind, t, ("num_features", features), ("affine", affine), ("track_running_stats", track)));

    [Fact]
    public void LayerNorm() => Agreement.Check(
        from x in Shape(1, 4)
        from count in Gen.Int[1, x.Length]
        from wrong in Gen.Int[0, 5]
        from affine in Gen.Bool
        from bias in Gen.Bool
        select Call("LayerNorm", new TensorSpec(x), ("normalized_shape", wrong == 0 ? new long[] { 2, 3 } : x[^count..]), ("elementwise_affine", affine), ("bias", bias)));

    [Fact]
    public void GroupNorm() => Agreement.Check(
        from t in Tensor(1, 4, 4, Gen.Const(DType.Float32))
        from groups in Gen.Long[1, 3]
        from channels in Gen.Frequency((4, Gen.Const(t.Shape.ElementAtOrDefault(1))), (1, Gen.Long[1, 6]))
        from affine in Gen.Bool
        where channels > 0
        select Call("GroupNorm", t, ("num_groups", groups), ("num_channels", channels), ("affine", affine)));

    [Fact]
    public void Embedding() => Agreement.Check(
        from x in Tensor(0, 3, type: Among(DType.Int64, DType.Int32, DType.Float32))
        from size in Gen.Long[1, 5]
        select Call("Embedding", x, ("num_embeddings", 7L), ("embedding_dims", size)));

    [Theory]
    [InlineData("ReLU")]
    [InlineData("ReLU6")]
    [InlineData("LeakyReLU")]
    [InlineData("Hardtanh")]
    [InlineData("Hardsigmoid")]
    [InlineData("Hardswish")]
    [InlineData("Hardshrink")]
    [InlineData("Softshrink")]
    [InlineData("Sigmoid")]
    [InlineData("Tanh")]
    [InlineData("GELU")]
    [InlineData("SiLU")]
    [InlineData("Mish")]
    [InlineData("ELU")]
    [InlineData("SELU")]
    [InlineData("CELU")]
    [InlineData("Softplus")]
    [InlineData("LogSigmoid")]
    [InlineData("Softsign")]
    [InlineData("Tanhshrink")]
    [InlineData("Identity")]
    [InlineData("Dropout")]
    [InlineData("AlphaDropout")]
    public void Activation(string kind) => Agreement.Check(Tensor(0, 4, type: Gen.Frequency((4, Floating), (1, AnyType))).Select(t => Call(kind, t)), 20);

    [Theory]
    [InlineData("Softmax")]
    [InlineData("LogSoftmax")]
    [InlineData("Softmin")]
    [InlineData("GLU")]
    public void OverADimension(string kind) => Agreement.Check(
        from t in Tensor(0, 3, type: Floating)
        from dim in Axis(t.Shape.Length)
        select Call(kind, t, ("dim", dim)));

    [Fact]
    public void PReLU() => Agreement.Check(
        from t in Tensor(0, 4, type: Gen.Const(DType.Float32))
        from count in Gen.OneOf(Gen.Const(1L), Gen.Const(t.Shape.ElementAtOrDefault(1)), Gen.Long[1, 4])
        where count > 0
        select Call("PReLU", t, ("num_parameters", count)));

    [Fact]
    public void Flatten() => Agreement.Check(
        from t in Tensor(0, 5)
        from start in Axis(t.Shape.Length)
        from end in Axis(t.Shape.Length)
        select Call("Flatten", t, ("start_dim", start), ("end_dim", end)));

    [Fact]
    public void Unflatten() => Agreement.Check(
        from t in Tensor(1, 3, 12)
        from dim in Axis(t.Shape.Length)
        from sizes in Gen.OneOf(Gen.Const(new long[] { 2, -1 }), Gen.Long[1, 4].Array[1, 3])
        select Call("Unflatten", t, ("dim", dim), ("unflattened_size", sizes)));

    [Theory]
    [InlineData("CrossEntropyLoss")]
    [InlineData("NLLLoss")]
    public void ClassLoss(string kind) => Agreement.Check(
        from x in Shape(2, 4)
        from reduction in Among("Mean", "Sum", "None")
        let target = x.Where((_, i) => i != 1).ToArray()
        select new CallCase("TorchSharp.torch.nn." + kind, [("x", new TensorSpec(x)), ("y", new TensorSpec(DType.Int64, target))], [("reduction", reduction)]));

    [Theory]
    [InlineData("MSELoss")]
    [InlineData("L1Loss")]
    [InlineData("SmoothL1Loss")]
    [InlineData("HuberLoss")]
    [InlineData("BCEWithLogitsLoss")]
    public void PointwiseLoss(string kind) => Agreement.Check(
        from x in Shape(0, 4)
        from reduction in Among("Mean", "Sum", "None")
        select new CallCase("TorchSharp.torch.nn." + kind, [("x", new TensorSpec(x)), ("y", new TensorSpec(x))], [("reduction", reduction)]));

    [Fact]
    public void SequencesRunTheirChildrenAndOwnWhatTheyOwn()
    {
        using var torch = TorchSharp.torch.nn.Sequential(
            ("conv", TorchSharp.torch.nn.Conv2d(1, 4, 3)),
            ("norm", TorchSharp.torch.nn.BatchNorm2d(4)),
            ("act", TorchSharp.torch.nn.ReLU()),
            ("flat", TorchSharp.torch.nn.Flatten()));
        var children = new ModelBuilder();
        children.Layer("conv", null, "Conv2d", null, Argument.OfInteger("in_channels", 1), Argument.OfInteger("out_channels", 4), Argument.OfInteger("kernel_size", 3));
        children.Layer("norm", null, "BatchNorm2d", null, Argument.OfInteger("num_features", 4));
        children.Layer("act", null, "ReLU");
        children.Layer("flat", null, "Flatten");
        var m = new ModelBuilder();
        int x = m.Input("x", 1, 8, 8);
        int block = m.Layer("block", 0, "Sequential");
        ModelDescription model = m.Return(m.Call(block, x));
        model = model with
        {
            Layers = model.Layers.Select(l => l with { Body = new ModuleBody(1, children.Return().Layers, default, default) }).ToEquatableArray(),
        };

        InferenceResult inferred = ShapeInference.Infer(model);

        Assert.Equal("float32 (N, 144)", inferred.Values[^1].ToString());
        Assert.Equal(torch.named_parameters().Select(p => "block." + p.name), inferred.Layers[0].Parameters!.Value.Select(p => p.Name));
        Assert.Equal(torch.named_buffers().Select(p => "block." + p.name), inferred.Layers[0].Buffers!.Value.Select(p => p.Name));
    }

    private static CallCase Call(string kind, TensorSpec input, params (string Name, object? Value)[] settings) =>
        new("TorchSharp.torch.nn." + kind, [("input", input)], settings);

    private static Gen<(long[] Shape, long Channels)> Input(int dimensions, long max) =>
        from batch in Gen.Long[1, 3].Array[0, 2]
        from channels in Gen.Long[1, 4]
        from sizes in Gen.Long[1, max].Array[dimensions]
        select (batch.Append(channels).Concat(sizes).ToArray(), channels);
}
