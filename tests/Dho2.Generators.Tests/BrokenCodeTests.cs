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
