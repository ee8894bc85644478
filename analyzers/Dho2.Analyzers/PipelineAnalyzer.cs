using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
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
            ReportModeling(context, reading);
            ReportPlanning(context, reading, device);
        }
    }

    private static void ReportModeling(SymbolAnalysisContext context, ModelReading reading)
    {
        foreach (ModelProblem problem in reading.Model.Problems)
        {
            // A fix is offered for what is reported within the class itself, so a container's fault stands there too.
            SourceSpan place = problem.Kind == ModelProblemKind.NotPartial ? reading.Model.Source.Class : problem.Span;
            context.ReportDiagnostic(Diagnostic.Create(
                ProblemDescriptors.Of(problem.Kind), reading.LocationOf(place), problem.Arguments.ToArray<object>()));
        }
    }

    private static void ReportPlanning(SymbolAnalysisContext context, ModelReading reading, ProjectDevice device)
    {
        ModelDescription model = device.ApplyTo(reading.Model.Description);
        var placement = new Placement(reading, context.CancellationToken);
        PlanResult result = Planner.Plan(model, cancellation: context.CancellationToken);
        foreach (PlanProblem problem in result.Problems.Where(problem => !placement.IsRepeated(problem, result.Problems)))
        {
            IReadOnlyList<SourceChange> changes = ChangeAdvice.For(problem, model, placement);
            IEnumerable<string> arguments = problem.Arguments;
            if (problem.Kind == ProblemKind.StagesUnbalanced)
            {
                changes = RebalanceAdvice.For(model, result.Plan!, placement, context.CancellationToken);
            }
            else if (problem.Kind == ProblemKind.StageDoesNotFit)
            {
                int stage = int.Parse(problem.Arguments[0], CultureInfo.InvariantCulture);
                var advice = new MemoryAdvice(model, result.Plan!, stage, placement);
                IReadOnlyList<MemoryLever> levers = MemoryLevers.Find(model, result.Plan!, stage, context.CancellationToken);
                changes = advice.Changes(levers);
                arguments = arguments.Append(advice.Describe(levers));
            }

            context.ReportDiagnostic(Diagnostic.Create(
                ProblemDescriptors.Of(problem.Kind),
                placement.Of(problem),
                SourceChangeProperties.Locations(changes),
                SourceChangeProperties.Write(changes),
                arguments.ToArray<object>()));
        }

        if (result.Plan is { } plan)
        {
            context.ReportDiagnostic(PipelineSummary.Of(model, plan, placement));
            if (CurvatureScopeCheck.Run(reading.Model, plan, placement) is { } scope)
            {
                context.ReportDiagnostic(scope);
            }
        }
    }
}
