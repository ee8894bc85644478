using System;
using System.Collections.Immutable;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using static Dho2.Analyzers.Descriptors;

namespace Dho2.Analyzers;

/// <summary>Which diagnostic stands for which problem of modeling and planning.</summary>
internal static class ProblemDescriptors
{
    /// <summary>All of them.</summary>
    public static ImmutableArray<DiagnosticDescriptor> All { get; } =
    [
        NotPartial, UnsupportedForm, ForwardMissing, InputMismatch, LossMissing, OutOfRange, LayerNotCreated, InputWithoutShape,
        NoLayers,
        LayerWithoutStage, StageGap, StageOutOfRange, LaterStageFeedsEarlier, StatementNotSliced, StatementOverSeveralStages,
        ValueCannotCross, InstanceMember, PartitionDependentRandomness, NestedDropout,
        ShapeMismatch, ArgumentRefused, StagesOfList, TieImpossible,
        FewerMicroBatchesThanStages, FewerSamplesThanMicroBatches, RelaxationHigh,
        CurvatureOfInterleavedStages, BatchStatisticsPerMicroBatch, StagesUnbalanced, NoSecondDerivative, OrderSmall, DecayOutsideLoss,
        StageDoesNotFit, StageNearlyFull, PlanSummary, CurvatureBlockDiagonal, RankAboveParameters, DescriptionInconsistent,
    ];

    /// <summary>The diagnostic for what modeling could not read.</summary>
    public static DiagnosticDescriptor Of(ModelProblemKind kind) => kind switch
    {
        ModelProblemKind.NotPartial => NotPartial,
        ModelProblemKind.UnsupportedForm => UnsupportedForm,
        ModelProblemKind.OptionOutOfRange => OutOfRange,
        ModelProblemKind.InputMismatch => InputMismatch,
        ModelProblemKind.LossMissing => LossMissing,
        ModelProblemKind.ForwardMissing => ForwardMissing,
        ModelProblemKind.LayerNotCreated => LayerNotCreated,
        ModelProblemKind.StatementNotSliced => StatementNotSliced,
        ModelProblemKind.InstanceMember => InstanceMember,
        ModelProblemKind.PartitionDependentRandomness => PartitionDependentRandomness,
        ModelProblemKind.NestedDropout => NestedDropout,
        ModelProblemKind.StagesOfList => StagesOfList,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "A problem of modeling without a diagnostic."),
    };

    /// <summary>The diagnostic for what planning found.</summary>
    public static DiagnosticDescriptor Of(ProblemKind kind) => kind switch
    {
        ProblemKind.NoLayers => NoLayers,
        ProblemKind.StageGap => StageGap,
        ProblemKind.StageOutOfRange => StageOutOfRange,
        ProblemKind.LayerWithoutStage => LayerWithoutStage,
        ProblemKind.LaterStageFeedsEarlier => LaterStageFeedsEarlier,
        ProblemKind.StatementOverSeveralStages => StatementOverSeveralStages,
        ProblemKind.ValueCannotCross => ValueCannotCross,
        ProblemKind.DescriptionInconsistent => DescriptionInconsistent,
        ProblemKind.NumberOutOfRange => OutOfRange,
        ProblemKind.RelaxationHigh => RelaxationHigh,
        ProblemKind.FewerMicroBatchesThanStages => FewerMicroBatchesThanStages,
        ProblemKind.FewerSamplesThanMicroBatches => FewerSamplesThanMicroBatches,
        ProblemKind.CurvatureOfInterleavedStages => CurvatureOfInterleavedStages,
        ProblemKind.BatchStatisticsPerMicroBatch => BatchStatisticsPerMicroBatch,
        ProblemKind.StagesUnbalanced => StagesUnbalanced,
        ProblemKind.NoSecondDerivative => NoSecondDerivative,
        ProblemKind.OrderSmall => OrderSmall,
        ProblemKind.StageDoesNotFit => StageDoesNotFit,
        ProblemKind.StageNearlyFull => StageNearlyFull,
        ProblemKind.RankAboveParameters => RankAboveParameters,
        ProblemKind.InputWithoutShape => InputWithoutShape,
        ProblemKind.ShapeMismatch => ShapeMismatch,
        ProblemKind.ArgumentRefused => ArgumentRefused,
        ProblemKind.TieImpossible => TieImpossible,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "A problem of planning without a diagnostic."),
    };
}
