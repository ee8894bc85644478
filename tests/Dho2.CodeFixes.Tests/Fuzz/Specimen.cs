using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Diagnostics;
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
internal sealed record Outcome(bool Compiles, bool HasStages, int Diagnostics, int Fixes, string? Failure)
{
    /// <summary>Whether the compiler itself throws on the mutant alone, so that nothing can be asked of anybody else.</summary>
    public bool EndsCompiler { get; init; }

    /// <summary>Milliseconds of the generator.</summary>
    public double Generation { get; init; }

    /// <summary>Milliseconds of compiler and analyzer over source and output.</summary>
    public double Analysis { get; init; }

    /// <summary>Milliseconds of the compiler over the source without the output.</summary>
    public double Comparison { get; init; }

    /// <summary>Milliseconds of the code fixes.</summary>
    public double Fixing { get; init; }

    /// <summary>Milliseconds of everything.</summary>
    public double Total => Generation + Analysis + Comparison + Fixing;
}

/// <summary>
/// One good source under test: generator, analyzer and code fixes run over its mutants one after the other, as an editor
/// does it, with everything kept that does not change.
/// </summary>
internal sealed class Specimen
{
    private const string Path = "/project/Net.cs";

    /// <summary>How sources are parsed.</summary>
    public static readonly CSharpParseOptions ParseOptions = new(LanguageVersion.Latest);

    private static readonly CodeFixProvider[] Fixes =
    [
        .. typeof(MakePartialCodeFix).Assembly.GetTypes()
            .Where(type => !type.IsAbstract && typeof(CodeFixProvider).IsAssignableFrom(type))
            .Select(type => (CodeFixProvider)Activator.CreateInstance(type)!),
    ];

