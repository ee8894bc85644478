using System.Threading.Tasks;
using Microsoft.CodeAnalysis.CSharp.Testing;
using Microsoft.CodeAnalysis.Testing;

namespace Dho2.Analyzers.Tests;

/// <summary>Compares the diagnostics of a source with the marks in it, such as <c>{|DHO1001:text|}</c>.</summary>
internal static class Verifier
{
    public static Task VerifyAsync(params string[] sources) => VerifyAsync(withSummary: false, sources);

    /// <summary>The same with the summary, which every pipeline has.</summary>
    public static Task VerifyWithSummaryAsync(params string[] sources) => VerifyAsync(withSummary: true, sources);

    private static Task VerifyAsync(bool withSummary, string[] sources)
    {
        CSharpAnalyzerTest<PipelineAnalyzer, DefaultVerifier> test = new()
        {
            ReferenceAssemblies = new ReferenceAssemblies("net10.0-basic"),
        };
        test.TestState.AdditionalReferences.AddRange(References.All);
        if (!withSummary)
        {
            test.DisabledDiagnostics.Add(DiagnosticIds.PlanSummary);
        }

        foreach (string source in sources)
        {
            test.TestState.Sources.Add(source);
        }

        return test.RunAsync();
    }
}
