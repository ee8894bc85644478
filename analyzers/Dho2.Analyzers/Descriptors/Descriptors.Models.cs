using Dho2.Modeling;
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
}
