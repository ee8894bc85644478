using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

internal static partial class Descriptors
{
    private const string Plan = "Dho2.Plan";

    public static readonly DiagnosticDescriptor FewerMicroBatchesThanStages = new(
        DiagnosticIds.FewerMicroBatchesThanStages,
        "Fewer micro-batches than stages",
        ProblemKinds.FormatOf(ProblemKind.FewerMicroBatchesThanStages),
        Plan,
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.FewerMicroBatchesThanStages));

    public static readonly DiagnosticDescriptor FewerSamplesThanMicroBatches = new(
        DiagnosticIds.FewerSamplesThanMicroBatches,
        "Fewer samples than micro-batches",
        ProblemKinds.FormatOf(ProblemKind.FewerSamplesThanMicroBatches),
        Plan,
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.FewerSamplesThanMicroBatches));

    public static readonly DiagnosticDescriptor DescriptionInconsistent = new(
        DiagnosticIds.DescriptionInconsistent,
        "Description of the model is inconsistent",
        ProblemKinds.FormatOf(ProblemKind.DescriptionInconsistent),
        Plan,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.DescriptionInconsistent));

    public static readonly DiagnosticDescriptor RelaxationHigh = new(
        DiagnosticIds.RelaxationHigh,
        "Over-relaxation is above what is advised",
        ProblemKinds.FormatOf(ProblemKind.RelaxationHigh),
        Plan,
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.RelaxationHigh));

    public static readonly DiagnosticDescriptor CurvatureOfInterleavedStages = new(
        DiagnosticIds.CurvatureOfInterleavedStages,
        "Interleaved stages have one subspace together",
        ProblemKinds.FormatOf(ProblemKind.CurvatureOfInterleavedStages),
        Plan,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.CurvatureOfInterleavedStages));

    public static readonly DiagnosticDescriptor BatchStatisticsPerMicroBatch = new(
        DiagnosticIds.BatchStatisticsPerMicroBatch,
        "Batch statistics are those of a micro-batch",
        ProblemKinds.FormatOf(ProblemKind.BatchStatisticsPerMicroBatch),
        Plan,
        DiagnosticSeverity.Info,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.BatchStatisticsPerMicroBatch));
}
