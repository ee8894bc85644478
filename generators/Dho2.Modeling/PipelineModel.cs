using Dho2.Planning;

namespace Dho2.Modeling;

/// <summary>
/// All that is read of one pipeline class. Immutable and compared by value: no symbol, syntax or compilation is kept, so
/// that it may flow through an incremental pipeline.
/// </summary>
/// <param name="Class">The class's form, without positions.</param>
/// <param name="Description">What planning needs, without positions.</param>
/// <param name="Source">Positions and copied texts.</param>
/// <param name="Problems">What is wrong with the declarations or could not be understood, in source order.</param>
public sealed record PipelineModel(
    PipelineClass Class,
    ModelDescription Description,
    SourceMap Source,
    EquatableArray<ModelProblem> Problems);

/// <summary>How much can be generated for a class.</summary>
public enum ClassStatus
{
    /// <summary>No part of the class can be added: it is not partial, or of a form that parts cannot extend.</summary>
    Closed,

    /// <summary>Errors or problems stand in the way of slicing: only the public surface is generated, with bodies that throw.</summary>
    Broken,

    /// <summary>Everything was understood.</summary>
    Sound,
}

/// <summary>The form of a pipeline class: what the generator needs beside the model itself, without positions.</summary>
/// <param name="MetadataName">The full metadata name, such as <c>Samples.Outer+MnistNet</c>.</param>
/// <param name="Name">The simple name.</param>
/// <param name="Namespace">The namespace; empty for the global one.</param>
/// <param name="Containers">The headers of the containing types, outermost first, such as <c>partial class Outer</c>.</param>
/// <param name="Accessibility">The class's own accessibility as C# keywords.</param>
/// <param name="Status">How much can be generated.</param>
/// <param name="NeedsConstructor">Whether a constructor is to be generated: the user wrote none.</param>
/// <param name="Registrations">What a generated constructor registers, in source order.</param>
/// <param name="InputTypes">The types of the parameters of <c>forward</c>, with <c>global::</c> names.</param>
/// <param name="ResultType">The result type of <c>forward</c>, with <c>global::</c> names.</param>
/// <param name="LossTargets">The number of parameters of <c>Loss</c> after the model's results.</param>
/// <param name="Names">The names of the generated members.</param>
public sealed record PipelineClass(
    string MetadataName,
    string Name,
    string Namespace,
    EquatableArray<string> Containers,
    string Accessibility,
    ClassStatus Status,
    bool NeedsConstructor,
    EquatableArray<Registration> Registrations,
    EquatableArray<string> InputTypes,
    string ResultType,
    int LossTargets,
    MemberNames Names)
{
    /// <summary>Whether <c>Loss</c> returns a sum and the count that divides it, in place of a mean over samples.</summary>
    public bool IsLossCounted { get; init; }
}

/// <summary>The way a component is registered with its module.</summary>
public enum RegistrationKind
{
    /// <summary>By <c>register_module</c>.</summary>
    Module,

    /// <summary>By <c>register_parameter</c>.</summary>
    Parameter,

    /// <summary>By <c>register_buffer</c>.</summary>
    Buffer,

    /// <summary>By <c>register_module</c>, as a <c>ModuleList</c>: an array or another list of modules.</summary>
    List,
}

/// <summary>One component that a generated constructor registers.</summary>
/// <param name="Kind">The way.</param>
/// <param name="Name">The name of its parameters' prefix.</param>
/// <param name="Member">The member that holds it.</param>
/// <param name="ElementType">For a list, the type of its elements with <c>global::</c> names.</param>
public sealed record Registration(RegistrationKind Kind, string Name, string Member, string? ElementType = null);

/// <summary>Names of generated members, chosen so that none hides a name that the user's code means otherwise.</summary>
/// <param name="Pipeline">The property that holds the definition.</param>
/// <param name="CreateTrainer">The method that makes a trainer.</param>
/// <param name="CreateUnsplit">The method that makes the unsplit model.</param>
/// <param name="Stage">The stem of the stage classes' names.</param>
/// <param name="Cut">The stem of the cut records' names.</param>
/// <param name="Forward">The typed forward method of a stage.</param>
public sealed record MemberNames(
    string Pipeline,
    string CreateTrainer,
    string CreateUnsplit,
    string Stage,
    string Cut,
    string Forward);
