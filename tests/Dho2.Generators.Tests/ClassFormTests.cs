using System;
using System.Linq;
using Dho2.Modeling.Tests;
using Microsoft.CodeAnalysis;

namespace Dho2.Generators.Tests;

/// <summary>Forms of classes: what is supported compiles, what is not adds no error of its own.</summary>
public sealed class ClassFormTests
{
    private const string Members = """
            [Stage(0)] private readonly Linear a = Linear(8, 8);
            [Stage(1)] private readonly Linear b = Linear(8, 4);
            public override Tensor forward(Tensor x) => b.forward(a.forward(x));
            private static Tensor Loss(Tensor logits, Tensor labels) => cross_entropy(logits, labels);
        """;

    [Theory]
    [InlineData("public partial class Net : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("partial class Net : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("public sealed partial class Net : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("public partial class Net() : Module<Tensor, Tensor>(\"net\") { MEMBERS }")]
    [InlineData("public partial class Net : Module<Tensor, Tensor> { public Net(int size = 8) : base(\"net\") => RegisterComponents(); MEMBERS }")]
    [InlineData("public partial class Net : Module<Tensor, Tensor>, IDisposable { static Net() { } MEMBERS }")]
    public void AClassIsSupported(string declaration) => Assert.True(IsSliced(Source(declaration)));

    [Theory]
    [InlineData("partial class Outer", "")]
    [InlineData("public static partial class Outer", "public ")]
    [InlineData("partial struct Outer", "private ")]
    [InlineData("partial interface Outer", "public ")]
    [InlineData("partial record Outer", "protected ")]
    [InlineData("partial record struct Outer", "internal ")]
    public void ANestedClassIsSupported(string outer, string accessibility)
    {
        string source = ModelSource.Usings + $"\nnamespace Samples {{ {outer} {{ {ModelSource.Attributes} {accessibility}partial class Net : Module<Tensor, Tensor> {{ {Members} }} }} }}";
        Generation generation = Generation.Clean(source);
        Assert.Contains(generation.Files.Keys, name => name == "Samples.Outer+Net.Stages.g.cs");
    }

    [Fact]
    public void NamespacesWithUsingsOfTheirOwnAreRepeated()
    {
        string source = $$"""
            extern alias global2;
            using Dho2;
            using TorchSharp;
            using TorchSharp.Modules;
            using L = TorchSharp.Modules.Linear;

            namespace A
            {
                using static TorchSharp.torch;

                namespace B.C
                {
                    using static TorchSharp.torch.nn;
                    using static TorchSharp.torch.nn.functional;

                    {{ModelSource.Attributes}}
                    partial class Net : Module<Tensor, Tensor>
                    {
                        {{Members.Replace("readonly Linear a", "readonly L a")}}
                    }
                }
            }
            """.Replace("extern alias global2;", "");
        Assert.Contains("A.B.C.Net.Stages.g.cs", Generation.Clean(source).Files.Keys);
    }

    [Fact]
    public void TheGlobalNamespaceIsSupported() =>
        Assert.Contains("Net.Stages.g.cs", Generation.Clean(ModelSource.Usings + "\n" + ModelSource.Attributes + "\npublic partial class Net : Module<Tensor, Tensor> {" + Members + "}").Files.Keys);

    [Fact]
    public void ClassesThatDifferInCaseGetFilesOfTheirOwn()
    {
        Generation generation = Generation.Clean(
            Source("public partial class Net : Module<Tensor, Tensor> { MEMBERS }"),
            Source("public partial class NET : Module<Tensor, Tensor> { MEMBERS }"));
        Assert.Equal(6, generation.Files.Keys.Distinct(StringComparer.OrdinalIgnoreCase).Count());
    }

    [Fact]
    public void LayersMayStandInAnotherFileWithUsingsOfItsOwn()
    {
        string forward = ModelSource.Usings + $"\nnamespace Samples;\n{ModelSource.Attributes}\npublic partial class Net : Module<Tensor, Tensor>\n{{\n" +
            string.Join("\n", Members.Split('\n').Where(line => !line.Contains("[Stage"))) + "\n}";
        const string Layers = """
            using Dho2;
            using Full = TorchSharp.Modules.Linear;
            using N = TorchSharp.torch.nn;

            namespace Samples;

            partial class Net
            {
                [Stage(0)] private readonly Full a = N.Linear(8, 8);
                [Stage(1)] private readonly Full b = N.Linear(
                    8,
                    4);
            }
            """;
        Generation generation = Generation.Clean(forward, Layers);
        Assert.Contains("Samples.Net.Stages.1.g.cs", generation.Files.Keys);
        new StageChain(generation).RunStages(1, [TorchSharp.torch.ones(2, 8)]);
    }

    [Fact]
    public void WindowsLineEndsAreReadAndNotWritten()
    {
        Generation generation = Generation.Clean(Models.All["NestedOverSeveralLines"].ReplaceLineEndings("\r\n"));
        Assert.DoesNotContain('\r', generation.Text);
    }

    [Theory]
    [InlineData("public class Net : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("public partial class Net<T> : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("file partial class Net : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("public partial record Net : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("public static partial class Net : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("class Outer { public partial class Net : Module<Tensor, Tensor> { MEMBERS } }")]
    [InlineData("partial class Outer<T> { public partial class Net : Module<Tensor, Tensor> { MEMBERS } }")]
    public void WhatCannotHavePartsGetsNone(string declaration) => Assert.Empty(Generation.Of(Source(declaration)).Files);

    [Theory]
    [InlineData("public abstract partial class Net : Module<Tensor, Tensor> { MEMBERS }")]
    [InlineData("public partial class Net : Base { MEMBERS } public abstract class Base() : Module<Tensor, Tensor>(\"base\");")]
    [InlineData("public partial class Net : Module<Tensor, Tensor> { public Net(int size) : base(\"net\") { } MEMBERS }")]
    [InlineData("public partial class Net(int size) : Module<Tensor, Tensor>(\"net\" + size) { MEMBERS }")]
    [InlineData("public partial class Net : Module<Tensor, Tensor> { public Net() : base(\"net\") { } public required int Size { get; set; } MEMBERS }")]
    public void WhatCannotBeSlicedGetsItsSurface(string declaration)
    {
        Generation generation = Generation.Of(Source(declaration));
        Assert.True(!generation.Diagnostics.Any(), string.Join("\n", generation.Diagnostics));
        Assert.DoesNotContain(generation.Files.Keys, name => name.Contains(".Stages."));
        Assert.Contains("CreateTrainer", generation.File(".Pipeline.g.cs"));
    }

    private static bool IsSliced(string source) =>
        Generation.Clean(source).Files.Keys.Any(name => name.EndsWith(".Stages.g.cs", StringComparison.Ordinal));

    private static string Source(string declaration) =>
        ModelSource.Usings + "\nnamespace Samples;\n\n" + (declaration.Contains("Outer")
            ? declaration.Replace("{ public partial", "{ " + ModelSource.Attributes + " public partial")
            : ModelSource.Attributes + "\n" + declaration).Replace("MEMBERS", Members);
}