    /// <summary>References and options. Compilations made from it share what was read of the references.</summary>
    public static readonly CSharpCompilation Empty = CSharpCompilation.Create(
        "Sample",
        references: Net100.References.All.Cast<MetadataReference>().Concat(new[] { typeof(torch), typeof(PipelineAttribute), typeof(IPipelineStage) }
            .Select(type => MetadataReference.CreateFromFile(type.Assembly.Location))),
        options: new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));

    private readonly AdhocWorkspace workspace = new();
    private readonly Mutator mutator;
    private readonly ImmutableArray<DiagnosticAnalyzer> analyzers = [new PipelineAnalyzer()];
    private readonly DocumentId document;
    private readonly Solution solution;
    private readonly SyntaxTree original;
    private readonly CSharpCompilation compilation;
    private GeneratorDriver driver;

    public Specimen(FuzzSource source)
    {
        mutator = new Mutator(source.Text);
        original = CSharpSyntaxTree.ParseText(source.Text, ParseOptions, Path);
        compilation = Empty
            .AddSyntaxTrees([.. source.Companions.Select((text, i) => CSharpSyntaxTree.ParseText(text, ParseOptions, CompanionPath(i)))])
            .AddSyntaxTrees(original);
        driver = CSharpGeneratorDriver.Create([new PipelineGenerator().AsSourceGenerator()], parseOptions: ParseOptions);
        ProjectId project = ProjectId.CreateNewId();
        document = DocumentId.CreateNewId(project);
        solution = workspace.CurrentSolution
            .AddProject(ProjectInfo.Create(
                project, VersionStamp.Default, "Sample", "Sample", LanguageNames.CSharp, compilationOptions: Empty.Options, parseOptions: ParseOptions, metadataReferences: Empty.References))
            .AddDocument(document, "Net.cs", source.Text, filePath: Path);
        for (int i = 0; i < source.Companions.Count; i++)
        {
            solution = solution.AddDocument(DocumentId.CreateNewId(project), $"Companion{i}.cs", source.Companions[i], filePath: CompanionPath(i));
        }
    }

    /// <summary>Makes the next mutant.</summary>
    /// <param name="random">What decides.</param>
    public string Mutate(Random random) => mutator.Next(random);

    /// <summary>Runs everything over a mutant.</summary>
    /// <param name="mutant">Its text.</param>
    /// <param name="cancellation">Ends what would never end by itself.</param>
    public async Task<Outcome> RunAsync(string mutant, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        SourceText text = SourceText.From(mutant);
        SyntaxTree tree = original.WithChangedText(text);
        CSharpCompilation input = compilation.ReplaceSyntaxTree(original, tree);
        driver = driver.RunGenerators(input, cancellation);
        GeneratorRunResult run = driver.GetRunResult().Results[0];
        double generation = Lap(ref start);
        if (run.Exception is { } exception)
        {
            return EndsCompiler(input, cancellation) ? Ended : new(false, false, 0, 0, "The generator threw: " + exception) { Generation = generation };
        }

        // One binding of all bodies serves compiler and analyzer, as in a build.
        CSharpCompilation output = input.AddSyntaxTrees(run.GeneratedSources.Select(source => source.SyntaxTree));
        bool hasStages = run.GeneratedSources.Any(source => source.HintName.EndsWith(".Stages.g.cs", StringComparison.Ordinal));
        Exception? failure = null;
        CompilationWithAnalyzers analysis = output.WithAnalyzers(
            analyzers,
            new CompilationWithAnalyzersOptions(
                new AnalyzerOptions([]), (thrown, _, _) => failure ??= thrown, concurrentAnalysis: false, logAnalyzerExecutionTime: false));
        ImmutableArray<Diagnostic> all;
        try
        {
            all = await analysis.GetAllDiagnosticsAsync(cancellation);
        }
        catch (Exception thrown) when (thrown is not OperationCanceledException && EndsCompiler(input, cancellation))
        {
            return Ended;
        }

        double analyses = Lap(ref start);
        ImmutableArray<Diagnostic> own = [.. all.Where(diagnostic => diagnostic.Id.StartsWith("DHO", StringComparison.Ordinal))];
        Outcome outcome = new(false, hasStages, own.Count(d => d.Severity > DiagnosticSeverity.Info), 0, null) { Generation = generation, Analysis = analyses };
        if (failure is not null)
        {
            return EndsCompiler(input, cancellation) ? Ended : outcome with { Failure = "The analyzer threw: " + failure };
        }

        Diagnostic[] errors = [.. all.Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error && !own.Contains(diagnostic))];
        Diagnostic? added = errors.FirstOrDefault(error => error.Location.SourceTree is { } place && !input.ContainsSyntaxTree(place));
        HashSet<string> alone = [];
        if (errors.Length > 0 && added is null)
        {
            // Something does not compile: the source itself, or something in it because of what was generated?
            alone = WithoutOutput(input, run.GeneratedSources) is { } stubbed ? [.. Errors(stubbed, cancellation).Select(Key)] : [.. errors.Select(Key)];
            added = errors.FirstOrDefault(error => !alone.Contains(Key(error)));
        }

        double comparison = Lap(ref start);
        int fixes = await FixAsync(text, own, cancellation);
        return outcome with
        {
            Compiles = errors.Length == 0,
            Fixes = fixes,
            Failure = added is null ? null : $"The output adds {added}\n{added.Location.SourceTree}",
            Comparison = comparison,
            Fixing = Lap(ref start),
        };
    }

    private static Outcome Ended => new(false, false, 0, 0, null) { EndsCompiler = true };

    private static bool EndsCompiler(CSharpCompilation source, CancellationToken cancellation)
    {
        try
        {
            source.GetDiagnostics(cancellation);
            return false;
        }
#pragma warning disable CA1031 // Whatever the compiler throws.
        catch (Exception exception) when (exception is not OperationCanceledException)
#pragma warning restore CA1031
        {
            return true;
        }
    }

    private static double Lap(ref long start)
    {
        long now = Stopwatch.GetTimestamp();
        double elapsed = Stopwatch.GetElapsedTime(start, now).TotalMilliseconds;
        start = now;
        return elapsed;
    }

    private static IEnumerable<Diagnostic> Errors(CSharpCompilation compilation, CancellationToken cancellation) =>
        compilation.GetDiagnostics(cancellation).Where(d => d.Severity == DiagnosticSeverity.Error);

    /// <summary>The source with the generated API stubbed; null where that is all that was generated.</summary>
    private static CSharpCompilation? WithoutOutput(CSharpCompilation input, ImmutableArray<GeneratedSourceResult> sources)
    {
        SyntaxTree[] surfaces = [.. sources.Where(IsSurface).Select(Surface)];
        return sources.Select(source => source.SyntaxTree).SequenceEqual(surfaces) ? null : input.AddSyntaxTrees(surfaces);
    }

    private static string CompanionPath(int index) => $"/project/Companion{index}.cs";

    private static string Key(Diagnostic error) =>
        $"{error.Id} {error.Location.SourceTree?.FilePath} {error.Location.SourceSpan} {error.GetMessage(System.Globalization.CultureInfo.InvariantCulture)}";

    /// <summary>The files that hold the API, and no stage.</summary>
    private static bool IsSurface(GeneratedSourceResult source) =>
        source.HintName.EndsWith(".Constructor.g.cs", StringComparison.Ordinal) || source.HintName.EndsWith(".Pipeline.g.cs", StringComparison.Ordinal);

    /// <summary>The API without what it refers to.</summary>
    private static SyntaxTree Surface(GeneratedSourceResult source)
    {
        SyntaxNode root = source.SyntaxTree.GetRoot();
        EqualsValueClauseSyntax[] values = [.. root.DescendantNodes().OfType<PropertyDeclarationSyntax>().Select(property => property.Initializer).OfType<EqualsValueClauseSyntax>()];
        if (values.Length == 0)
        {
            return source.SyntaxTree;
        }

        root = root.ReplaceNodes(values, (value, _) => value.WithValue(SyntaxFactory.ParseExpression("null!")));
        return source.SyntaxTree.WithRootAndOptions(root, source.SyntaxTree.Options);
    }

    /// <summary>Applies every fix that is offered; returns their number.</summary>
    private async Task<int> FixAsync(SourceText text, ImmutableArray<Diagnostic> diagnostics, CancellationToken cancellation)
    {
        Document changed = solution.WithDocumentText(document, text).GetDocument(document)!;
        var actions = new List<CodeAction>();
        foreach (Diagnostic diagnostic in diagnostics)
        {
            foreach (CodeFixProvider fix in Fixes.Where(fix => fix.FixableDiagnosticIds.Contains(diagnostic.Id)))
            {
                await fix.RegisterCodeFixesAsync(new CodeFixContext(changed, diagnostic, (action, _) => actions.Add(action), cancellation));
            }
        }

        foreach (CodeAction action in actions)
        {
            await action.GetOperationsAsync(cancellation);
        }

        return actions.Count;
    }
}
