using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Threading.Tasks;
using Dho2.Analyzers;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeActions;
using Microsoft.CodeAnalysis.CodeFixes;

namespace Dho2.CodeFixes;

/// <summary>Applies the changes of many diagnostics at once; a layer may be declared in another file than its diagnostic.</summary>
internal sealed class SetStageFixAllProvider : FixAllProvider
{
    public static SetStageFixAllProvider Instance { get; } = new();

    public override IEnumerable<FixAllScope> GetSupportedFixAllScopes() =>
        [FixAllScope.Document, FixAllScope.Project, FixAllScope.Solution];

    public override async Task<CodeAction?> GetFixAsync(FixAllContext fixAllContext)
    {
        ImmutableArray<Diagnostic> diagnostics = await DiagnosticsAsync(fixAllContext).ConfigureAwait(false);
        StageMove[] moves = diagnostics.SelectMany(diagnostic => StageChangeProperties.Read(diagnostic)?.Moves ?? []).ToArray();
        return CodeAction.Create(
            "Put layers on the proposed stages",
            cancellation => SetStageCodeFix.ApplyAsync(fixAllContext.Solution, moves, cancellation),
            fixAllContext.CodeActionEquivalenceKey);
    }

    private static async Task<ImmutableArray<Diagnostic>> DiagnosticsAsync(FixAllContext context)
    {
        switch (context.Scope)
        {
            case FixAllScope.Document when context.Document is not null:
                return await context.GetDocumentDiagnosticsAsync(context.Document).ConfigureAwait(false);
            case FixAllScope.Project:
                return await context.GetAllDiagnosticsAsync(context.Project).ConfigureAwait(false);
            default:
                List<Diagnostic> diagnostics = [];
                foreach (Project project in context.Solution.Projects)
                {
                    diagnostics.AddRange(await context.GetAllDiagnosticsAsync(project).ConfigureAwait(false));
                }

                return [.. diagnostics];
        }
    }
}
