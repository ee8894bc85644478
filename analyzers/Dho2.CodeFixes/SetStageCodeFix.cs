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

/// <summary>Puts layers on the stages that a diagnostic proposes, in whichever files they are declared.</summary>
[ExportCodeFixProvider(LanguageNames.CSharp, Name = nameof(SetStageCodeFix))]
[Shared]
public sealed class SetStageCodeFix : CodeFixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds { get; } =
        [DiagnosticIds.LayerWithoutStage, DiagnosticIds.StageGap, DiagnosticIds.StageOutOfRange, DiagnosticIds.LaterStageFeedsEarlier];

    /// <inheritdoc/>
    public override FixAllProvider GetFixAllProvider() => SetStageFixAllProvider.Instance;

    /// <inheritdoc/>
    public override Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        foreach (Diagnostic diagnostic in context.Diagnostics)
        {
            if (StageChangeProperties.Read(diagnostic) is { } change)
            {
                context.RegisterCodeFix(
                    CodeAction.Create(
                        change.Title,
                        cancellation => ApplyAsync(context.Document.Project.Solution, change.Moves, cancellation),
                        nameof(SetStageCodeFix)),
                    diagnostic);
            }
        }

        return Task.CompletedTask;
    }

    /// <summary>Writes stages into the declarations of layers; of several moves of one member the first counts.</summary>
    internal static async Task<Solution> ApplyAsync(Solution solution, IEnumerable<StageMove> moves, CancellationToken cancellation)
    {
        foreach (IGrouping<DocumentId?, StageMove> file in moves.GroupBy(move => solution.GetDocument(move.Declaration.SourceTree)?.Id).ToArray())
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

    private static SyntaxNode Apply(SyntaxNode root, IEnumerable<StageMove> moves)
    {
        Dictionary<MemberDeclarationSyntax, int> stages = [];
        foreach (StageMove move in moves)
        {
            if (root.FindNode(move.Declaration.SourceSpan).FirstAncestorOrSelf<MemberDeclarationSyntax>() is { } member && !stages.ContainsKey(member))
            {
                stages.Add(member, move.Stage);
            }
        }

        string endOfLine = root.DescendantTrivia().FirstOrDefault(trivia => trivia.IsKind(SyntaxKind.EndOfLineTrivia)).ToString();
        return root.ReplaceNodes(stages.Keys, (original, member) => StageEdit.Apply(member, stages[original], AreOnOwnLines(original), endOfLine));
    }

    /// <summary>Whether the stages of the other members of the class stand on lines of their own.</summary>
    private static bool AreOnOwnLines(MemberDeclarationSyntax member) =>
        member.Parent is TypeDeclarationSyntax type
        && type.Members
            .Select(StageEdit.Find)
            .FirstOrDefault(attribute => attribute is not null)
            ?.FirstAncestorOrSelf<AttributeListSyntax>()
            ?.GetTrailingTrivia().Any(SyntaxKind.EndOfLineTrivia) == true;
}
