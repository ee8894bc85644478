using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.Generators.Tests;

/// <summary>Copied code means what it meant, and reading it again beside the generated parts gives the same description.</summary>
public sealed class SymbolTests
{
    [Theory]
    [MemberData(nameof(Models.Names), MemberType = typeof(Models))]
    public void CopiedNamesMeanWhatTheyMeant(string model)
    {
        Generation generation = Models.Generated(model);
        SyntaxTree user = generation.Input.SyntaxTrees.Single();
        Dictionary<(int Line, int Column, string Text), string?> originals = Meanings(generation.Output, user)
            .GroupBy(m => (m.Position.Line, m.Position.Character, m.Text))
            .ToDictionary(group => group.Key, group => group.First().Meaning);
        SyntaxTree stages = generation.Output.SyntaxTrees.Single(tree => tree.FilePath.EndsWith(".Stages.g.cs", System.StringComparison.Ordinal));

        int compared = 0;
        foreach ((FileLinePositionSpan mapped, string text, string? meaning) in Copies(generation.Output, stages))
        {
            // Behind a replaced part of a line, columns are off; such names are found in no place of the original.
            if (originals.TryGetValue((mapped.StartLinePosition.Line, mapped.StartLinePosition.Character, text), out string? original))
            {
                Assert.Equal(original, meaning);
                compared++;
            }
        }

        Assert.True(compared >= 4, $"Only {compared} names were compared.");
    }

    [Theory]
    [MemberData(nameof(Models.Names), MemberType = typeof(Models))]
    public void TheDescriptionIsTheSameBesideGeneratedParts(string model)
    {
        Generation generation = Models.Generated(model);
        PipelineModel before = Read(generation.Input);
        PipelineModel after = Read(generation.Output);

        Assert.Equal(ModelDescriptionText.Write(before.Description), ModelDescriptionText.Write(after.Description));
        Assert.Equal(before, after);
    }

    private static PipelineModel Read(Compilation compilation)
    {
        INamedTypeSymbol type = compilation.GetSymbolsWithName(_ => true, SymbolFilter.Type).OfType<INamedTypeSymbol>()
            .Single(symbol => symbol.GetAttributes().Any(a => a.AttributeClass?.Name == nameof(PipelineAttribute)));
        return ModelReader.Read(type, compilation, CancellationToken.None)!.Model;
    }

    private static IEnumerable<(Microsoft.CodeAnalysis.Text.LinePosition Position, string Text, string? Meaning)> Meanings(Compilation compilation, SyntaxTree tree)
    {
        SemanticModel semantics = compilation.GetSemanticModel(tree);
        return tree.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>()
            .Select(name => (tree.GetLineSpan(name.Span).StartLinePosition, name.Identifier.Text, MeaningOf(semantics, name)));
    }

    private static IEnumerable<(FileLinePositionSpan Mapped, string Text, string? Meaning)> Copies(Compilation compilation, SyntaxTree tree)
    {
        SemanticModel semantics = compilation.GetSemanticModel(tree);
        return tree.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>()
            .Select(name => (Mapped: tree.GetMappedLineSpan(name.Span), name.Identifier.Text, Meaning: MeaningOf(semantics, name)))
            .Where(copy => copy.Mapped.HasMappedPath && copy.Mapped.Path == "/_/Net.cs");
    }

    /// <summary>What a name means: a stage's layers, repeated constants and variables count as those that they stand for.</summary>
    private static string? MeaningOf(SemanticModel semantics, SimpleNameSyntax name) => semantics.GetSymbolInfo(name).Symbol switch
    {
        ILocalSymbol local => "variable " + local.Name,
        IParameterSymbol parameter => "variable " + parameter.Name,
        IFieldSymbol { IsStatic: false } field when IsOfModel(field) => "member " + field.Name,
        IPropertySymbol { IsStatic: false } property when IsOfModel(property) => "member " + property.Name,
        IMethodSymbol { Name: "forward" or "call" } method => "forward " + method.Name,

        // What "var (a, b)" stands for carries the variables' names, which differ from one unrolled round to the next.
        INamedTypeSymbol { IsTupleType: true, TupleUnderlyingType: { } plain } => plain.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat),
        var symbol => symbol?.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat.WithMemberOptions(
            SymbolDisplayMemberOptions.IncludeContainingType | SymbolDisplayMemberOptions.IncludeParameters)),
    };

    private static bool IsOfModel(ISymbol symbol) =>
        symbol.ContainingType.Name is "Net" or "MnistNet" || symbol.ContainingType.ContainingType?.Name is "Net" or "MnistNet";
}
