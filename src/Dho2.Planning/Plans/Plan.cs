using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Everything about a partitioned training run that is known before it starts.</summary>
/// <param name="Model">The model's full metadata name.</param>
/// <param name="Options">The numbers the plan was made for: the attributes', with overrides applied.</param>
/// <param name="Stages">The stages, in order.</param>
/// <param name="Cuts">What crosses from stage <c>i</c> to stage <c>i + 1</c>, for each <c>i</c>.</param>
/// <param name="MicroBatches">The sizes of the micro-batches of a full step, by <see cref="Planning.MicroBatches.Split"/>.</param>
/// <param name="Schedule">Each rank's instructions for one full step.</param>
/// <param name="Hash">SHA-256, in lower-case hexadecimal, of the plan's canonical text.</param>
/// <param name="Curvature">How curvature is estimated; null where it is not.</param>
/// <param name="Ties">The parameters that several layers or stages share.</param>
public sealed record Plan(
    string Model,
    ModelOptions Options,
    EquatableArray<StagePlan> Stages,
    EquatableArray<CutPlan> Cuts,
    EquatableArray<int> MicroBatches,
    EquatableArray<EquatableArray<Instruction>> Schedule,
    string Hash,
    CurvaturePlan? Curvature = null,
    EquatableArray<TiePlan> Ties = default)
{
    /// <summary>Which rank of a replica's pipeline holds which stages.</summary>
    public StageLayout Layout => StageLayout.Of(Options.Schedule, Stages.Count, Options.StagesPerRank);

    /// <summary>Whether base optimizer state and curvature are shared out over the replicas of a stage.</summary>
    public bool IsSharded => Options.ShardsOptimizer && Options.Replicas > 1;

    /// <summary>The rank, within a replica's pipeline, that holds a stage.</summary>
    public int RankOf(int stage) => Layout.RankOf(stage);
}

/// <summary>One stage of a plan.</summary>
/// <param name="Index">The stage, counted from 0.</param>
/// <param name="Layers">Its layers, as indices into <see cref="ModelDescription.Layers"/>.</param>
/// <param name="Operations">Its operations, as indices into <see cref="ModelDescription.Operations"/>, in evaluation order.</param>
/// <param name="Parameters">Its parameters in the order of its flat vector; null where a layer is unknown.</param>
/// <param name="CurvatureRank">Largest eigenpairs kept for it (k).</param>
/// <param name="ForwardOperations">Floating-point operations of one forward over one step's batch; null where unknown.</param>
/// <param name="Memory">Bytes by kind.</param>
/// <param name="EstimatesBesideSteps">Whether the memory of an estimate and that of a step's activations are in use together.</param>
/// <param name="DedicatedBytes">
/// Bytes that the rank that estimates for this stage needs, where curvature has ranks of its own; null where it has none or
/// where they are unknown.
/// </param>
public sealed record StagePlan(
    int Index,
    EquatableArray<int> Layers,
    EquatableArray<int> Operations,
    EquatableArray<ParameterPlan>? Parameters,
    int CurvatureRank,
    long? ForwardOperations,
    EquatableArray<MemoryTerm> Memory,
    bool EstimatesBesideSteps = false,
    long? DedicatedBytes = null)
{
    /// <summary>Its buffers, such as running statistics; null where a layer is unknown.</summary>
    public EquatableArray<ParameterPlan>? Buffers { get; init; }

    /// <summary>
    /// Whether it keeps only the inputs of micro-batches in flight and runs each forward once more before the backward. Never
    /// where no more than one micro-batch is in flight on it and its rank has no other stage: that would save nothing.
    /// </summary>
    public bool Recomputes { get; init; }

    /// <summary>The elements of all its parameters; null where they are not known, or more than can be counted.</summary>
    public long? ParameterCount => Parameters is { } known ? MemoryModel.Sum(known.Select(parameter => (long?)parameter.Count)) : null;

    /// <summary>
    /// The most bytes that are needed at one time: where an estimate is made between steps, either its memory or that of a
    /// step's activations is in use. Null where a term is unknown.
    /// </summary>
    public long? PeakBytes => Memory.Any(t => t.Bytes is null) ? null : KnownBytes;

    /// <summary>The same over the terms that are known: the device needs at least this.</summary>
    public long KnownBytes => PeakTerms.Aggregate(0L, (sum, term) => Saturated(sum, term.Bytes!.Value));

    /// <summary>The terms of <see cref="KnownBytes"/>, largest first, without those that are 0 or unknown.</summary>
    public IEnumerable<MemoryTerm> PeakTerms
    {
        get
        {
            long Bytes(params MemoryKind[] kinds) =>
                Memory.Where(t => kinds.Contains(t.Kind)).Aggregate(0L, (sum, t) => Saturated(sum, t.Bytes ?? 0));

            bool isEstimate = Bytes(MemoryKind.Basis, MemoryKind.Graphs) > Bytes(MemoryKind.Activations, MemoryKind.SavedInputs, MemoryKind.Temporary);
            return Memory
                .Where(t => t.Bytes > 0 && t.Kind switch
                {
                    MemoryKind.Basis or MemoryKind.Graphs => EstimatesBesideSteps || isEstimate,
                    MemoryKind.Activations or MemoryKind.SavedInputs or MemoryKind.Temporary => EstimatesBesideSteps || !isEstimate,
                    _ => true,
                })
                .OrderByDescending(t => t.Bytes);
        }
    }

    private static long Saturated(long left, long right) => SafeInteger.TryAdd(left, right, out long sum) ? sum : long.MaxValue;
}

