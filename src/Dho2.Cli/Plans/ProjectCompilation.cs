using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using Dho2.Modeling;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Text;

namespace Dho2.Cli.Plans;

/// <summary>A project as the compiler sees it, without what generators add.</summary>
/// <param name="Compilation">Its sources and references.</param>
/// <param name="Device">The device that it states for all its pipelines.</param>
internal sealed record ProjectCompilation(CSharpCompilation Compilation, ProjectDevice Device)
{
    /// <summary>The classes that carry <c>[Pipeline]</c>, by name.</summary>
    public IReadOnlyList<INamedTypeSymbol> Pipelines
    {
        get
        {
            ImmutableArray<INamedTypeSymbol> attributes = Compilation.GetTypesByMetadataName(ModelReader.PipelineAttributeName);
            return
            [
                .. TypesOf(Compilation.Assembly.GlobalNamespace)
                    .Where(type => type.GetAttributes().Any(a => attributes.Contains(a.AttributeClass!, SymbolEqualityComparer.Default)))
                    .OrderBy(type => type.ToDisplayString(), StringComparer.Ordinal),
            ];
        }
    }

    /// <summary>Reads a project.</summary>
    /// <param name="path">The project's file, or a folder with one.</param>
    /// <param name="configuration">The configuration, such as Release.</param>
    /// <param name="commandLine">Says what the compiler would be called with: project, configuration.</param>
    /// <exception cref="IOException">There is no project, or it cannot be evaluated.</exception>
    public static ProjectCompilation Load(string path, string configuration, Func<string, string, IReadOnlyList<string>> commandLine)
    {
        string project = Find(path);
        CSharpCommandLineArguments Parse() =>
            CSharpCommandLineParser.Default.Parse(commandLine(project, configuration), Path.GetDirectoryName(project), sdkDirectory: null);
        CSharpCommandLineArguments arguments = Parse();
        if (MissingOf(arguments).Any())
        {
            DesignTimeBuild.BuildReferences(project, configuration);
            arguments = Parse();
            if (MissingOf(arguments).FirstOrDefault() is { } missing)
            {
                throw new FileNotFoundException($"{project}: its reference {missing} is not there; build it first.");
            }
        }

        CSharpCompilation compilation = CSharpCompilation.Create(
            arguments.CompilationName ?? Path.GetFileNameWithoutExtension(project),
            arguments.SourceFiles.Select(file => CSharpSyntaxTree.ParseText(SourceText.From(File.ReadAllText(file.Path), Encoding.UTF8), arguments.ParseOptions, file.Path)),
            arguments.MetadataReferences.Select(reference => MetadataReference.CreateFromFile(Absolute(arguments, reference.Reference), reference.Properties)),
            arguments.CompilationOptions);
        return new ProjectCompilation(compilation, ProjectDevice.Read(GlobalOptionsOf(arguments)));
    }

    private static string Find(string path)
    {
        string full = Path.GetFullPath(path);
        if (File.Exists(full))
        {
            return full;
        }

        if (!Directory.Exists(full))
        {
            throw new FileNotFoundException($"{path}: there is no such project or folder.");
        }

        string[] found = Directory.GetFiles(full, "*.csproj");
        return found.Length == 1
            ? found[0]
            : throw new FileNotFoundException($"{path}: it has {(found.Length == 0 ? "no project" : $"{found.Length} projects: name one of them")}.");
    }

    private static IEnumerable<string> MissingOf(CSharpCommandLineArguments arguments) =>
        arguments.MetadataReferences.Select(reference => Absolute(arguments, reference.Reference)).Where(path => !File.Exists(path));

    private static string Absolute(CSharpCommandLineArguments arguments, string path) => Path.GetFullPath(path, arguments.BaseDirectory!);

    // Properties that projects show to analyzers come in a generated file of the .editorconfig's form.
    private static GlobalOptions GlobalOptionsOf(CSharpCommandLineArguments arguments)
    {
        ImmutableArray<AnalyzerConfig> files =
        [
            .. arguments.AnalyzerConfigPaths.Where(File.Exists).Select(path => AnalyzerConfig.Parse(File.ReadAllText(path), path)),
        ];
        return new GlobalOptions(AnalyzerConfigSet.Create(files).GlobalConfigOptions.AnalyzerOptions);
    }

    private static IEnumerable<INamedTypeSymbol> TypesOf(INamespaceOrTypeSymbol container) => container.GetMembers().SelectMany(member => member switch
    {
        INamespaceSymbol inner => TypesOf(inner),
        INamedTypeSymbol type => TypesOf(type).Prepend(type),
        _ => [],
    });

    private sealed class GlobalOptions(ImmutableDictionary<string, string> values) : AnalyzerConfigOptions
    {
        public override bool TryGetValue(string key, [NotNullWhen(true)] out string? value) => values.TryGetValue(key, out value);
    }
}
