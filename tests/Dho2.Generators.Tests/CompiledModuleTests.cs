using System.IO;
using System.Linq;
using Dho2.Modeling;
using Dho2.Modeling.Tests;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Generators.Tests;

/// <summary>Module classes of other assemblies are known by the descriptions that these carry.</summary>
public sealed class CompiledModuleTests
{
    /// <summary>What the block is made with at each place decides its branches; sizes follow from its arguments.</summary>
    [Theory]
    [InlineData(nameof(LargeModels.ResNet110))]
    [InlineData(nameof(LargeModels.Gpt12))]
    public void AModelOfCompiledBlocksIsPlannedAsOneOfSource(string name)
    {
        (string model, string blocks) = name == nameof(LargeModels.ResNet110) ? (LargeModels.ResNet110, LargeModels.BasicBlock) : (LargeModels.Gpt12, LargeModels.Block);
        Plan expected = PlanOf(Generation.Clean(model));
        Generation generation = Generation.Of(Generation.Compile(model.Replace(blocks, "")).AddReferences(Library(Marked(blocks))));

        Assert.Empty(generation.Diagnostics);
        Plan plan = PlanOf(generation);
        Assert.Equal(expected.Stages, plan.Stages);
        Assert.Equal(expected.Cuts, plan.Cuts);
        Assert.DoesNotContain(plan.Stages, stage => stage.Parameters is null);
    }

    [Fact]
    public void WhatNobodyMarkedIsUnknown()
    {
        Generation generation = Generation.Of(
            Generation.Compile(LargeModels.ResNet110.Replace(LargeModels.BasicBlock, "")).AddReferences(Library(LargeModels.BasicBlock)));

        Assert.All(PlanOf(generation).Stages, stage => Assert.Null(stage.Parameters));
    }

    [Fact]
    public void ADescriptionOfAnotherVersionIsAsNone()
    {
        const string attribute = "[assembly: Dho2.ModuleDescription(\"Samples.BasicBlock\", \"{\\\"version\\\":99}\")]\n";
        Generation generation = Generation.Of(
            Generation.Compile(LargeModels.ResNet110.Replace(LargeModels.BasicBlock, "")).AddReferences(Library(LargeModels.BasicBlock, attribute)));

        Assert.All(PlanOf(generation).Stages, stage => Assert.Null(stage.Parameters));
    }

    [Theory]
    [InlineData("[Stage(0)]", 1)]
    [InlineData("[CurvatureRank(3)]", 1)]
    [InlineData("[Stage(0), CurvatureRank(3), PipelineModule]", 1)]
    [InlineData("[System.Obsolete]", 0)]
    public void AnyMarkIsEnoughAndSeveralSayItOnce(string attribute, int count)
    {
        Generation generation = Generation.Of(Source(LargeModels.BasicBlock.Replace("public sealed class", attribute + " public sealed class")));

        Assert.DoesNotContain(generation.Diagnostics, d => d.Severity == DiagnosticSeverity.Error);
        Assert.Equal(count, generation.Files.Values.Sum(text => text.Split("ModuleDescription(").Length - 1));
    }

    [Fact]
    public void ABlockThatBranchesOnItsArgumentsHasAVariantForEachWay()
    {
        ModuleDescription block = Assert.Single(Describe(LargeModels.BasicBlock, "Samples.BasicBlock"));

        Assert.Equal(
            ["((stride!=1)||(inPlanes!=planes))", "(!((stride!=1)||(inPlanes!=planes)))"],
            block.Variants.Select(variant => Assert.Single(variant.Conditions)));
        Assert.Equal([5, 4], block.Variants.Select(variant => variant.Body.Layers.Count));
        Assert.Equal(block, ModelDescriptionText.ParseModule(ModelDescriptionText.WriteModule(block)));
    }

    [Fact]
    public void ClassesThatOthersCannotSeeAreNotDescribed() =>
        Assert.Empty(Describe(LargeModels.BasicBlock.Replace("public sealed class", "internal sealed class"), "Samples.BasicBlock"));

    private static EquatableArray<ModuleDescription> Describe(string source, string name)
    {
        CSharpCompilation compilation = Generation.Compile(Source(source));
        return ModelReader.Describe(compilation.GetTypeByMetadataName(name)!, compilation, default);
    }

    private static Plan PlanOf(Generation generation)
    {
        INamedTypeSymbol type = generation.Input.GetTypeByMetadataName("Samples.ResNet110") ?? generation.Input.GetTypeByMetadataName("Samples.Gpt")!;
        return Planner.Plan(ModelReader.Read(type, generation.Input, default)!.Model.Description).Plan!;
    }

    private static string Marked(string blocks) => blocks.Replace("public sealed class", "[PipelineModule] public sealed class");

    private static string Source(string blocks, string attributes = "") => $"{ModelSource.Usings}\n{attributes}\nnamespace Samples;\n\n{blocks}";

    private static MetadataReference Library(string blocks, string attributes = "")
    {
        (MemoryStream assembly, _) = Generation.Of(Generation.Compile(Source(blocks, attributes)).WithAssemblyName("Blocks")).Emit();
        return MetadataReference.CreateFromStream(assembly);
    }
}
