using Dho2.Planning;

namespace Dho2.Modeling;

/// <summary>What is wrong with a pipeline class or could not be understood.</summary>
public enum ProblemKind
{
    /// <summary>The class, or a type around it, is not partial. Arguments: the type.</summary>
    NotPartial,

    /// <summary>The class has a form that cannot be partitioned. Arguments: the class, the reason.</summary>
    UnsupportedForm,

    /// <summary>An attribute's value is out of range. Arguments: attribute and property, the value, what would be right.</summary>
    OptionOutOfRange,

    /// <summary>The attributes do not describe the parameters of <c>forward</c>. Arguments: the reason.</summary>
    InputMismatch,

    /// <summary>There is no usable <c>Loss</c>. Arguments: the class, the reason.</summary>
    LossMissing,

    /// <summary>There is no <c>forward</c> with a body. Arguments: the class.</summary>
    ForwardMissing,

    /// <summary>A layer's creation was not understood. Arguments: the layer, the reason.</summary>
    LayerNotCreated,

    /// <summary>A statement cannot be sliced. Arguments: the reason.</summary>
    StatementNotSliced,

    /// <summary>An instance member is used that a stage does not have. Arguments: the member, the way out.</summary>
    InstanceMember,

    /// <summary>Random numbers are drawn that would depend on the partition. Arguments: what draws them.</summary>
    PartitionDependentRandomness,
}

/// <summary>One problem and its place.</summary>
/// <param name="Kind">What is wrong.</param>
/// <param name="Span">Where.</param>
/// <param name="Arguments">The parts of the message.</param>
public sealed record ModelProblem(ProblemKind Kind, SourceSpan Span, EquatableArray<string> Arguments);
