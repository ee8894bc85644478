using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

internal static partial class Descriptors
{
    private const string Curvature = "Dho2.Curvature";

    public static readonly DiagnosticDescriptor CurvatureBlockDiagonal = new(
        DiagnosticIds.CurvatureBlockDiagonal,
        "A layer's rank makes the curvature block-diagonal",
        "The rank of '{0}' makes the curvature block-diagonal: each of the {1} stages keeps eigenpairs of its own block ({2}), and what couples the stages is left out; state Scope = CurvatureScope.Stage if that is meant, or CurvatureScope.Global for one subspace",
        Curvature,
        DiagnosticSeverity.Info,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.CurvatureBlockDiagonal));

    public static readonly DiagnosticDescriptor RankAboveParameters = new(
        DiagnosticIds.RankAboveParameters,
        "More eigenpairs are kept than there are parameters",
        ProblemKinds.FormatOf(ProblemKind.RankAboveParameters),
        Curvature,
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.RankAboveParameters));

    public static readonly DiagnosticDescriptor NoSecondDerivative = new(
        DiagnosticIds.NoSecondDerivative,
        "Operation has no second derivative",
        ProblemKinds.FormatOf(ProblemKind.NoSecondDerivative),
        Curvature,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.NoSecondDerivative));

    public static readonly DiagnosticDescriptor OrderSmall = new(
        DiagnosticIds.OrderSmall,
        "Order of estimates is small",
        ProblemKinds.FormatOf(ProblemKind.OrderSmall),
        Curvature,
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.OrderSmall));

    public static readonly DiagnosticDescriptor DecayOutsideLoss = new(
        DiagnosticIds.DecayOutsideLoss,
        "Weight decay outside the loss",
        "Decoupled weight decay of {0} is outside the loss, so the curvature does not see it; L2Penalty is part of gradient and Hessian",
        Curvature,
        DiagnosticSeverity.Info,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.DecayOutsideLoss));
}
