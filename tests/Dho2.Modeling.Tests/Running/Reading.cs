using System.Collections.Immutable;
using System.Linq;
using System.Threading;
using Basic.Reference.Assemblies;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using TorchSharp;

namespace Dho2.Modeling.Tests;

/// <summary>Compiles sources and reads the pipeline class in them.</summary>
internal static class Reading
{
    private static readonly ImmutableArray<MetadataReference> References =
    [
        .. Net100.References.All,
        .. new[] { typeof(torch), typeof(PipelineAttribute) }.Select(type => MetadataReference.CreateFromFile(type.Assembly.Location)),
    ];

    public static CSharpCompilation Compile(params string[] sources) => CSharpCompilation.Create(
        "Sample",
        sources.Select((source, i) => CSharpSyntaxTree.ParseText(source, path: i == 0 ? ModelSource.Path : $"/project/Other{i}.cs")),
        References,
        new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));

    public static PipelineModel Read(params string[] sources) => ReadWithTrees(sources).Model;

    public static ModelReading ReadWithTrees(params string[] sources) => Read(Compile(sources));

    public static ModelReading Read(Compilation compilation)
    {
        INamedTypeSymbol type = compilation.GetSymbolsWithName(_ => true, SymbolFilter.Type).OfType<INamedTypeSymbol>()
            .First(symbol => symbol.GetAttributes().Any(a => a.AttributeClass?.Name == nameof(PipelineAttribute)));
        return ModelReader.Read(type, compilation, CancellationToken.None)!;
    }
}
