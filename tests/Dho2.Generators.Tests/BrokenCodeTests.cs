using System.Collections.Generic;
using System.Linq;
using Dho2.Modeling.Tests;
using Microsoft.CodeAnalysis;

namespace Dho2.Generators.Tests;

/// <summary>A class with errors keeps its public surface, and no error is reported twice.</summary>
public sealed class BrokenCodeTests
{
    private const string Layers = "[Stage(0)] private readonly Linear a = Linear(8, 8); [Stage(1)] private readonly Linear b = Linear(8, 4);";

    [Theory]
    [InlineData("CS0103", "x = a.forward(y);\n        return b.forward(x);")]
    [InlineData("CS0165", "Tensor y;\n        x = a.forward(y);\n        return b.forward(x);")]
    [InlineData("CS0161", "x = a.forward(x);\n        x = b.forward(x);")]
    [InlineData("CS1061", "x = a.backwards(x);\n        return b.forward(x);")]
    [InlineData("CS1002", "x = a.forward(x)\n        return b.forward(x);")]
    [InlineData("CS1503", "x = a.forward(\"x\");\n        return b.forward(x);")]
    public void AnErrorInForwardIsReportedOnce(string id, string forward)
    {
        Generation generation = Generation.Of(WithUse(ModelSource.Net(Layers, forward)));
        Assert.Equal([id], Errors(generation).Select(d => d.Id));
        Assert.Contains("throw new global::System.InvalidOperationException", generation.File(".Pipeline.g.cs"));
    }

    [Theory]
    [InlineData("[Stage(0)] private readonly Linear a = Linear(8, \"8\"); [Stage(1)] private readonly Linear b = Linear(8, 4);")]
    [InlineData("[Stage(0)] private readonly Linear a = Linear(8, Missing); [Stage(1)] private readonly Linear b = Linear(8, 4);")]
    [InlineData("[Stage(0)] private readonly Liner a = Linear(8, 8); [Stage(1)] private readonly Linear b = Linear(8, 4);")]
    public void AnErrorInALayerIsReportedOnce(string layers)
    {
        Generation generation = Generation.Of(WithUse(ModelSource.Net(layers, "return b.forward(a.forward(x));")));
        Assert.Single(Errors(generation));
    }

    [Theory]
    [InlineData("[Stage(0)] private readonly Linear a = Linear(8, 8); [Stage(2)] private readonly Linear b = Linear(8, 4);", "return b.forward(a.forward(x));")]
    [InlineData("[Stage(1)] private readonly Linear a = Linear(8, 8); [Stage(0)] private readonly Linear b = Linear(8, 4);", "return b.forward(a.forward(x));")]
    [InlineData("[Stage(0)] private readonly Linear a = Linear(8, 8); private readonly Linear b = Linear(8, 4);", "return b.forward(a.forward(x));")]
    [InlineData(Layers, "x = dropout(a.forward(x));\n        return b.forward(x);")]
    [InlineData(Layers, "if (training) x = a.forward(x);\n        return b.forward(x);")]
    [InlineData(Layers, "for (int i = 0; i < 2; i++) x = b.forward(a.forward(x));\n        return x;")]
    public void WhatTheAnalyzerRefusesHasNoErrorOfTheCompilers(string layers, string forward)
    {
        Generation generation = Generation.Of(WithUse(ModelSource.Net(layers, forward)));
        Assert.Empty(Errors(generation));
        Assert.DoesNotContain(generation.Files.Keys, name => name.Contains(".Stages."));
    }

    [Fact]
    public void WhereTheCompilerItselfThrowsTheGeneratorDoesNot()
    {
        string source = ModelSource.Net(Layers.Replace("[Stage(1)]", "[Stage(1), TiedTo(nameof(a= ))]"), "return b.forward(a.forward(x));");
        Generation generation = Generation.Of(source);
        Assert.DoesNotContain(generation.Files.Keys, name => name.Contains(".Stages."));
    }

