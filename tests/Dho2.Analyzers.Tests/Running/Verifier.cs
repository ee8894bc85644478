using System.Threading.Tasks;
using Microsoft.CodeAnalysis.CSharp.Testing;
using Microsoft.CodeAnalysis.Testing;

namespace Dho2.Analyzers.Tests;

/// <summary>Compares the diagnostics of a source with the marks in it, such as <c>{|DHO1001:text|}</c>.</summary>
internal static class Verifier
{
    public static Task VerifyAsync(params string[] sources)
    {
        CSharpAnalyzerTest<PipelineAnalyzer, DefaultVerifier> test = new()
        {
            ReferenceAssemblies = new ReferenceAssemblies("net10.0-basic"),
        };
        test.TestState.AdditionalReferences.AddRange(References.All);
        foreach (string source in sources)
        {
            test.TestState.Sources.Add(source);
        }

        return test.RunAsync();
    }
}
