using System.Linq;
using Dho2.Planning;

namespace Dho2.Modeling.Tests;

/// <summary>Layers, wherever they are declared and created.</summary>
public sealed class LayerTests
{
    [Theory]
    [InlineData("Linear(64 * 7 * 7, 128)", "Linear", "l: nn.Linear(inputSize=3136, outputSize=128, hasBias=true, device=null, dtype=null)")]
    [InlineData("Linear(hasBias: false, outputSize: Width, inputSize: Width / 2)", "Linear", "l: nn.Linear(inputSize=8, outputSize=16, hasBias=false, device=null, dtype=null)")]
    [InlineData("torch.nn.Dropout(Rate)", "Dropout", "l: nn.Dropout(p=0.25, inplace=false)")]
    [InlineData("MaxPool2d((2, 3))", "MaxPool2d", "l: nn.MaxPool2d(kernel_size=[2, 3], stride=null, padding=null, dilation=null, ceil_mode=false)")]
    [InlineData("LayerNorm([4, Width])", "LayerNorm", "l: nn.LayerNorm(normalized_shape=[4, 16], eps=0.0, elementwise_affine=true, bias=true, device=null, dtype=null)")]
    [InlineData("Linear(8, Environment.ProcessorCount, dtype: float64)", "Linear", "l: nn.Linear(inputSize=8, outputSize=?, hasBias=true, device=null, dtype='Float64')")]
    [InlineData("Make()", "Linear", "l: nn.Linear(inputSize=8, outputSize=8, hasBias=true, device=null, dtype=null)")]
    [InlineData("Other.Make()", "Linear", "l: nn.Linear(inputSize=8, outputSize=8, hasBias=true, device=null, dtype=null)")]
    [InlineData("Cached()", "Linear", "l: unknown()")]
    public void ArgumentsAreFoldedAndDefaultsFilledIn(string initialiser, string type, string expected)
    {
        PipelineModel model = Read($$"""
            private const int Width = 16;
            private static readonly double Rate = 1.0 / 4;
            private static Linear Make() => Linear(8, 8);
            private static readonly Linear cache = Linear(8, 8);
            private static Linear Cached() => cache;
            private static class Other { public static Linear Make() { int width = 4; width *= 2; return Linear(width, width); } }
            [Stage(0)] private readonly {{type}} l = {{initialiser}};
            """);
        Assert.Equal(expected, Short.Layer(model.Description.Layers[0]));
    }

    [Fact]
    public void FieldsPropertiesAndConstructorAssignmentsAreLayersInSourceOrder()
    {
        PipelineModel model = Read("""
            [Stage(0)] private readonly Linear a = Linear(1, 2), b = Linear(2, 3);
            [Stage(1)] public Linear C { get; } = Linear(3, 4);
            [Stage(1)] private readonly Module<Tensor, Tensor> d;
            [Stage(1)] private Parameter e;
            private static readonly Linear notALayer = Linear(1, 1);
            private readonly int width;
            private Linear Alias => a;

            public Net(int size = 5) : base("net")
            {
                width = size * 2;
                var half = width - 1;
                d = Linear(half, width);
                register_module("last", d);
                this.e = new Parameter(zeros(2, 3), false);
            }
            """);
        Assert.Equal(["a", "b", "C", "last", "e"], model.Description.Layers.Select(l => l.Name));
        Assert.Equal([0, 0, 1, 1, 1], model.Description.Layers.Select(l => l.Stage!.Value));
        Assert.Equal("last: nn.Linear(inputSize=9, outputSize=10, hasBias=true, device=null, dtype=null)", Short.Layer(model.Description.Layers[3]));
        Assert.Equal("d", model.Source.Layers[3].Member);
        Assert.Equal(["int half = 9", "int width = 10"], model.Source.Layers[3].Constants.Select(c => $"{c.TypeText} {c.Variable} = {c.ValueText}")
            .Concat(model.Source.Members.Select(m => $"{m.TypeText} {m.Name} = {m.ValueText}")));
        Assert.False(model.Class.NeedsConstructor);
    }

    [Theory]
    [InlineData("Parameter(zeros(2, Width * 4) + 1)", "p: parameter(requires_grad=true, shape=[2, 12])")]
    [InlineData("new Parameter(ones(5).unsqueeze(0), requires_grad: false)", "p: parameter(requires_grad=false, shape=[1, 5])")]
    [InlineData("Parameter(zeros(Environment.ProcessorCount))", "p: parameter(requires_grad=true, shape=?)")]
    public void AParameterHasTheShapeOfWhatItIsMadeFrom(string initialiser, string expected) =>
        Assert.Equal(expected, Short.Layer(Read($"private const int Width = 3; [Stage(0)] private readonly Parameter p = {initialiser};").Description.Layers[0]));

    [Theory]
    [InlineData("", "")]
    [InlineData("", ", Recompute", 0, 1)]
    [InlineData("[Recompute] ", "", 1)]
    public void AStageRecomputesByALayerOfItOrItsModuleClass(string layer, string type, params int[] expected)
    {
        PipelineModel model = Read(
            $"[Stage(0)] private readonly Block a = new();\n{layer}[Stage(1)] private readonly Block b = new();",
            $$"""
            [PipelineModule{{type}}]
            public sealed class Block : Module<Tensor, Tensor>
            {
                public Block() : base("block") { }

                public override Tensor forward(Tensor x) => x.relu();
            }
            """);
        Assert.Equal(expected, Enumerable.Range(0, 2).Where(i => model.Description.Layers[i].Recomputes));
        Assert.Null(model.Description.Options.Recompute);
    }

