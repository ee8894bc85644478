using System.Linq;
using System.Threading.Tasks;
using Basic.Reference.Assemblies;
using Dho2.Analyzers;
using Dho2.Pipelines;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp.Testing;
using Microsoft.CodeAnalysis.Testing;
using TorchSharp;

namespace Dho2.CodeFixes.Tests;

/// <summary>Applies a code fix to the marked places of sources and compares what comes out.</summary>
internal static class FixVerifier<TFix>
    where TFix : CodeFixProvider, new()
{
    public const string Usings =
        """
        using Dho2;
        using TorchSharp;
        using TorchSharp.Modules;
        using static TorchSharp.torch;
        using static TorchSharp.torch.nn;
        using static TorchSharp.torch.nn.functional;

        """;

    public static Task VerifyAsync(string before, string after, int choice = 0) => VerifyAsync([before], [after], choice);

    public static Task VerifyAsync(string[] before, string[] after, int choice = 0)
    {
        CSharpCodeFixTest<PipelineAnalyzer, TFix, DefaultVerifier> test = new()
        {
            ReferenceAssemblies = new ReferenceAssemblies("net10.0-basic"),
            CodeActionIndex = choice,
        };
        test.DisabledDiagnostics.Add(DiagnosticIds.PlanSummary);
        test.TestState.AdditionalReferences.AddRange(Net100.References.All);
        test.TestState.AdditionalReferences.AddRange(new[] { typeof(torch), typeof(IPipelineStage), typeof(PipelineAttribute) }
            .Select(type => MetadataReference.CreateFromFile(type.Assembly.Location)));
        foreach (string source in before)
        {
            test.TestState.Sources.Add(Usings + source);
        }

        foreach (string source in after)
        {
            test.FixedState.Sources.Add(Usings + source);
        }

        return test.RunAsync();
    }
}