    [Theory]
    [InlineData("using System.Collections.Generic;", "using System.CollectionsCollections.Generic;")]
    [InlineData("using TorchSharp.Modules;", "using TorchSharp.Modules;\nusing A = Nowhere.B;\nusing A = Nowhere.B;")]
    [InlineData("using System.Linq;", "using System.Linq.Enumerable;")]
    [InlineData("= Linear(8, 8)", "= (8, 8)")]
    [InlineData("= Linear(8, 8);", "= Linear(8, 8); [Stage(0)] private readonly Linear[] c = [(2)];")]
    [InlineData("= Linear(8, 8)", "= Linear(8, 8.5)")]
    [InlineData("= Linear(8, 8)", "= Linear(8, 8")]
    [InlineData("= Linear(8, 8)", "= Linear(8, true ? 8 8)")]
    [InlineData("= Linear(8, 8);", "= Linear(8, 8); [Stage(0)] private readonly Linear a = Linear(8, 8);")]
    [InlineData("private static Tensor Loss(", "private static Tensor Loss(Tensor a, Tensor b) => a - b; private static Tensor Loss(")]
    [InlineData("private static Tensor Loss(", "private const int Loss = 1; private static Tensor Loss(")]
    [InlineData("private readonly Linear a = Linear(8, 8);", "private readonly ModuleList<Tensor> a = new();")]
    [InlineData("[Stage(1)] private readonly Linear b", "[Stage(1), Stage1] private readonly Linear b")]
    [InlineData("public override Tensor forward", "public Net() : base(\"net\") { } RegisterComponents(); public override Tensor forward")]
    [InlineData("public override Tensor forward", "[Stage1] public override Tensor forward")]
    [InlineData("public partial class Net", "private partial class Net")]
    [InlineData("public partial class Net", "protected partial class Net")]
    [InlineData("namespace Samples;", "namespace ;")]
    [InlineData("namespace Samples;", "namespace Samples.;")]
    [InlineData("class Net :", "class :")]
    [InlineData("return b.forward(a.forward(x));", "Tensor x = a.forward(x); return b.forward(x);")]
    [InlineData("return b.forward(a.forward(x));", "Tensor y; y = b.forward(y); return a.forward(y);")]
    [InlineData("return b.forward(a.forward(x));", "x = b.forward(a.forward(x));")]
    [InlineData("return b.forward(a.forward(x));", "x.shape = x.shape; return b.forward(a.forward(x));")]
    [InlineData("return b.forward(a.forward(x));", "long n = x.shape[0] / 2.0; return b.forward(a.forward(x).view(n, -1));")]
    public void AnErrorIsNotReportedAgainForGeneratedCode(string right, string wrong)
    {
        string source = ModelSource.Net(Layers, "return b.forward(a.forward(x));").Replace(right, wrong);
        Generation generation = Generation.Of(source);

        Assert.NotEqual(ModelSource.Net(Layers, "return b.forward(a.forward(x));"), source);
        Assert.NotEmpty(Errors(generation));
        Assert.All(Errors(generation), error => Assert.Same(generation.Input.SyntaxTrees[0], error.Location.SourceTree));
        Assert.DoesNotContain(Errors(generation), error => error.Id == "CS0616");
    }

    /// <summary>What never ends when it is run must not be run to its end: constructors that call themselves, loops, recursion.</summary>
    [Theory]
    [InlineData("public Head(int width) : this(width) { inner = Linear(width, 4); }")]
    [InlineData("public Head(int width) : this((long)width) { inner = Linear(width, 4); } public Head(long width) : this((int)width) { }")]
    [InlineData("public Head(int width) : base(\"Head\") { for (int i = 0; i < 2;) { inner = new Head(width + i).inner; } }")]
    [InlineData("public Head(int width) : base(\"Head\") { for (int i = 0; i > -1; i++) { more.Add(Linear(i, i)); } inner = Linear(width, 4); }")]
    [InlineData("public Head(int width) : base(\"Head\") { inner = Make(width); } private static Linear Make(int n) => n > 0 ? Make(n + 1) : Make(n - 1);")]
    public void WhatNeverEndsIsGivenUp(string constructor)
    {
        Generation generation = Generation.Of(ModelSource.Net(
            layers: "[Stage(0)] private readonly Linear a = Linear(8, 8);\n    [Stage(1)] private readonly Head b = new(8);",
            forward: "return b.forward(a.forward(x));",
            after: $$"""
                public sealed class Head : Module<Tensor, Tensor>
                {
                    private readonly List<Linear> more = [];
                    private readonly Linear inner;

                    {{constructor}}

                    public override Tensor forward(Tensor x) => inner.forward(x);
                }
                """));

        Assert.Contains(generation.Files.Keys, name => name.EndsWith(".Pipeline.g.cs", System.StringComparison.Ordinal));
    }

    [Fact]
    public void WithoutALossTheSurfaceIsThere() =>
        Assert.Empty(Errors(Generation.Of(WithUse(ModelSource.Net(Layers, "return b.forward(a.forward(x));", loss: "")))));

    /// <summary>Code elsewhere that uses the generated members.</summary>
    private static string WithUse(string source) => source + """

        public static class Use
        {
            public static object Trainer(World world) => new object[] { Net.CreateTrainer(world), Net.CreateUnsplit(1), Net.Pipeline, new Net() };
        }
        """;

    private static List<Diagnostic> Errors(Generation generation) =>
        generation.Output.GetDiagnostics().Where(d => d.Severity == DiagnosticSeverity.Error).ToList();
}
