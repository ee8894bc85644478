using System;
using System.Collections.Immutable;
using System.Linq;
using System.Text;
using System.Threading;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Dho2.Generators;

/// <summary>
/// Generates the stages of pipeline classes, and what trains them. It reports nothing: what is wrong is said by the
/// analyzers, from the same computation.
/// </summary>
[Generator(LanguageNames.CSharp)]
public sealed class PipelineGenerator : IIncrementalGenerator
{
    /// <inheritdoc/>
    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        IncrementalValueProvider<ProjectDevice> device = context.AnalyzerConfigOptionsProvider
            .Select(static (options, _) => ProjectDevice.Read(options.GlobalOptions));
        IncrementalValuesProvider<PipelineModel> models = context.SyntaxProvider
            .ForAttributeWithMetadataName(
                ModelReader.PipelineAttributeName,
                static (node, _) => node is TypeDeclarationSyntax,
                static (target, cancellation) =>
                    ReadingCache.Read(target.TargetNode, (INamedTypeSymbol)target.TargetSymbol, target.SemanticModel.Compilation, cancellation))
            .Where(static model => model is not null && model.Class.Status != ClassStatus.Closed)
            .Combine(device)
            .Select(static (pair, _) => pair.Left! with { Description = pair.Right.ApplyTo(pair.Left.Description) })
            .WithTrackingName(TrackingNames.Model);

        IncrementalValuesProvider<PlannedClass> plans = models
            .Select(static (model, _) => (model.Class, model.Description))
            .WithTrackingName(TrackingNames.Description)
            .Select(static (model, cancellation) => Plan(model.Class, model.Description, cancellation))
            .WithTrackingName(TrackingNames.Plan);

        // File names are compared without regard to case: classes that differ in nothing else get a number.
        IncrementalValuesProvider<PlannedClass> planned = plans
            .Combine(plans.Select(static (plan, _) => plan.Class.MetadataName).Collect().Select(static (names, _) => names.ToEquatableArray()))
            .Select(static (pair, _) => pair.Left with { Hint = HintOf(pair.Left.Class.MetadataName, pair.Right) })
            .WithTrackingName(TrackingNames.PlanFiles);

        IncrementalValuesProvider<PlannedSource> sources = models
            .Combine(planned.Collect())
            .Select(static (pair, _) => Join(pair.Left, pair.Right))
            .Where(static source => source is not null)
            .Select(static (source, _) => source!)
            .WithTrackingName(TrackingNames.StageFiles);

        IncrementalValuesProvider<EquatableArray<ModuleDescription>> modules = Modules(context, "Dho2.StageAttribute").Collect()
            .Combine(Modules(context, "Dho2.CurvatureRankAttribute").Collect())
            .Combine(Modules(context, "Dho2.PipelineModuleAttribute").Collect())
            .Select(static (found, _) => ModulesPrinter.Merge(found.Left.Left, found.Left.Right, found.Right))
            .SelectMany(static (merged, _) => merged.Count > 0 ? ImmutableArray.Create(merged) : [])
            .WithTrackingName(TrackingNames.Modules);

        context.RegisterSourceOutput(planned, static (output, input) => PrintPlan(output, input));
        context.RegisterSourceOutput(sources, static (output, input) => PrintStages(output, input));
        context.RegisterSourceOutput(modules, static (output, input) => Add(output, "Dho2.Modules.g.cs", ModulesPrinter.Print(input)));
    }

    /// <summary>What the assembly tells others about the module classes that carry an attribute.</summary>
    private static IncrementalValuesProvider<EquatableArray<ModuleDescription>> Modules(IncrementalGeneratorInitializationContext context, string attribute) =>
        context.SyntaxProvider.ForAttributeWithMetadataName(
            attribute,
            static (node, _) => node is ClassDeclarationSyntax,
            static (target, cancellation) => ModelReader.Describe((INamedTypeSymbol)target.TargetSymbol, target.SemanticModel.Compilation, cancellation));

    private static PlannedClass Plan(PipelineClass type, ModelDescription description, CancellationToken cancellation)
    {
        if (type.Status != ClassStatus.Sound)
        {
            return new PlannedClass(type, description, null);
        }

        PlanResult result = Planner.Plan(description, null, cancellation);
        return new PlannedClass(type, description, result.HasStructuralErrors ? null : result.Plan);
    }

    private static string HintOf(string name, EquatableArray<string> names)
    {
        string[] alike = names
            .Where(other => string.Equals(other, name, StringComparison.OrdinalIgnoreCase))
            .OrderBy(other => other, StringComparer.Ordinal)
            .ToArray();
        int index = Array.IndexOf(alike, name);
        return index <= 0 ? name : $"{name}({index})";
    }

    private static PlannedSource? Join(PipelineModel model, ImmutableArray<PlannedClass> plans)
    {
        PlannedClass? planned = plans.FirstOrDefault(candidate => candidate.Class.MetadataName == model.Class.MetadataName);
        return planned?.Plan is { } plan
            ? new PlannedSource(model.Class, model.Description, plan, model.Source, planned.Hint)
            : null;
    }

    private static void PrintPlan(SourceProductionContext output, PlannedClass input)
    {
        if (input.Class.NeedsConstructor)
        {
            Add(output, input.Hint + ".Constructor.g.cs", ConstructorPrinter.Print(input));
        }

        Add(output, input.Hint + ".Pipeline.g.cs", PipelinePrinter.Print(input));
        if (input.Plan is { Options.Admm: { } admm } plan && AdmmPrinter.CanPrint(plan))
        {
            Add(output, input.Hint + ".Admm.g.cs", AdmmPrinter.Print(input, plan, admm));
        }
    }

    private static void PrintStages(SourceProductionContext output, PlannedSource input)
    {
        foreach ((string suffix, string text) in StagesPrinter.Print(input))
        {
            Add(output, input.Hint + suffix, text);
        }
    }

    private static void Add(SourceProductionContext output, string name, string text) =>
        output.AddSource(name, SourceText.From(text, Encoding.UTF8));
}
