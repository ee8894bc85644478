using System.Linq;
using Dho2.Planning;

namespace Dho2.Modeling.Tests;

/// <summary>Lists of layers, and what conditions and loops make of them.</summary>
public sealed class ListTests
{
    private const string Attribute = "[Stage(0), Stage(1, From = 1), Stage(2, From = 3)] ";

    [Theory]
    [InlineData("private readonly ModuleList<Linear> list = ModuleList(Linear(1, 2), Linear(2, 3), Linear(3, 4), Linear(4, 5));", "")]
    [InlineData("private readonly ModuleList<Linear> list = new(Linear(1, 2), Linear(2, 3), Linear(3, 4), Linear(4, 5));", "")]
    [InlineData("private readonly ModuleList<Linear> list = new(Enumerable.Range(1, 4).Select(i => Linear(i, i + 1)).ToArray());", "")]
    [InlineData("private readonly ModuleList<Linear> list = new(new[] { 1, 2, 3, 4 }.Select((size, i) => Linear(size, i + 2)).ToArray());", "")]
    [InlineData("private readonly Linear[] list = [.. Enumerable.Range(1, 3).Select(Make), Linear(4, 5)];", "private static Linear Make(int i) => Linear(i, i + 1);")]
    [InlineData("private readonly List<Linear> list = new() { Linear(1, 2), Linear(2, 3), Linear(3, 4), Linear(4, 5) };", "")]
    [InlineData("private readonly IReadOnlyList<Linear> list = Make(4);", "private static List<Linear> Make(int n) { var made = new List<Linear>(); int k = 0; for (; k < n; k++) { made.Add(Linear(k + 1, k + 2)); } return made; }")]
    [InlineData(
        "private readonly ModuleList<Linear> list = new();",
        "public Net() : base(\"Net\") { var width = 1; foreach (int next in new[] { 2, 3, 4, 5 }) { list.append(Linear(width, next)); width = next; } RegisterComponents(); }")]
    [InlineData(
        "private readonly ModuleList<Linear> list;",
        "public Net() : base(\"Net\") { var all = new Linear[4]; for (int i = all.Length - 1; i >= 0; i--) { all[i] = Linear(i + 1, i + 2); } list = ModuleList(all); RegisterComponents(); }")]
    public void ElementsAreLayersWithStagesOfTheirOwn(string list, string members)
    {
        PipelineModel model = Read(Attribute + list + members, "foreach (var layer in list) { x = layer.forward(x); }\n return x;");
        Assert.Equal(
            Enumerable.Range(0, 4).Select(i => $"list.{i}: nn.Linear(inputSize={i + 1}, outputSize={i + 2}, hasBias=true, device=null, dtype=null)"),
            model.Description.Layers.Select(Short.Layer));
        Assert.Equal([0, 1, 1, 2], model.Description.Layers.Select(l => l.Stage));
        Assert.Equal(["list_0", "list_1", "list_2", "list_3"], model.Source.Layers.Select(l => l.Member));
        Assert.Equal(
            ["%1 = layer list.0 (%0)", "%2 = layer list.1 (%1)", "%3 = layer list.2 (%2)", "%4 = layer list.3 (%3)", "return %4"],
            Short.Operations(model.Description));
        Assert.Empty(model.Problems);
        Assert.Equal(ClassStatus.Sound, model.Class.Status);
    }

    [Theory]
    [InlineData("[Stage]", null, true)]
    [InlineData("[Stage(1)]", 1, false)]
    [InlineData("", null, false)]
    public void ThePlannerMayChoose(string attribute, int? stage, bool isAutomatic)
    {
        PipelineModel model = Read(attribute + " private readonly Linear[] list = [Linear(1, 1), Linear(1, 1)];", "return list[1].forward(list[0].forward(x));");
        Assert.Equal([stage, stage], model.Description.Layers.Select(l => l.Stage));
        Assert.Equal([isAutomatic, isAutomatic], model.Description.Layers.Select(l => l.StageIsAutomatic));
    }

