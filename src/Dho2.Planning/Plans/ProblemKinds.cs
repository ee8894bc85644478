using System;

namespace Dho2.Planning;

/// <summary>Everything that planning can find wrong. Messages are in <see cref="ProblemKinds"/>.</summary>
public enum ProblemKind
{
    /// <summary>The model has no layer.</summary>
    NoLayers,

    /// <summary>Stage numbers have a gap.</summary>
    StageGap,

    /// <summary>A stage number is negative.</summary>
    StageOutOfRange,

    /// <summary>A layer has no stage.</summary>
    LayerWithoutStage,

    /// <summary>A later stage feeds an earlier one.</summary>
    LaterStageFeedsEarlier,

    /// <summary>A statement that is copied as a whole uses layers of several stages.</summary>
    StatementOverSeveralStages,

    /// <summary>A value crosses a cut whose type cannot.</summary>
    ValueCannotCross,

    /// <summary>An index in the description points nowhere, or forward.</summary>
    DescriptionInconsistent,

    /// <summary>A number of an attribute or option is outside its range.</summary>
    NumberOutOfRange,

    /// <summary>ADMM's over-relaxation is above what is advised.</summary>
    RelaxationHigh,

    /// <summary>There are fewer micro-batches than stages.</summary>
    FewerMicroBatchesThanStages,

    /// <summary>There are fewer samples than micro-batches.</summary>
    FewerSamplesThanMicroBatches,

    /// <summary>Curvature is wanted where ranks hold several stages.</summary>
    CurvatureOfInterleavedStages,

    /// <summary>Batch normalisation sees a micro-batch and not the batch.</summary>
    BatchStatisticsPerMicroBatch,

    /// <summary>One stage takes much longer than the slowest of another partition would.</summary>
    StagesUnbalanced,

    /// <summary>An operation without a second derivative is in a model whose curvature is estimated.</summary>
    NoSecondDerivative,

    /// <summary>Estimates have too few products to find the wanted eigenpairs.</summary>
    OrderSmall,

    /// <summary>A stage needs more memory than its device has.</summary>
    StageDoesNotFit,

    /// <summary>A stage needs most of the memory of its device.</summary>
    StageNearlyFull,

    /// <summary>More eigenpairs are to be kept than there are parameters.</summary>
    RankAboveParameters,

    /// <summary>An input or target of the model has no stated shape.</summary>
    InputWithoutShape,

    /// <summary>An operation gets a tensor of a shape that it refuses.</summary>
    ShapeMismatch,

    /// <summary>An operation or layer gets an argument that it refuses, or a tensor of an element type that it refuses.</summary>
    ArgumentRefused,

    /// <summary>Parameters cannot be tied.</summary>
    TieImpossible,
}

/// <summary>Severity and message of every <see cref="ProblemKind"/>, stated once for analyzers, command line and runtime.</summary>
public static class ProblemKinds
{
    /// <summary>How much problems of the kind weigh.</summary>
    public static ProblemSeverity SeverityOf(ProblemKind kind) => kind switch
    {
        ProblemKind.FewerMicroBatchesThanStages or ProblemKind.FewerSamplesThanMicroBatches or ProblemKind.RelaxationHigh
            or ProblemKind.StageNearlyFull or ProblemKind.RankAboveParameters or ProblemKind.StagesUnbalanced
            or ProblemKind.OrderSmall => ProblemSeverity.Warning,
        ProblemKind.InputWithoutShape or ProblemKind.BatchStatisticsPerMicroBatch => ProblemSeverity.Information,
        _ => ProblemSeverity.Error,
    };

    /// <summary>The composite format of the kind's messages, as of <see cref="string.Format(string, object[])"/>.</summary>
    public static string FormatOf(ProblemKind kind) => kind switch
    {
        ProblemKind.NoLayers => "'{0}' has no layer that could be put on a stage",
        ProblemKind.StageGap => "Stage {0} has no layer although stage {1} has one ('{2}'); number the stages 0, 1, 2, ... without gaps",
        ProblemKind.StageOutOfRange => "Layer '{0}' is on stage {1}; stages are counted from 0",
        ProblemKind.LayerWithoutStage => "Layer '{0}' has no stage; mark it, or its module class, with [Stage(n)]",
        ProblemKind.LaterStageFeedsEarlier => "{0} on stage {1} uses the result of {2}, which is on the later stage {3}; values only move to later stages: put it on stage {3} or later, or what it uses on stage {1} or earlier",
        ProblemKind.StatementOverSeveralStages => "This statement can only be copied as a whole, but uses layers of several stages: {0}; split it into statements of one stage each, or put these layers on one stage",
        ProblemKind.ValueCannotCross => "{0} of type '{1}' would cross from stage {2} to stage {3}; only tensors, numbers, truth values and shapes can: take out the tensors that are needed before the cut",
        ProblemKind.DescriptionInconsistent => "The description of the model is inconsistent: {0}",
        ProblemKind.NumberOutOfRange => "{0} is {1}; it must be {2}",
        ProblemKind.RelaxationHigh => "Over-relaxation is {0}; above 1.3 replicas with momentum may diverge",
        ProblemKind.FewerMicroBatchesThanStages => "MicroBatches = {0} keeps the {1} ranks busy for {2} % of the time; {3} would keep them busy for {4} %",
        ProblemKind.FewerSamplesThanMicroBatches => "A batch of {0} samples makes only {0} of the {1} micro-batches",
        ProblemKind.CurvatureOfInterleavedStages => "A subspace for each stage takes one stage on each rank, but Schedule.Interleaved puts {0} on each; use one subspace for the model (CurvatureScope.Global), Schedule.OneForwardOneBackward or Schedule.ZeroBubble",
        ProblemKind.BatchStatisticsPerMicroBatch => "'{0}' normalises over the {1} samples of a micro-batch, not over the {2} of the batch: its statistics are noisier, and change with MicroBatches",
        ProblemKind.StagesUnbalanced => "Stage {0} takes {1} % of the time of all {2} stages, so a step takes about {3} times as long as with the partition {4}",
        ProblemKind.NoSecondDerivative => "{0} has no second derivative, which the curvature of {1} needs: the estimate would end the run; replace it, or turn the curvature off",
        ProblemKind.OrderSmall => "Curvature.Order = {0} leaves {1} products beyond the {2} eigenpairs that are wanted; about {3}, four for each, find them reliably",
        ProblemKind.StageDoesNotFit => "Stage {0} needs {1}, {2} more than the {3} of its device: {4}",
        ProblemKind.StageNearlyFull => "Stage {0} needs {1}, {2} % of the {3} of its device: {4}",
        ProblemKind.RankAboveParameters => "{0} eigenpairs are to be kept, but {1} has only {2} parameters, and no more eigenpairs than those",
        ProblemKind.InputWithoutShape => "The shape of '{0}' is not stated, so what follows from it is unknown; add [{1}(...)] with the dimensions after the batch",
        ProblemKind.ShapeMismatch => "{0}",
        ProblemKind.ArgumentRefused => "{0}",
        ProblemKind.TieImpossible => "'{0}' cannot be tied: {1}",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not a kind of problem."),
    };
}
