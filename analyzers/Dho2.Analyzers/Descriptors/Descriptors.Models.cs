using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

internal static partial class Descriptors
{
    public static readonly DiagnosticDescriptor StagesOfList = new(
        DiagnosticIds.StagesOfList,
        "Stages of a list do not fit it",
        ModelProblemKinds.FormatOf(ModelProblemKind.StagesOfList),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.StagesOfList));

    public static readonly DiagnosticDescriptor TieImpossible = new(
        DiagnosticIds.TieImpossible,
        "Parameters cannot be tied",
        ProblemKinds.FormatOf(ProblemKind.TieImpossible),
        Shapes,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.TieImpossible));
}
