using System.Collections.Generic;
using System.Collections.Immutable;
using System.Composition;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Dho2.Analyzers;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeActions;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Dho2.CodeFixes;

/// <summary>Writes the numbers that a diagnostic proposes into attributes: stages of layers, ranks, micro-batches.</summary>
[ExportCodeFixProvider(LanguageNames.CSharp, Name = nameof(ChangeNumbersCodeFix))]
[Shared]
public sealed class ChangeNumbersCodeFix : CodeFixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds { get; } =
    [
        DiagnosticIds.LayerWithoutStage, DiagnosticIds.StageGap, DiagnosticIds.StageOutOfRange, DiagnosticIds.LaterStageFeedsEarlier,
        DiagnosticIds.StageDoesNotFit, DiagnosticIds.StagesUnbalanced, DiagnosticIds.OrderSmall,
    ];

    /// <inheritdoc/>
    public override FixAllProvider GetFixAllProvider() => ChangeNumbersFixAllProvider.Instance;

    /// <inheritdoc/>
    public override Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        foreach (Diagnostic diagnostic in context.Diagnostics)
        {
            foreach (SourceChange change in SourceChangeProperties.Read(diagnostic))
            {
                context.RegisterCodeFix(
                    CodeAction.Create(
                        change.Title,
                        cancellation => ApplyAsync(context.Document.Project.Solution, change.Edits, cancellation),
                        change.Key),
                    diagnostic);
            }
        }

        return Task.CompletedTask;
    }

    /// <summary>Writes numbers, in whichever files they belong; of several for one attribute the first counts.</summary>
    internal static async Task<Solution> ApplyAsync(Solution solution, IEnumerable<SourceEdit> edits, CancellationToken cancellation)
    {
        foreach (IGrouping<DocumentId?, SourceEdit> file in edits.GroupBy(edit => solution.GetDocument(edit.Place.SourceTree)?.Id).ToArray())
        {
            if (file.Key is not null
                && solution.GetDocument(file.Key) is { } document
                && await document.GetSyntaxRootAsync(cancellation).ConfigureAwait(false) is { } root)
            {
                solution = solution.WithDocumentSyntaxRoot(file.Key, Apply(root, file));
            }
        }

        return solution;
    }

    private static SyntaxNode Apply(SyntaxNode root, IEnumerable<SourceEdit> edits)
    {
        Dictionary<SyntaxNode, SourceEdit> targets = [];
        foreach (SourceEdit edit in edits)
        {
            SyntaxNode? target = root.FindNode(edit.Place.SourceSpan).FirstAncestorOrSelf<SyntaxNode>(node => node is AttributeSyntax or MemberDeclarationSyntax);
            if (target is not null && !targets.ContainsKey(target))
            {
                targets.Add(target, edit);
            }
        }

        string endOfLine = root.DescendantTrivia().FirstOrDefault(trivia => trivia.IsKind(SyntaxKind.EndOfLineTrivia)).ToString();
        return root.ReplaceNodes(targets.Keys, (original, node) => node switch
        {
            AttributeSyntax attribute => AttributeEditor.SetProperty(attribute, targets[original].Name, targets[original].Value!.Value),
            _ => AttributeEditor.SetAttribute(
                (MemberDeclarationSyntax)node, targets[original].Name, targets[original].Value, AreOnOwnLines((MemberDeclarationSyntax)original), endOfLine),
        });
    }

    /// <summary>Whether the stages of the other members of the class stand on lines of their own.</summary>
    private static bool AreOnOwnLines(MemberDeclarationSyntax member) =>
        member.Parent is TypeDeclarationSyntax type
        && type.Members
            .Select(other => AttributeEditor.Find(other, "Stage"))
            .FirstOrDefault(attribute => attribute is not null)
            ?.FirstAncestorOrSelf<AttributeListSyntax>()
            ?.GetTrailingTrivia().Any(SyntaxKind.EndOfLineTrivia) == true;
}
