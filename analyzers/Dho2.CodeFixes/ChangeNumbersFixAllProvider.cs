using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Threading.Tasks;
using Dho2.Analyzers;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeActions;
using Microsoft.CodeAnalysis.CodeFixes;

namespace Dho2.CodeFixes;

/// <summary>Applies the same kind of change of many diagnostics at once; a number may stand in another file than its diagnostic.</summary>
internal sealed class ChangeNumbersFixAllProvider : FixAllProvider
{
    public static ChangeNumbersFixAllProvider Instance { get; } = new();

    public override IEnumerable<FixAllScope> GetSupportedFixAllScopes() =>
        [FixAllScope.Document, FixAllScope.Project, FixAllScope.Solution];

    public override async Task<CodeAction?> GetFixAsync(FixAllContext fixAllContext)
    {
        ImmutableArray<Diagnostic> diagnostics = await DiagnosticsAsync(fixAllContext).ConfigureAwait(false);
        SourceEdit[] edits = diagnostics
            .SelectMany(diagnostic => SourceChangeProperties.Read(diagnostic).Where(change => change.Key == fixAllContext.CodeActionEquivalenceKey))
            .SelectMany(change => change.Edits)
            .ToArray();
        return CodeAction.Create(
            "Write the proposed numbers",
            cancellation => ChangeNumbersCodeFix.ApplyAsync(fixAllContext.Solution, edits, cancellation),
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
