using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

internal static partial class Descriptors
{
    private const string Partition = "Dho2.Partition";

    public static readonly DiagnosticDescriptor LayerWithoutStage = new(
        DiagnosticIds.LayerWithoutStage,
        "Layer has no stage",
        ProblemKinds.FormatOf(ProblemKind.LayerWithoutStage),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.LayerWithoutStage));

    public static readonly DiagnosticDescriptor StageGap = new(
        DiagnosticIds.StageGap,
        "Stage numbers have a gap",
        ProblemKinds.FormatOf(ProblemKind.StageGap),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.StageGap));

    public static readonly DiagnosticDescriptor StageOutOfRange = new(
        DiagnosticIds.StageOutOfRange,
        "Stage number is negative",
        ProblemKinds.FormatOf(ProblemKind.StageOutOfRange),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.StageOutOfRange));

    public static readonly DiagnosticDescriptor LaterStageFeedsEarlier = new(
        DiagnosticIds.LaterStageFeedsEarlier,
        "Later stage feeds an earlier one",
        ProblemKinds.FormatOf(ProblemKind.LaterStageFeedsEarlier),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.LaterStageFeedsEarlier));

    public static readonly DiagnosticDescriptor StatementNotSliced = new(
        DiagnosticIds.StatementNotSliced,
        "Statement cannot be sliced into stages",
        ModelProblemKinds.FormatOf(ModelProblemKind.StatementNotSliced),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.StatementNotSliced));

    public static readonly DiagnosticDescriptor StatementOverSeveralStages = new(
        DiagnosticIds.StatementOverSeveralStages,
        "Statement uses layers of several stages",
        ProblemKinds.FormatOf(ProblemKind.StatementOverSeveralStages),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.StatementOverSeveralStages));

    public static readonly DiagnosticDescriptor ValueCannotCross = new(
        DiagnosticIds.ValueCannotCross,
        "Value cannot cross a cut",
        ProblemKinds.FormatOf(ProblemKind.ValueCannotCross),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.ValueCannotCross));

    public static readonly DiagnosticDescriptor InstanceMember = new(
        DiagnosticIds.InstanceMember,
        "Instance member that no stage has",
        ModelProblemKinds.FormatOf(ModelProblemKind.InstanceMember),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.InstanceMember));

    public static readonly DiagnosticDescriptor PartitionDependentRandomness = new(
        DiagnosticIds.PartitionDependentRandomness,
        "Random numbers would depend on the partition",
        ModelProblemKinds.FormatOf(ModelProblemKind.PartitionDependentRandomness),
        Partition,
        DiagnosticSeverity.Error,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.PartitionDependentRandomness));

    public static readonly DiagnosticDescriptor NestedDropout = new(
        DiagnosticIds.NestedDropout,
        "Masks of a nested dropout depend on the partition",
        ModelProblemKinds.FormatOf(ModelProblemKind.NestedDropout),
        Partition,
        DiagnosticSeverity.Warning,
        isEnabledByDefault: true,
        helpLinkUri: HelpLinks.Of(DiagnosticIds.NestedDropout));
}
