using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

internal static partial class Descriptors
{
    private const string Declarations = "Dho2.Declarations";

    public static readonly DiagnosticDescriptor NotPartial = new(
        DiagnosticIds.NotPartial,
        "Pipeline class is not partial",
        ModelProblemKinds.FormatOf(ModelProblemKind.NotPartial),
        Declarations,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.NotPartial));

    public static readonly DiagnosticDescriptor UnsupportedForm = new(
        DiagnosticIds.UnsupportedForm,
        "Pipeline class has a form that cannot be partitioned",
        ModelProblemKinds.FormatOf(ModelProblemKind.UnsupportedForm),
        Declarations,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.UnsupportedForm));

    public static readonly DiagnosticDescriptor ForwardMissing = new(
        DiagnosticIds.ForwardMissing,
        "Pipeline class has no forward method",
        ModelProblemKinds.FormatOf(ModelProblemKind.ForwardMissing),
        Declarations,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.ForwardMissing));

    public static readonly DiagnosticDescriptor InputMismatch = new(
        DiagnosticIds.InputMismatch,
        "Inputs do not describe the parameters of forward",
        ModelProblemKinds.FormatOf(ModelProblemKind.InputMismatch),
        Declarations,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.InputMismatch));

    public static readonly DiagnosticDescriptor LossMissing = new(
        DiagnosticIds.LossMissing,
        "Pipeline class has no usable Loss method",
        ModelProblemKinds.FormatOf(ModelProblemKind.LossMissing),
        Declarations,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.LossMissing));

    public static readonly DiagnosticDescriptor OutOfRange = new(
        DiagnosticIds.OutOfRange,
        "Value of an attribute is out of range",
        ProblemKinds.FormatOf(ProblemKind.NumberOutOfRange),
        Declarations,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.OutOfRange));

    public static readonly DiagnosticDescriptor LayerNotCreated = new(
        DiagnosticIds.LayerNotCreated,
        "Creation of a layer is not understood",
        ModelProblemKinds.FormatOf(ModelProblemKind.LayerNotCreated),
        Declarations,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.LayerNotCreated));

    public static readonly DiagnosticDescriptor InputWithoutShape = new(
        DiagnosticIds.InputWithoutShape,
        "Shape of an input is not stated",
        ProblemKinds.FormatOf(ProblemKind.InputWithoutShape),
        Declarations,
        DiagnosticSeverity.Info,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.InputWithoutShape));

    public static readonly DiagnosticDescriptor NoLayers = new(
        DiagnosticIds.NoLayers,
        "Pipeline class has no layers",
        ProblemKinds.FormatOf(ProblemKind.NoLayers),
        Declarations,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.NoLayers));
}
