using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Dho2.Tests.Shared;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.Generators.Tests;

/// <summary>
/// Every block of C# in the documentation compiles, with what the generator makes of it: a page's classes together, each of
/// its programs with them. Blocks marked <c>fragment</c> are only parsed. The pages of diagnostics have tests of their own.
/// </summary>
public sealed partial class DocumentationCodeTests
{
    // What blocks without directives of their own leave out, as the pages of diagnostics say.
    private const string Usings =
        """
        using System;
        using System.Collections.Generic;
        using System.Linq;
        using Dho2;
        using TorchSharp;
        using TorchSharp.Modules;
        using static TorchSharp.torch;
        using static TorchSharp.torch.nn;
        using static TorchSharp.torch.nn.functional;

        """;

    // What programs without directives may take as given: the sample's model, and what is at hand while it trains.
    private const string UsingsOfPrograms = Usings + "using MnistSample;\nusing static Given;\n";

    private const string Given = """
        internal static class Given
        {
            public static Dho2.World world => null!;
            public static Dho2.Trainer trainer => null!;
            public static Dho2.Data.IDataset train => null!;
            public static Dho2.Data.IDataset test => null!;
            public static MnistSample.MnistNet model => null!;
        }
        """;

    public static TheoryData<string> Pages => new(
        Directory.GetFiles(BuildMetadata.RepositoryPath("docs"), "*.md", SearchOption.AllDirectories)
            .Append(BuildMetadata.RepositoryPath("README.md"))
            .Select(file => Path.GetRelativePath(BuildMetadata.RepositoryPath(""), file).Replace('\\', '/'))
            .Where(page => !page.StartsWith("docs/diagnostics/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Pages))]
    public void BlocksCompile(string page)
    {
        Block[] blocks = [.. BlockPattern().Matches(File.ReadAllText(BuildMetadata.RepositoryPath(page))).Select(match => new Block(match.Groups[1].Value, match.Groups[2].Value))];
        Assert.All(blocks, block => Assert.True(block.Mark is "" or "fragment", $"{page} marks a block '{block.Mark}'; only 'fragment' is known."));
        Assert.All(blocks.Where(block => block.Mark.Length > 0), block => Parse(page, block));

        Block[] whole = [.. blocks.Where(block => block.Mark.Length == 0)];
        string[] declarations = [.. whole.Where(block => !block.IsProgram).Select(block => block.Source)];
        if (declarations.Length > 0)
        {
            Compile(page, OutputKind.DynamicallyLinkedLibrary, declarations);
        }

        foreach (Block program in whole.Where(block => block.IsProgram))
        {
            Compile(page, OutputKind.ConsoleApplication, [program.Source, .. declarations, Given, File.ReadAllText(BuildMetadata.RepositoryPath("samples/Mnist/MnistNet.cs"))]);
        }
    }

    private static void Compile(string page, OutputKind kind, string[] sources)
    {
        CSharpCompilation compilation = Generation.Compile(sources);
        Generation generation = Generation.Of(compilation.WithOptions(compilation.Options.WithOutputKind(kind)));
        Assert.True(!generation.Diagnostics.Any(), $"{page}:\n{string.Join("\n", generation.Diagnostics)}\n{string.Join("\n", sources)}");

        // A class that cannot be sliced compiles, too.
        int pipelines = compilation.SyntaxTrees.SelectMany(tree => tree.GetRoot().DescendantNodes().OfType<AttributeSyntax>())
            .Count(attribute => attribute.Name.ToString() == "Pipeline");
        Assert.Equal(pipelines, generation.Files.Keys.Count(file => file.EndsWith(".Stages.g.cs", StringComparison.Ordinal)));
    }

    private static void Parse(string page, Block block)
    {
        // Statements or members, or attributes of something that is left out.
        SyntaxTree[] trees = [.. new[] { block.Text, block.Text + "class LeftOut;" }.Select(text => CSharpSyntaxTree.ParseText(text, Generation.ParseOptions.WithKind(SourceCodeKind.Script)))];
        Assert.True(trees.Any(tree => !tree.GetDiagnostics().Any()), $"{page}:\n{string.Join("\n", trees[0].GetDiagnostics())}\n{block.Text}");
    }

    [GeneratedRegex(@"^```csharp *(.*?)\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex BlockPattern();

    private sealed record Block(string Mark, string Text)
    {
        public string Source => Root.Usings.Any() ? Text : (IsProgram ? UsingsOfPrograms : Usings) + Text;

        public bool IsProgram => Root.Members.OfType<GlobalStatementSyntax>().Any();

        private CompilationUnitSyntax Root => SyntaxFactory.ParseCompilationUnit(Text);
    }
}
