using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

internal static partial class Descriptors
{
    private const string Shapes = "Dho2.Shapes";

    public static readonly DiagnosticDescriptor ShapeMismatch = new(
        DiagnosticIds.ShapeMismatch,
        "Shapes do not match",
        ProblemKinds.FormatOf(ProblemKind.ShapeMismatch),
        Shapes,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.ShapeMismatch));

    public static readonly DiagnosticDescriptor ArgumentRefused = new(
        DiagnosticIds.ArgumentRefused,
        "Argument is refused",
        ProblemKinds.FormatOf(ProblemKind.ArgumentRefused),
        Shapes,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.ArgumentRefused));
}
