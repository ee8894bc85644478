using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Dho2.Analyzers.Tests;

/// <summary>Runs the analyzers over a source as the compiler does, configuration included; an exception of an analyzer is thrown.</summary>
internal static class Analysis
{
    /// <summary>The file that a source stands in.</summary>
    public const string Path = "/project/Net.cs";

    public static CSharpParseOptions Parse { get; } = new(LanguageVersion.Latest);

    // Compilations made from one share what was read of the references.
    private static readonly CSharpCompilation Empty = CSharpCompilation.Create(
        "Sample",
        references: References.All,
        options: new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));

    public static CSharpCompilation Compile(string source) => Empty.AddSyntaxTrees(CSharpSyntaxTree.ParseText(source, Parse, Path));

    public static async Task<ImmutableArray<Diagnostic>> DiagnosticsAsync(
        CSharpCompilation compilation,
        string configuration = "",
        CancellationToken cancellation = default,
        params (string Name, string Value)[] properties)
    {
        Exception? failure = null;
        AnalyzerConfigSet configurations = AnalyzerConfigSet.Create(
            ImmutableArray.Create(AnalyzerConfig.Parse(configuration, "/project/.editorconfig")));
        CompilationWithAnalyzers analysis = compilation
            .WithOptions(compilation.Options.WithSyntaxTreeOptionsProvider(new Configuration(configurations)))
            .WithAnalyzers(
                [new PipelineAnalyzer()],
                new CompilationWithAnalyzersOptions(
                    new AnalyzerOptions([], new ProjectProperties(properties)),
                    onAnalyzerException: (exception, _, _) => failure ??= exception,
                    concurrentAnalysis: false,
                    logAnalyzerExecutionTime: false));
        ImmutableArray<Diagnostic> diagnostics = await analysis.GetAnalyzerDiagnosticsAsync(cancellation);
        return failure is null ? diagnostics : throw new InvalidOperationException("The analyzer threw.", failure);
    }

    /// <summary>The compiler's own errors, apart from the constructor that the generator would supply.</summary>
    public static IEnumerable<Diagnostic> Errors(CSharpCompilation compilation) =>
        compilation.GetDiagnostics().Where(d => d.Severity == DiagnosticSeverity.Error && d.Id != "CS1729");

    private sealed class Configuration(AnalyzerConfigSet configurations) : SyntaxTreeOptionsProvider
    {
        public override GeneratedKind IsGenerated(SyntaxTree tree, CancellationToken cancellationToken) => GeneratedKind.Unknown;

        public override bool TryGetDiagnosticValue(
            SyntaxTree tree,
            string diagnosticId,
            CancellationToken cancellationToken,
            out ReportDiagnostic severity) =>
            configurations.GetOptionsForSourcePath(tree.FilePath).TreeOptions.TryGetValue(diagnosticId, out severity);

        public override bool TryGetGlobalDiagnosticValue(
            string diagnosticId,
            CancellationToken cancellationToken,
            out ReportDiagnostic severity)
        {
            severity = default;
            return false;
        }
    }
}
