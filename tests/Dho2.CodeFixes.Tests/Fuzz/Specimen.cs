using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Basic.Reference.Assemblies;
using Dho2.Analyzers;
using Dho2.Generators;
using Dho2.Pipelines;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeActions;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Text;
using TorchSharp;

namespace Dho2.CodeFixes.Tests.Fuzz;

/// <summary>What became of one mutant.</summary>
/// <param name="Compiles">Whether it compiles, with the generated API in place of the output.</param>
/// <param name="HasStages">Whether stages were generated.</param>
/// <param name="Diagnostics">What the analyzer said, apart from information.</param>
/// <param name="Fixes">The fixes that were offered.</param>
/// <param name="Failure">What must not be: an exception, or an error that the output adds; null where all is well.</param>
internal sealed record Outcome(bool Compiles, bool HasStages, int Diagnostics, int Fixes, string? Failure);

/// <summary>
/// One good source under test: generator, analyzer and code fixes run over its mutants one after the other, as an editor
/// does it, with everything kept that does not change.
/// </summary>
internal sealed class Specimen
{
    private const string Path = "/project/Net.cs";

    private static readonly CSharpParseOptions ParseOptions = new(LanguageVersion.Latest);
    private static readonly CodeFixProvider[] Fixes =
    [
        .. typeof(MakePartialCodeFix).Assembly.GetTypes()
            .Where(type => !type.IsAbstract && typeof(CodeFixProvider).IsAssignableFrom(type))
            .Select(type => (CodeFixProvider)Activator.CreateInstance(type)!),
    ];

    // Compilations made from one share what was read of the references.
    private static readonly CSharpCompilation Empty = CSharpCompilation.Create(
        "Sample",
        references: Net100.References.All.Cast<MetadataReference>().Concat(new[] { typeof(torch), typeof(PipelineAttribute), typeof(IPipelineStage) }
            .Select(type => MetadataReference.CreateFromFile(type.Assembly.Location))),
        options: new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));

    private readonly AdhocWorkspace workspace = new();
    private readonly DocumentId document;
    private readonly Solution solution;
    private readonly SyntaxTree original;
    private readonly CSharpCompilation compilation;
    private GeneratorDriver driver;

    public Specimen(string source)
    {
        original = CSharpSyntaxTree.ParseText(source, ParseOptions, Path);
        compilation = Empty.AddSyntaxTrees(original);
        driver = CSharpGeneratorDriver.Create([new PipelineGenerator().AsSourceGenerator()], parseOptions: ParseOptions);
        ProjectId project = ProjectId.CreateNewId();
        document = DocumentId.CreateNewId(project);
        solution = workspace.CurrentSolution
            .AddProject(ProjectInfo.Create(
                project, VersionStamp.Default, "Sample", "Sample", LanguageNames.CSharp, compilationOptions: Empty.Options, parseOptions: ParseOptions, metadataReferences: Empty.References))
            .AddDocument(document, "Net.cs", source, filePath: Path);
    }

    /// <summary>Runs everything over a mutant.</summary>
    public async Task<Outcome> RunAsync(string mutant)
    {
        SourceText text = SourceText.From(mutant);
        SyntaxTree tree = original.WithChangedText(text);
        CSharpCompilation input = compilation.ReplaceSyntaxTree(original, tree);
        driver = driver.RunGenerators(input);
        GeneratorRunResult run = driver.GetRunResult().Results[0];
        if (run.Exception is { } exception)
        {
            return new(false, false, 0, 0, "The generator threw: " + exception);
        }

        CSharpCompilation output = input.AddSyntaxTrees(run.GeneratedSources.Select(source => source.SyntaxTree));
        bool hasStages = run.GeneratedSources.Any(source => source.HintName.EndsWith(".Stages.g.cs", StringComparison.Ordinal));
        Exception? failure = null;
        CompilationWithAnalyzers analysis = output.WithAnalyzers(
            [new PipelineAnalyzer()],
            new CompilationWithAnalyzersOptions(
                new AnalyzerOptions([]), (thrown, _, _) => failure ??= thrown, concurrentAnalysis: false, logAnalyzerExecutionTime: false));
        ImmutableArray<Diagnostic> own = await analysis.GetAnalyzerDiagnosticsAsync(CancellationToken.None);
        if (failure is not null)
        {
            return new(false, hasStages, own.Length, 0, "The analyzer threw: " + failure);
        }

        int fixes = await FixAsync(text, own);
        Diagnostic[] errors = Errors(output);
        if (errors.Length == 0)
        {
            return new(true, hasStages, Worth(own), fixes, null);
        }

        // Something does not compile: the source itself, or what was generated for it?
        HashSet<string> alone = [.. Errors(input.AddSyntaxTrees(run.GeneratedSources.Where(IsSurface).Select(Surface))).Select(Key)];
        Diagnostic? added = errors.FirstOrDefault(error => !alone.Contains(Key(error)));
        return new(alone.Count == 0, hasStages, Worth(own), fixes, added is null ? null : $"The output adds {added}\n{added.Location.SourceTree}");
    }

    private static int Worth(ImmutableArray<Diagnostic> diagnostics) => diagnostics.Count(d => d.Severity > DiagnosticSeverity.Info);

    private static Diagnostic[] Errors(CSharpCompilation compilation) =>
        [.. compilation.GetDiagnostics().Where(d => d.Severity == DiagnosticSeverity.Error)];

    private static string Key(Diagnostic error) =>
        $"{error.Id} {(error.Location.SourceTree?.FilePath == Path ? error.Location.SourceSpan : default)} {error.GetMessage(System.Globalization.CultureInfo.InvariantCulture)}";

    /// <summary>The files that hold the API, and no stage.</summary>
    private static bool IsSurface(GeneratedSourceResult source) =>
        source.HintName.EndsWith(".Constructor.g.cs", StringComparison.Ordinal) || source.HintName.EndsWith(".Pipeline.g.cs", StringComparison.Ordinal);

    /// <summary>The API without what it refers to.</summary>
    private static SyntaxTree Surface(GeneratedSourceResult source)
    {
        SyntaxNode root = source.SyntaxTree.GetRoot();
        EqualsValueClauseSyntax[] values = [.. root.DescendantNodes().OfType<PropertyDeclarationSyntax>().Select(property => property.Initializer).OfType<EqualsValueClauseSyntax>()];
        root = root.ReplaceNodes(values, (value, _) => value.WithValue(SyntaxFactory.ParseExpression("null!")));
        return source.SyntaxTree.WithRootAndOptions(root, source.SyntaxTree.Options);
    }

    /// <summary>Applies every fix that is offered; returns their number.</summary>
    private async Task<int> FixAsync(SourceText text, ImmutableArray<Diagnostic> diagnostics)
    {
        Document changed = solution.WithDocumentText(document, text).GetDocument(document)!;
        var actions = new List<CodeAction>();
        foreach (Diagnostic diagnostic in diagnostics)
        {
            foreach (CodeFixProvider fix in Fixes.Where(fix => fix.FixableDiagnosticIds.Contains(diagnostic.Id)))
            {
                await fix.RegisterCodeFixesAsync(new CodeFixContext(changed, diagnostic, (action, _) => actions.Add(action), CancellationToken.None));
            }
        }

        foreach (CodeAction action in actions)
        {
            await action.GetOperationsAsync(CancellationToken.None);
        }

        return actions.Count;
    }
}
