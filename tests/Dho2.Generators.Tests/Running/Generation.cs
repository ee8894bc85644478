using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using Basic.Reference.Assemblies;
using Dho2.Pipelines;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using TorchSharp;

namespace Dho2.Generators.Tests;

/// <summary>Runs the generator over sources and compiles what comes out under the strictest settings.</summary>
internal sealed class Generation
{
    public static readonly CSharpParseOptions ParseOptions = new(LanguageVersion.Latest, DocumentationMode.Diagnose);

    private static readonly ImmutableArray<MetadataReference> References =
    [
        .. Net100.References.All,
        .. new[] { typeof(torch), typeof(PipelineAttribute), typeof(IPipelineStage) }
            .Select(type => MetadataReference.CreateFromFile(type.Assembly.Location)),
    ];

    private Generation(CSharpCompilation input)
    {
        Input = input;
        Driver = CreateDriver().RunGeneratorsAndUpdateCompilation(input, out Compilation output, out ImmutableArray<Diagnostic> diagnostics);
        Output = (CSharpCompilation)output;
        Assert.Empty(diagnostics);
        Assert.All(Driver.GetRunResult().Results, result => Assert.Null(result.Exception));
    }

    public CSharpCompilation Input { get; }

    public CSharpCompilation Output { get; }

    public GeneratorDriver Driver { get; }

    /// <summary>The generated files by their names.</summary>
    public IReadOnlyDictionary<string, string> Files =>
        Driver.GetRunResult().Results.Single().GeneratedSources.ToDictionary(source => source.HintName, source => source.SourceText.ToString());

    /// <summary>The one file whose name ends so.</summary>
    public string File(string suffix) => Files.Single(file => file.Key.EndsWith(suffix, System.StringComparison.Ordinal)).Value;

    /// <summary>All files in the order of their names, as one text.</summary>
    public string Text => string.Join(
        "\n", Files.OrderBy(file => file.Key, System.StringComparer.Ordinal).Select(file => $"// ---- {file.Key}\n{file.Value}"));

    /// <summary>All errors, and all that the compiler has to say about generated code.</summary>
    public IEnumerable<Diagnostic> Diagnostics => Output.GetDiagnostics().Where(d =>
        d.Severity == DiagnosticSeverity.Error
        || (d.Severity > DiagnosticSeverity.Hidden && d.Location.SourceTree is { } tree && !Input.ContainsSyntaxTree(tree)));

    public static Generation Of(params string[] sources) => new(Compile(sources));

    public static Generation Of(CSharpCompilation compilation) => new(compilation);

    /// <summary>Runs the generator; sources and output must compile without a warning.</summary>
    public static Generation Clean(params string[] sources)
    {
        Generation generation = Of(sources);
        Assert.True(!generation.Diagnostics.Any(), string.Join("\n", generation.Diagnostics) + "\n" + generation.Text);
        return generation;
    }

    public static GeneratorDriver CreateDriver() => CSharpGeneratorDriver.Create(
        [new PipelineGenerator().AsSourceGenerator()],
        parseOptions: ParseOptions,
        driverOptions: new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: true));

    public static CSharpCompilation Compile(params string[] sources) => CSharpCompilation.Create(
        "Sample",
        sources.Select((source, i) => Parse(source, i == 0 ? "/project/Net.cs" : $"/project/Other{i}.cs")),
        References,
        new CSharpCompilationOptions(
            OutputKind.DynamicallyLinkedLibrary,
            warningLevel: 9999,
            nullableContextOptions: NullableContextOptions.Enable,
            checkOverflow: true,
            allowUnsafe: true,
            // As every SDK project: TorchSharp was built for an older runtime.
            specificDiagnosticOptions: [new("CS1701", ReportDiagnostic.Suppress), new("CS1702", ReportDiagnostic.Suppress)],
            sourceReferenceResolver: new SourceFileResolver([], null, [new KeyValuePair<string, string>("/project", "/_")])));

    public static SyntaxTree Parse(string source, string path) => CSharpSyntaxTree.ParseText(source, ParseOptions, path, Encoding.UTF8);

    /// <summary>Emits the assembly, with symbols, and gives both back.</summary>
    public (MemoryStream Assembly, MemoryStream Symbols) Emit()
    {
        var assembly = new MemoryStream();
        var symbols = new MemoryStream();
        var result = Output.Emit(assembly, symbols, cancellationToken: CancellationToken.None);
        Assert.True(result.Success, string.Join("\n", result.Diagnostics));
        assembly.Position = symbols.Position = 0;
        return (assembly, symbols);
    }
}