    [Theory]
    [InlineData("[Stage(0)] private readonly Linear[] list = Enumerable.Range(0, Environment.ProcessorCount).Select(i => Linear(1, 1)).ToArray();", "it is not known at compile time which modules it holds")]
    [InlineData("[Stage(0)] private readonly Linear[] list; public Net() : base(\"Net\") { list = [Linear(1, 1)]; RegisterComponents(); }", "TorchSharp does not register the modules in it")]
    [InlineData("[Stage(0)] private readonly ModuleList<Linear> list = new(); public Net(int n = 2) : base(\"Net\") { while (n-- > 0) list.append(Linear(1, 1)); }", "it is not known at compile time which modules it holds")]
    [InlineData("[Stage(0), Stage(1, From = 2)] private readonly Linear[] list = [Linear(1, 1), Linear(1, 1)];", "From = 2 is none of its 2 elements")]
    [InlineData("[Stage(0), Stage(1)] private readonly Linear[] list = [Linear(1, 1), Linear(1, 1)];", "two attributes begin at element 0")]
    [InlineData("[Stage(0), Stage(1, From = 1)] private readonly Linear list = Linear(1, 1);", "From = 1 is none of its 1 elements")]
    public void WhatIsNotUnderstoodIsSaid(string list, string reason) =>
        Assert.Contains(Read(list, "return x;").Problems, problem => problem.Arguments.Contains(reason));

    [Fact]
    public void AListAsAWholeBelongsToTheModel() => Assert.Contains(
        Read("[Stage(0)] private readonly Linear[] list = [Linear(1, 1)];", "foreach (var layer in list) { if (x.shape[0] > 3) break; x = layer.forward(x); }\nreturn x;").Problems,
        problem => problem.Kind == ModelProblemKind.InstanceMember && problem.Arguments[0] == "list");

    [Fact]
    public void LoopsWithinLoopsAreUnrolledWithinBounds()
    {
        PipelineModel model = Read(
            "[Stage(0)] private readonly Linear[] list = [Linear(1, 1)];",
            "for (int i = 0; i < 3; i++) { for (int j = 0; j < 4000; j++) { x = list[0].forward(x); } }\nreturn x;");
        Assert.InRange(model.Description.Operations.Count, 1, 4096);
    }

    [Fact]
    public void ConditionsOnConstructorArgumentsAreDecided()
    {
        PipelineModel model = Read(
            "[Stage(0)] private readonly Block plain = new(4, 1);\n[Stage(0)] private readonly Block strided = new(4, stride: 2);",
            "return strided.forward(plain.forward(x));",
            """
            public sealed class Block : Module<Tensor, Tensor>
            {
                private readonly Linear first;
                private readonly Sequential? shortcut;
                private readonly ModuleList<Module<Tensor, Tensor>> rest = new();

                public Block(int width, int stride = 1) : base("Block")
                {
                    first = Linear(width, width);
                    if (stride != 1)
                    {
                        shortcut = Sequential(Linear(width, width));
                    }

                    for (int i = 0; i < stride; i++)
                    {
                        rest.append(i switch { 0 => ReLU(), < 5 => Linear(width, width), _ => Tanh() });
                    }

                    RegisterComponents();
                }

                public override Tensor forward(Tensor x)
                {
                    Tensor y = first.forward(x);
                    foreach (var layer in rest)
                    {
                        y = layer.forward(y);
                    }

                    if (shortcut is null)
                    {
                        return y;
                    }

                    return y + (shortcut?.forward(x) ?? x);
                }
            }
            """);
        ModuleBody plain = model.Description.Layers[0].Body!;
        ModuleBody strided = model.Description.Layers[1].Body!;
        Assert.Equal(["first", "rest.0"], plain.Layers.Select(l => l.Name));
        Assert.Equal(["%1 = layer first (%0)", "%2 = layer rest.0 (%1)", "return %2"], Short.Operations(plain));
        Assert.Equal(["first", "shortcut", "rest.0", "rest.1"], strided.Layers.Select(l => l.Name));
        Assert.Equal(
            ["%1 = layer first (%0)", "%2 = layer rest.0 (%1)", "%3 = layer rest.1 (%2)", "%4 = layer shortcut (%0)", "%5 = operator + (%3, %4)", "return %5"],
            Short.Operations(strided));
    }

    private static PipelineModel Read(string layers, string forward, string after = "") => Reading.Read(ModelSource.Net(layers, forward, after: after));
}
