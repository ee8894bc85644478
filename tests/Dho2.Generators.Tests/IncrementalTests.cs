using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Runtime.CompilerServices;
using Dho2.Modeling.Tests;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using static Microsoft.CodeAnalysis.IncrementalStepRunReason;

namespace Dho2.Generators.Tests;

/// <summary>What is computed anew after an edit, and what is not.</summary>
public sealed class IncrementalTests
{
    private static readonly string[] Steps =
        [TrackingNames.Model, TrackingNames.Description, TrackingNames.Plan, TrackingNames.PlanFiles, TrackingNames.StageFiles];

    private static readonly string Source = ModelSource.Mnist();

    [Fact]
    public void AnUnrelatedEditPrintsNothingAnew()
    {
        GeneratorRunResult result = RunTwice(Source, Source, "class Other;", "class Other { int edited; }");

        Assert.All(Steps, step => Assert.All(Reasons(result, step), reason => Assert.True(reason is Cached or Unchanged, $"{step}: {reason}")));
        Assert.All(OutputReasons(result), reason => Assert.Equal(Cached, reason));
    }

    [Fact]
    public void ACommentAboveForwardPrintsTheStagesAloneAnew()
    {
        GeneratorRunResult result = RunTwice(Source, Source.Replace("    public override", "    // A comment.\n    public override"));

        Assert.Equal([Modified], Reasons(result, TrackingNames.Model));
        Assert.Equal([Unchanged], Reasons(result, TrackingNames.Description));
        Assert.Equal([Cached], Reasons(result, TrackingNames.Plan));
        Assert.Equal([Cached], Reasons(result, TrackingNames.PlanFiles));
        Assert.Equal([Modified], Reasons(result, TrackingNames.StageFiles));
        Assert.Equal([Modified, Cached], OutputReasons(result).Order().Distinct());
    }

    [Fact]
    public void ACommentBelowTheClassPrintsNothingAnew()
    {
        GeneratorRunResult result = RunTwice(Source, Source + "// A comment.");

        Assert.All(Steps.Skip(1), step => Assert.All(Reasons(result, step), reason => Assert.True(reason is Cached or Unchanged, $"{step}: {reason}")));
        Assert.All(OutputReasons(result), reason => Assert.Equal(Cached, reason));
    }

    [Fact]
    public void ARealEditPrintsEverythingAnew()
    {
        GeneratorRunResult result = RunTwice(Source, Source.Replace("128", "256"));

        Assert.All(Steps, step => Assert.Equal([Modified], Reasons(result, step)));
        Assert.All(OutputReasons(result), reason => Assert.Equal(Modified, reason));
    }

    [Fact]
    public void AnEditOfAStageClassInAnotherFileChangesThePlan()
    {
        string model = ModelSource.Net("    private readonly Block block = new(8);\n    [Stage(1)] private readonly Linear last = Linear(8, 4);", "return last.forward(block.forward(x));");
        const string Block = ModelSource.Usings + """

            namespace Samples;

            [Stage(0)]
            public sealed class Block : Module<Tensor, Tensor>
            {
                private readonly Linear inner;

                public Block(int size) : base("block")
                {
                    inner = Linear(size, 8);
                    RegisterComponents();
                }

                public override Tensor forward(Tensor x) => inner.forward(x);
            }
            """;

        GeneratorRunResult result = RunTwice(model, model, Block, Block.Replace("=> inner.forward(x)", "=> inner.forward(x).relu()"));

        Assert.Equal([Modified], Reasons(result, TrackingNames.Description));
        Assert.Equal([Modified], Reasons(result, TrackingNames.Plan));
    }

    [Fact]
    public void OfTwoClassesOnlyTheEditedOneIsPrintedAnew()
    {
        string other = ModelSource.Mnist().Replace("MnistNet", "OtherNet");
        GeneratorRunResult result = RunTwice(Source, Source.Replace("128", "256"), other, other);

        Assert.Equal([Modified, Cached], Reasons(result, TrackingNames.Plan).Order());
        Assert.Equal([Modified, Cached], Reasons(result, TrackingNames.StageFiles).Order());
    }

    [Fact]
    public void NoCompilationIsKeptAlive()
    {
        (GeneratorDriver driver, WeakReference first, WeakReference second) = RunTwiceAndForget();
        for (int i = 0; i < 10 && (first.IsAlive || second.IsAlive); i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        // The driver itself keeps the last run's compilation; none before it.
        Assert.False(first.IsAlive);
        GC.KeepAlive(driver);
    }

    [Fact]
    public void NoStepHandsOnWhatBelongsToACompilation()
    {
        GeneratorRunResult result = RunTwice(Source, Source);
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        foreach (string step in Steps)
        {
            foreach ((object value, _) in result.TrackedSteps[step].SelectMany(run => run.Outputs))
            {
                ObjectGraph.Visit(value, seen, o => Assert.False(
                    o is Compilation or ISymbol or SyntaxNode or SyntaxTree or SemanticModel or Location or IOperation,
                    $"{step} hands on a {o.GetType()}"));
            }
        }

        Assert.True(seen.Count > 50);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (GeneratorDriver Driver, WeakReference First, WeakReference Second) RunTwiceAndForget()
    {
        CSharpCompilation first = Generation.Compile(Source);
        GeneratorDriver driver = Generation.CreateDriver().RunGenerators(first);
        CSharpCompilation second = Generation.Compile(Source);
        driver = driver.RunGenerators(second);
        return (driver, new WeakReference(first), new WeakReference(second));
    }

    private static GeneratorRunResult RunTwice(string before, string after, string? otherBefore = null, string? otherAfter = null)
    {
        CSharpCompilation first = Generation.Compile(otherBefore is null ? [before] : [before, otherBefore]);
        GeneratorDriver driver = Generation.CreateDriver().RunGenerators(first);
        CSharpCompilation second = Replace(first, 0, before, after);
        if (otherBefore is not null)
        {
            second = Replace(second, 1, otherBefore, otherAfter!);
        }

        return driver.RunGenerators(second).GetRunResult().Results.Single();
    }

    private static CSharpCompilation Replace(CSharpCompilation compilation, int index, string before, string after)
    {
        SyntaxTree tree = compilation.SyntaxTrees[index];
        return before == after ? compilation : (CSharpCompilation)compilation.ReplaceSyntaxTree(tree, Generation.Parse(after, tree.FilePath));
    }

    private static IEnumerable<IncrementalStepRunReason> Reasons(GeneratorRunResult result, string step) =>
        result.TrackedSteps[step].SelectMany(run => run.Outputs).Select(output => output.Reason);

    private static ImmutableArray<IncrementalStepRunReason> OutputReasons(GeneratorRunResult result) =>
        [.. result.TrackedOutputSteps.Values.SelectMany(steps => steps).SelectMany(step => step.Outputs).Select(output => output.Reason)];
}
