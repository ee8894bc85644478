using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Dho2.Modeling;

/// <summary>Turns places in syntax trees into the integers and texts of a <see cref="SourceMap"/>.</summary>
internal sealed class SourceRecorder(Compilation compilation)
{
    private readonly List<SyntaxTree> trees = [];
    private readonly List<SourceFile> files = [];

    public EquatableArray<SourceFile> Files => files.ToEquatableArray();

    public IReadOnlyList<SyntaxTree> Trees => trees;

    /// <summary>Whether the directives or namespaces that would be repeated have syntax errors.</summary>
    public bool HasErrors { get; private set; }

    public SourceSpan Span(SyntaxNode node) => Span(node.SyntaxTree, node.Span, node);

    public SourceSpan Span(SyntaxToken token) => Span(token.SyntaxTree!, token.Span, token.Parent!);

    /// <summary>A part of a node's file.</summary>
    public SourceSpan Span(SyntaxNode node, int start, int length) => Span(node.SyntaxTree, new TextSpan(start, length), node);

    /// <summary>Copies a node's text without the trivia around it.</summary>
    public CopiedText Copy(SyntaxNode node) => new(Span(node), TextOf(node));

    private SourceSpan Span(SyntaxTree tree, TextSpan span, SyntaxNode node)
    {
        LinePositionSpan lines = tree.GetText().Lines.GetLinePositionSpan(span);
        return new SourceSpan(
            File(tree, node), span.Start, span.Length, lines.Start.Line, lines.Start.Character, lines.End.Line, lines.End.Character);
    }

    private int File(SyntaxTree tree, SyntaxNode node)
    {
        int index = trees.IndexOf(tree);
        if (index < 0)
        {
            index = trees.Count;
            trees.Add(tree);
            files.Add(Describe(tree, node));
        }

        return index;
    }

    private SourceFile Describe(SyntaxTree tree, SyntaxNode node)
    {
        string path = compilation.Options.SourceReferenceResolver?.NormalizePath(tree.FilePath, null) ?? tree.FilePath;
        SemanticModel semantics = compilation.GetSemanticModel(tree);
        CompilationUnitSyntax? unit = tree.GetRoot() as CompilationUnitSyntax;
        HasErrors |= unit is not null && (HasSyntaxErrors(unit.Usings) || HasSyntaxErrors(unit.Externs));
        foreach (BaseNamespaceDeclarationSyntax space in node.Ancestors().OfType<BaseNamespaceDeclarationSyntax>())
        {
            HasErrors |= space.Name.ContainsDiagnostics || HasSyntaxErrors(space.Usings) || HasSyntaxErrors(space.Externs);
        }

        return new SourceFile(
            path,
            unit is null ? default : Directives(unit.Externs, unit.Usings, semantics),
            node.Ancestors().OfType<BaseNamespaceDeclarationSyntax>().Reverse()
                .Select(space => new NamespaceSource(space.Name.ToString(), Directives(space.Externs, space.Usings, semantics)))
                .ToEquatableArray());
    }

    private static bool HasSyntaxErrors<T>(SyntaxList<T> nodes)
        where T : SyntaxNode =>
        nodes.Any(node => node.ContainsDiagnostics);

    private static EquatableArray<string> Directives(
        SyntaxList<ExternAliasDirectiveSyntax> externs, SyntaxList<UsingDirectiveSyntax> usings, SemanticModel semantics) =>
        externs.Select(TextOf)
            .Concat(usings.Where(directive => directive.GlobalKeyword.IsKind(SyntaxKind.None) && IsSound(directive, semantics)).Select(TextOf))
            .Select(text => text.Replace("\r\n", "\n"))
            .Distinct()
            .ToEquatableArray();

    /// <summary>Whether a directive names what it must name: the compiler's complaint about any other would be repeated for its copy.</summary>
    private static bool IsSound(UsingDirectiveSyntax directive, SemanticModel semantics)
    {
        ISymbol? symbol = semantics.GetSymbolInfo(directive.NamespaceOrType).Symbol;
        return directive.Alias is not null || !directive.StaticKeyword.IsKind(SyntaxKind.None)
            ? symbol is INamespaceOrTypeSymbol && (directive.StaticKeyword.IsKind(SyntaxKind.None) || symbol is INamedTypeSymbol)
            : symbol is INamespaceSymbol;
    }

    private static string TextOf(SyntaxNode node)
    {
        string text = node.ToString();
        if (!node.ContainsDirectives)
        {
            return text;
        }

        // The lines stay, so that those after them keep their distance to the statement's first line.
        char[] characters = text.ToCharArray();
        foreach (SyntaxTrivia trivia in node.DescendantTrivia(descendIntoTrivia: false))
        {
            if (trivia.IsDirective || trivia.IsKind(SyntaxKind.DisabledTextTrivia))
            {
                for (int i = trivia.SpanStart - node.SpanStart; i < trivia.Span.End - node.SpanStart; i++)
                {
                    if (i >= 0 && i < characters.Length && characters[i] is not ('\r' or '\n'))
                    {
                        characters[i] = ' ';
                    }
                }
            }
        }

        return new string(characters);
    }
}
