using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

internal static partial class Descriptors
{
    private const string Memory = "Dho2.Memory";

    public static readonly DiagnosticDescriptor StageDoesNotFit = new(
        DiagnosticIds.StageDoesNotFit,
        "Stage does not fit its device",
        ProblemKinds.FormatOf(ProblemKind.StageDoesNotFit) + "{5}",
        Memory,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.StageDoesNotFit));

    public static readonly DiagnosticDescriptor StageNearlyFull = new(
        DiagnosticIds.StageNearlyFull,
        "Stage needs most of its device",
        ProblemKinds.FormatOf(ProblemKind.StageNearlyFull),
        Memory,
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.StageNearlyFull));

    public static readonly DiagnosticDescriptor PlanSummary = new(
        DiagnosticIds.PlanSummary,
        "Memory and bubble of a pipeline",
        "'{0}': {1}; stages wait for each other {2} % of a step",
        Memory,
        DiagnosticSeverity.Info,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.PlanSummary));

    public static readonly DiagnosticDescriptor StagesUnbalanced = new(
        DiagnosticIds.StagesUnbalanced,
        "Stages take unequal time",
        ProblemKinds.FormatOf(ProblemKind.StagesUnbalanced),
        Memory,
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.StagesUnbalanced));
}