/// <summary>One parameter of a stage.</summary>
/// <param name="Name">Its name, equal to the unsplit model's, such as <c>conv1.weight</c>.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="DType">Its element type.</param>
public sealed record ParameterPlan(string Name, EquatableArray<long> Shape, DType DType)
{
    /// <summary>The number of elements.</summary>
    public long Count
    {
        get
        {
            long count = 1;
            foreach (long size in Shape)
            {
                count *= size;
            }

            return count;
        }
    }
}

/// <summary>What crosses from one stage to the next.</summary>
/// <param name="Index">The stage before the cut.</param>
/// <param name="Values">The values that cross, by their number.</param>
public sealed record CutPlan(int Index, EquatableArray<CutValue> Values);

/// <summary>One value that crosses a cut.</summary>
/// <param name="Value">The value's number (see <see cref="ModelDescription"/>).</param>
/// <param name="Name">A name that is unique within the cut: the variable's, or one made up for an unnamed value.</param>
/// <param name="TypeName">Its C# type with <c>global::</c> names: a tensor, or one of <see cref="CutScalars"/>.</param>
/// <param name="Type">Shape, with the batch as the symbol "N", and element type; null where unknown or where it is no tensor.</param>
/// <param name="Differentiable">
/// Whether a gradient may come back for it: it depends on a parameter and is not known to be of another than a floating-point type.
/// </param>
public sealed record CutValue(int Value, string Name, string TypeName, TensorType? Type, bool Differentiable);

/// <summary>The C# types, other than tensors, that can cross a cut: each as a tensor that holds the same numbers.</summary>
public static class CutScalars
{
    /// <summary>Whether a value of the type can cross as a 0-dimensional (or, for <c>long[]</c>, 1-dimensional) tensor.</summary>
    /// <param name="typeName">The C# type.</param>
    public static bool Contains(string typeName) => typeName is "long" or "int" or "double" or "float" or "bool" or "long[]";
}

/// <summary>The kinds of memory that a plan accounts for.</summary>
public enum MemoryKind
{
    /// <summary>Parameters and buffers.</summary>
    Parameters,

    /// <summary>Gradients.</summary>
    Gradients,

    /// <summary>State of the base optimizer.</summary>
    Optimizer,

    /// <summary>Kept eigenvectors and the carried rest of the momentum.</summary>
    Curvature,

    /// <summary>While an estimate is made: the Lanczos basis and the new eigenvectors.</summary>
    Basis,

    /// <summary>While an estimate is made: the graphs of forward and backward over the curvature batch.</summary>
    Graphs,

    /// <summary>The copy of the stage that products of the curvature are taken at.</summary>
    Copy,

    /// <summary>ADMM's consensus and dual variables.</summary>
    Admm,

    /// <summary>What automatic differentiation saves, times the micro-batches in flight, or those that are recomputed at one time.</summary>
    Activations,

    /// <summary>The largest temporary.</summary>
    Temporary,

    /// <summary>Buffers of the cuts.</summary>
    Boundary,

    /// <summary>Where activations are recomputed: the inputs of the micro-batches in flight.</summary>
    SavedInputs,
}

/// <summary>One term of a stage's memory.</summary>
/// <param name="Kind">What it is for.</param>
/// <param name="Bytes">Bytes; null where it cannot be known.</param>
public sealed record MemoryTerm(MemoryKind Kind, long? Bytes);