    [Theory]
    [InlineData("[Recompute]", true)]
    [InlineData("[Recompute(1)]", false, 1)]
    [InlineData("[Recompute(0, 1)]", false, 0, 1)]
    public void TheClassSaysWhichStagesRecompute(string attribute, bool all, params int[] stages) =>
        Assert.Equal(
            new RecomputeOptions(all, stages.ToEquatableArray()),
            Reading.Read(ModelSource.Net("[Stage(0)] private readonly Linear a = Linear(8, 8);", "return a.forward(x);", $"[Pipeline]\n[Input(8)]\n{attribute}\n[Target]")).Description.Options.Recompute);

    [Fact]
    public void TheStageAndRankOfTheModuleClassHoldUnlessTheLayerHasItsOwn()
    {
        PipelineModel model = Read(
            "private readonly Block a = new(4);\n[Stage(1), CurvatureRank(7)] private readonly Block b = new Block(4);\nprivate readonly Module<Tensor, Tensor> c = new Block(2);",
            """
            [Stage(0), CurvatureRank(3), Device(Memory = "2 GiB")]
            public sealed class Block : Module<Tensor, Tensor>
            {
                private readonly Linear inner;
                private readonly int width;
                public Block(int size, bool bias = true) : base("block")
                {
                    width = size;
                    inner = Linear(size, width * 2, bias);
                    RegisterComponents();
                }

                public override Tensor forward(Tensor x) => training ? inner.forward(x.view(-1, width)) : x;
            }
            """);
        Assert.Equal([0, 1, 0], model.Description.Layers.Select(l => l.Stage!.Value));
        Assert.Equal([3, 7, 3], model.Description.Layers.Select(l => l.CurvatureRank!.Value));
        Assert.All(model.Description.Layers, l => Assert.Equal(2L << 30, l.DeviceMemory));
        Assert.Equal("module", model.Description.Layers[0].Kind);
        Assert.Equal("inner: nn.Linear(inputSize=4, outputSize=8, hasBias=true, device=null, dtype=null)", Short.Layer(model.Description.Layers[0].Body!.Layers[0]));
        Assert.Equal(CurvatureScope.Stage, model.Description.Options.Curvature!.Scope);
    }

    [Fact]
    public void ModulesInsideModulesAreInterpretedWithTheirArguments()
    {
        PipelineModel model = Read(
            "[Stage(0)] private readonly Outer a = new(4, width: 6);",
            """
            public sealed class Outer(int inputs, int width) : Module<Tensor, Tensor>("outer")
            {
                private readonly Inner first = new(inputs, width);
                private readonly Sequential rest = Sequential(("act", ReLU()), ("last", Linear(width, inputs)));
                public override Tensor forward(Tensor x) => rest.forward(first.forward(x)) + x;
            }

            public sealed class Inner : Module<Tensor, Tensor>
            {
                private readonly Linear linear;
                public Inner(int inputs) : this(inputs, inputs) { }
                public Inner(int inputs, int outputs) : base("inner") { linear = Linear(inputs, outputs); RegisterComponents(); }
                public override Tensor forward(Tensor x) => linear.forward(x).relu();
            }
            """);
        ModuleBody outer = model.Description.Layers[0].Body!;
        Assert.Equal(["%1 = layer first (%0)", "%2 = layer rest (%1)", "%3 = operator + (%2, %0)", "return %3"], Short.Operations(outer));
        Assert.Equal("linear: nn.Linear(inputSize=4, outputSize=6, hasBias=true, device=null, dtype=null)", Short.Layer(outer.Layers[0].Body!.Layers[0]));
        Assert.Equal(["act", "last"], outer.Layers[1].Body!.Layers.Select(l => l.Name));
        Assert.Equal("last: nn.Linear(inputSize=6, outputSize=4, hasBias=true, device=null, dtype=null)", Short.Layer(outer.Layers[1].Body!.Layers[1]));
    }

    [Fact]
    public void AModuleThatContainsItselfIsUnknownInside()
    {
        PipelineModel model = Read(
            "[Stage(0)] private readonly Loop a = new();",
            """
            public sealed class Loop : Module<Tensor, Tensor>
            {
                private readonly Loop inner = new();
                public Loop() : base("loop") { }
                public override Tensor forward(Tensor x) => inner.forward(x);
            }
            """);
        Assert.Equal("unknown", model.Description.Layers[0].Body!.Layers[0].Kind);
    }

    [Fact]
    public void AGeneratedConstructorRegistersModulesParametersAndBuffers()
    {
        PipelineModel model = Read("[Stage(0)] private readonly Linear a = Linear(1, 2); [Stage(0)] private readonly Parameter p = Parameter(ones(2)); private readonly Tensor mask = ones(3);");
        Assert.True(model.Class.NeedsConstructor);
        Assert.Equal(
            [new(RegistrationKind.Module, "a", "a"), new(RegistrationKind.Parameter, "p", "p"), new Registration(RegistrationKind.Buffer, "mask", "mask")],
            model.Class.Registrations);
    }

    [Theory]
    [InlineData("24 GiB", 24L << 30)]
    [InlineData("0.5 KiB", 512L)]
    [InlineData("1B", 1L)]
    public void MemoryIsANumberAndAUnit(string text, long bytes) =>
        Assert.Equal(bytes, Reading.Read(ModelSource.Net(
            "[Stage(0)] private readonly Linear a = Linear(1, 2);",
            "return a.forward(x);",
            attributes: $"[Pipeline, Device(Memory = \"{text}\")]\n[Input(1)]\n[Target]")).Description.Options.DeviceMemory);

    private static PipelineModel Read(string members, string after = "")
    {
        PipelineModel model = Reading.Read(ModelSource.Net(members, "return x;", after: after));
        Assert.Empty(model.Problems);
        return model;
    }
}
