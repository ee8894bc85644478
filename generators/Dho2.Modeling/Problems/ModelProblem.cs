using System;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Modeling;

/// <summary>What is wrong with a pipeline class or could not be understood. Messages are in <see cref="ModelProblemKinds"/>.</summary>
public enum ModelProblemKind
{
    /// <summary>The class, or a type around it, is not partial.</summary>
    NotPartial,

    /// <summary>The class has a form that cannot be partitioned.</summary>
    UnsupportedForm,

    /// <summary>An attribute's value cannot be read.</summary>
    OptionOutOfRange,

    /// <summary>The attributes do not describe the parameters of <c>forward</c> or <c>Loss</c>.</summary>
    InputMismatch,

    /// <summary>There is no usable <c>Loss</c>.</summary>
    LossMissing,

    /// <summary>There is no usable <c>forward</c>.</summary>
    ForwardMissing,

    /// <summary>A layer's creation cannot be repeated in a stage.</summary>
    LayerNotCreated,

    /// <summary>A statement cannot be sliced.</summary>
    StatementNotSliced,

    /// <summary>An instance member is used that a stage does not have.</summary>
    InstanceMember,

    /// <summary>Random numbers are drawn by a function whose results would depend on the partition.</summary>
    PartitionDependentRandomness,

    /// <summary>A layer draws random numbers that depend on the partition.</summary>
    NestedDropout,

    /// <summary>The stages of a member do not fit the layers that it holds.</summary>
    StagesOfList,
}

/// <summary>One problem and its place.</summary>
/// <param name="Kind">What is wrong.</param>
/// <param name="Span">Where.</param>
/// <param name="Arguments">The names and reasons of the message, in the order of its placeholders.</param>
public sealed record ModelProblem(ModelProblemKind Kind, SourceSpan Span, EquatableArray<string> Arguments)
{
    /// <summary>How much it weighs.</summary>
    public ProblemSeverity Severity => ModelProblemKinds.SeverityOf(Kind);

    /// <summary>What is wrong, and what would be right.</summary>
    public string Message =>
        string.Format(CultureInfo.InvariantCulture, ModelProblemKinds.FormatOf(Kind), Arguments.Cast<object>().ToArray());
}

/// <summary>Severity and message of every <see cref="ModelProblemKind"/>.</summary>
public static class ModelProblemKinds
{
    /// <summary>How much problems of the kind weigh.</summary>
    public static ProblemSeverity SeverityOf(ModelProblemKind kind) =>
        kind == ModelProblemKind.NestedDropout ? ProblemSeverity.Warning : ProblemSeverity.Error;

    /// <summary>The composite format of the kind's messages, as of <see cref="string.Format(string, object[])"/>.</summary>
    public static string FormatOf(ModelProblemKind kind) => kind switch
    {
        ModelProblemKind.NotPartial => "'{0}' must be partial, so that the stages of '{1}' can be generated into it",
        ModelProblemKind.UnsupportedForm => "'{0}' cannot be a pipeline: {1}",
        ModelProblemKind.OptionOutOfRange => "{0} is '{1}'; it must be {2}",
        ModelProblemKind.InputMismatch => "{0}",
        ModelProblemKind.LossMissing => "'{0}' has no usable loss: {1}; write 'private static Tensor Loss(...)' that takes the results of forward and the targets",
        ModelProblemKind.ForwardMissing => "'{0}' has no usable forward: {1}",
        ModelProblemKind.LayerNotCreated => "Layer '{0}' cannot be created in a stage: {1}; {2}",
        ModelProblemKind.StatementNotSliced => "This cannot be sliced into stages: {0}",
        ModelProblemKind.InstanceMember => "'{0}' belongs to the model, which no stage has: {1}",
        ModelProblemKind.PartitionDependentRandomness => "The masks of '{0}' would depend on the partition; use a Dropout layer, whose masks follow from the seed, the layer's name, the micro-batch and the step",
        ModelProblemKind.NestedDropout => "The masks of dropout '{0}' depend on the partition and on the order of the ranks; a Dropout layer of '{1}' itself gives the same masks for every partition",
        ModelProblemKind.StagesOfList => "The stages of '{0}' do not fit: {1}; each [Stage] holds from its element to the next one's, as in [Stage(0), Stage(1, From = 9)]",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not a kind of problem."),
    };
}
