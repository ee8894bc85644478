using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Threading;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Dho2.Analyzers;

/// <summary>Says what is wrong with pipeline classes: reads and plans them as the generator does, and reports what was found.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class PipelineAnalyzer : DiagnosticAnalyzer
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics => ProblemDescriptors.All;

    /// <inheritdoc/>
    public override void Initialize(AnalysisContext context)
    {
        context.EnableConcurrentExecution();
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.RegisterCompilationStartAction(static start =>
        {
            ImmutableArray<INamedTypeSymbol> attributes = start.Compilation.GetTypesByMetadataName(ModelReader.PipelineAttributeName);
            if (!attributes.IsEmpty)
            {
                ProjectDevice device = ProjectDevice.Read(start.Options.AnalyzerConfigOptionsProvider.GlobalOptions);
                start.RegisterSymbolAction(symbol => Analyze(symbol, attributes, device), SymbolKind.NamedType);
                start.RegisterOperationAction(WeightDecayCheck.Analyze, OperationKind.SimpleAssignment);
            }
        });
    }

    private static void Analyze(SymbolAnalysisContext context, ImmutableArray<INamedTypeSymbol> attributes, ProjectDevice device)
    {
        var type = (INamedTypeSymbol)context.Symbol;
        if (type.GetAttributes().Any(attribute => attributes.Contains(attribute.AttributeClass!, SymbolEqualityComparer.Default))
            && ModelReader.Read(type, context.Compilation, context.CancellationToken) is { } reading)
        {
            ModelDescription model = device.ApplyTo(reading.Model.Description);
            foreach (Diagnostic diagnostic in Diagnose(reading, model, Planner.Plan(model, cancellation: context.CancellationToken), context.CancellationToken))
            {
                context.ReportDiagnostic(diagnostic);
            }
        }
    }

    /// <summary>What there is to say about a class.</summary>
    /// <param name="reading">The class.</param>
    /// <param name="model">What was read of it, with the device that counts.</param>
    /// <param name="result">The model's plan.</param>
    /// <param name="cancellation">Ends the work early.</param>
    internal static IEnumerable<Diagnostic> Diagnose(ModelReading reading, ModelDescription model, PlanResult result, CancellationToken cancellation) =>
        OfModeling(reading).Concat(OfPlanning(reading, model, result, cancellation));

    private static IEnumerable<Diagnostic> OfModeling(ModelReading reading)
    {
        foreach (ModelProblem problem in reading.Model.Problems)
        {
            // A fix is offered for what is reported within the class itself, so a container's fault stands there too.
            SourceSpan place = problem.Kind == ModelProblemKind.NotPartial ? reading.Model.Source.Class : problem.Span;
            yield return Diagnostic.Create(
                ProblemDescriptors.Of(problem.Kind), reading.LocationOf(place), problem.Arguments.ToArray<object>());
        }
    }

    private static IEnumerable<Diagnostic> OfPlanning(ModelReading reading, ModelDescription model, PlanResult result, CancellationToken cancellation)
    {
        var placement = new Placement(reading, cancellation);
        foreach (PlanProblem problem in result.Problems.Where(problem => !placement.IsRepeated(problem, result.Problems)))
        {
            IReadOnlyList<SourceChange> changes = ChangeAdvice.For(problem, model, placement);
            IEnumerable<string> arguments = problem.Arguments;
            if (problem.Kind == ProblemKind.StagesUnbalanced)
            {
                changes = RebalanceAdvice.For(model, result.Plan!, placement, cancellation);
            }
            else if (problem.Kind == ProblemKind.StageDoesNotFit)
            {
                int stage = int.Parse(problem.Arguments[0], CultureInfo.InvariantCulture);
                var advice = new MemoryAdvice(model, result.Plan!, stage, placement);
                IReadOnlyList<MemoryLever> levers = MemoryLevers.Find(model, result.Plan!, stage, cancellation);
                changes = advice.Changes(levers);
                arguments = arguments.Append(advice.Describe(levers, FittingWay.Find(model, result.Plan!, cancellation)));
            }

            yield return Diagnostic.Create(
                ProblemDescriptors.Of(problem.Kind),
                placement.Of(problem),
                SourceChangeProperties.Locations(changes),
                SourceChangeProperties.Write(changes),
                arguments.ToArray<object>());
        }

        if (result.Plan is { } plan)
        {
            yield return PipelineSummary.Of(model, plan, placement);
            if (CurvatureScopeCheck.Run(reading.Model, plan, placement) is { } scope)
            {
                yield return scope;
            }
        }
    }
}
