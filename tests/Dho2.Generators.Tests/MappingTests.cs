using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection.Metadata;

namespace Dho2.Generators.Tests;

/// <summary>Debuggers and stack traces show the user's file, under the path that the compilation maps it to.</summary>
public sealed class MappingTests
{
    [Fact]
    public void SequencePointsOfStagesLieInTheUsersFile()
    {
        Generation generation = Models.Generated("SkipOverSeveralCuts");
        string[] lines = generation.Input.SyntaxTrees.Single().ToString().Split('\n');
        (MemoryStream assembly, MemoryStream symbols) = generation.Emit();
        using var provider = MetadataReaderProvider.FromPortablePdbStream(symbols);
        using var image = new System.Reflection.PortableExecutable.PEReader(assembly);
        MetadataReader pdb = provider.GetMetadataReader();
        MetadataReader metadata = image.GetMetadataReader();

        List<string> stepped = [];
        foreach (MethodDefinitionHandle handle in MethodsOf(metadata, "Stage1", "Forward"))
        {
            foreach (SequencePoint point in pdb.GetMethodDebugInformation(handle.ToDebugInformationHandle()).GetSequencePoints().Where(p => !p.IsHidden))
            {
                Assert.Equal("/_/Net.cs", pdb.GetString(pdb.GetDocument(point.Document).Name));
                Assert.Equal(point.StartLine, point.EndLine);
                stepped.Add(lines[point.StartLine - 1][(point.StartColumn - 1)..(point.EndColumn - 1)]);
            }
        }

        Assert.Equal(["var h = b.forward(skip).relu();"], stepped);
    }

    [Fact]
    public void LinesAfterAReplacedExpressionOfSeveralLinesAreMappedToo()
    {
        Generation generation = Models.Generated("NestedOverSeveralLines");
        string[] lines = generation.Input.SyntaxTrees.Single().ToString().Split('\n');
        Microsoft.CodeAnalysis.SyntaxTree stages = generation.Output.SyntaxTrees.Single(tree => tree.FilePath.EndsWith(".Stages.g.cs", System.StringComparison.Ordinal));
        int offset = stages.ToString().IndexOf(".tanh()", System.StringComparison.Ordinal);
        Microsoft.CodeAnalysis.FileLinePositionSpan mapped = stages.GetMappedLineSpan(new(offset, 1));
        Assert.Contains(".tanh()", lines[mapped.StartLinePosition.Line]);
    }

    private static IEnumerable<MethodDefinitionHandle> MethodsOf(MetadataReader metadata, string type, string method) =>
        metadata.TypeDefinitions.Select(metadata.GetTypeDefinition)
            .Where(definition => metadata.GetString(definition.Name) == type)
            .SelectMany(definition => definition.GetMethods())
            .Where(handle => metadata.GetString(metadata.GetMethodDefinition(handle).Name) == method);
}
