using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers.Tests;

/// <summary>Every diagnostic can be suppressed and reweighed as the compiler's own, because it stands in the user's file.</summary>
public class SuppressionTests
{
    public static TheoryData<string> Ids => DocumentationTests.IdsWithExample;

    [Theory]
    [MemberData(nameof(Ids))]
    public async Task A_pragma_suppresses_it(string id)
    {
        string source = DiagnosticPage.All[id].Example!;

        Assert.Contains(id, await IdsAsync(source));
        Assert.DoesNotContain(id, await IdsAsync($"#pragma warning disable {id}\n{source}"));
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public async Task The_editor_configuration_suppresses_and_reweighs_it(string id)
    {
        string source = DiagnosticPage.All[id].Example!;
        IEnumerable<Diagnostic> reweighed = await Analysis.DiagnosticsAsync(
            Analysis.Compile(source), $"[*.cs]\ndotnet_diagnostic.{id}.severity = warning");

        Assert.DoesNotContain(id, await IdsAsync(source, $"[*.cs]\ndotnet_diagnostic.{id}.severity = none"));
        Assert.All(reweighed.Where(d => d.Id == id), d => Assert.Equal(DiagnosticSeverity.Warning, d.Severity));
    }

    private static async Task<IEnumerable<string>> IdsAsync(string source, string configuration = "") =>
        (await Analysis.DiagnosticsAsync(Analysis.Compile(source), configuration)).Select(d => d.Id);
}
