using System;
using System.Globalization;
using System.Linq;

namespace Dho2.Planning;

/// <summary>A plan as plain rows: what tables, documentation comments and the command line print.</summary>
/// <param name="Stages">One row for each stage.</param>
/// <param name="BubblePartsPerMillion">The share of time in which stages of equal cost wait for each other.</param>
public sealed record PlanReport(EquatableArray<StageReport> Stages, long BubblePartsPerMillion)
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>Makes the rows of a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="model">The model that it was made for.</param>
    public static PlanReport Of(Plan plan, ModelDescription model) => new(
        plan.Stages.Select(s => new StageReport(
            s.Index,
            s.Layers.Select(l => model.Layers[l].Name).ToEquatableArray(),
            s.ParameterCount,
            s.CurvatureRank,
            s.ForwardOperations,
            s.Memory,
            s.PeakBytes,
            s.KnownBytes,
            s.Index < plan.Cuts.Count ? plan.Cuts[s.Index].Values.Select(Describe).ToEquatableArray() : default)).ToEquatableArray(),
        ScheduleSimulator.Run(plan.Schedule, ScheduleCosts.OfEqualStages(plan)).BubblePartsPerMillion);

    /// <summary>A number of bytes in the largest unit that it fills, with at most two decimals, such as <c>3.1 GiB</c>.</summary>
    public static string FormatBytes(long? bytes)
    {
        if (bytes is not { } value)
        {
            return "unknown";
        }

        decimal scaled = value;
        int unit = 0;
        while (Math.Abs(scaled) >= 1024 && unit < Units.Length - 1)
        {
            scaled /= 1024;
            unit++;
        }

        return scaled.ToString(Math.Abs(scaled) >= 100 || unit == 0 ? "0" : Math.Abs(scaled) >= 10 ? "0.#" : "0.##", CultureInfo.InvariantCulture) + " " + Units[unit];
    }

    /// <summary>What a term of memory is called.</summary>
    public static string NameOf(MemoryKind kind) => kind switch
    {
        MemoryKind.Parameters => "parameters and buffers",
        MemoryKind.Gradients => "gradients",
        MemoryKind.Optimizer => "optimizer state",
        MemoryKind.Curvature => "curvature",
        MemoryKind.Basis => "curvature basis",
        MemoryKind.Graphs => "second-order graphs",
        MemoryKind.Copy => "copy for products",
        MemoryKind.Admm => "ADMM variables",
        MemoryKind.Activations => "activations in flight",
        MemoryKind.Temporary => "largest temporary",
        MemoryKind.SavedInputs => "inputs to recompute from",
        _ => "boundary buffers",
    };

    /// <summary>A value of a cut, such as <c>x: float32 (N, 64, 7, 7)</c>.</summary>
    public static string Describe(CutValue value) =>
        value.Type is { } type ? $"{value.Name}: {ElementTypes.NameOf(type.DType)} {ShapeText.Of(type.Shape)}"
        : value.TypeName == CutBuilder.TensorTypeName ? $"{value.Name}: tensor of unknown shape"
        : $"{value.Name}: {value.TypeName}";
}

/// <summary>One stage of a <see cref="PlanReport"/>.</summary>
/// <param name="Index">The stage.</param>
/// <param name="Layers">The names of its layers.</param>
/// <param name="Parameters">The number of its parameters' elements; null where unknown.</param>
/// <param name="CurvatureRank">Largest eigenpairs kept for it.</param>
/// <param name="ForwardOperations">Floating-point operations of one forward over one step's batch; null where unknown.</param>
/// <param name="Memory">Bytes by kind.</param>
/// <param name="PeakBytes">The most bytes at one time; null where a term is unknown.</param>
/// <param name="KnownBytes">The same over the known terms.</param>
/// <param name="SentOn">What crosses to the next stage.</param>
public sealed record StageReport(
    int Index,
    EquatableArray<string> Layers,
    long? Parameters,
    int CurvatureRank,
    long? ForwardOperations,
    EquatableArray<MemoryTerm> Memory,
    long? PeakBytes,
    long KnownBytes,
    EquatableArray<string> SentOn);
