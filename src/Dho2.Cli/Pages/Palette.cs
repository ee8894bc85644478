using System;
using Dho2.Planning;
using Dho2.Records;

namespace Dho2.Cli.Pages;

/// <summary>The colours of pictures: told apart by people who see red and green alike, and in print.</summary>
internal static class Palette
{
    private static readonly string[] Series = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7fd5", "#8c8c8c"];

    /// <summary>The colour of a sweep down the pipeline in an estimate of curvature.</summary>
    public const string CurvatureDown = "#e69f00";

    /// <summary>The colour of a kind of memory.</summary>
    public static string Of(MemoryKind kind) => kind switch
    {
        MemoryKind.Parameters => "#0072b2",
        MemoryKind.Gradients => "#56b4e9",
        MemoryKind.Optimizer => "#009e73",
        MemoryKind.Curvature => "#e69f00",
        MemoryKind.Basis => "#f0c75e",
        MemoryKind.Graphs => "#fbe9b7",
        MemoryKind.Copy => "#7f7fd5",
        MemoryKind.Admm => "#cc79a7",
        MemoryKind.Activations => "#d55e00",
        MemoryKind.SavedInputs => "#f4a582",
        MemoryKind.Temporary => "#8c8c8c",
        _ => "#b8a9c9",
    };

    /// <summary>The colour of a kind of memory by its name; that of the last kinds where this version has no such kind.</summary>
    public static string OfMemory(string kind) => Of(Enum.TryParse(kind, out MemoryKind known) ? known : MemoryKind.Boundary);

    /// <summary>The colour of what a rank did.</summary>
    public static string OfWork(string category) => category switch
    {
        TraceCategory.Forward => Of(InstructionKind.Forward),
        TraceCategory.Backward => Of(InstructionKind.Backward),
        TraceCategory.BackwardWeight => Of(InstructionKind.BackwardWeight),
        TraceCategory.Receive => "#d9d9d9",
        TraceCategory.Send => "#756bb1",
        TraceCategory.Reduce => "#cc79a7",
        TraceCategory.Update => "#0072b2",
        TraceCategory.Curvature => "#f0c75e",
        TraceCategory.Data => "#c7b299",
        _ => "#8c8c8c",
    };

    /// <summary>The colour of one of several series: apart for people who see red and green alike.</summary>
    public static string OfSeries(int index) => Series[index % Series.Length];

    /// <summary>The colour of a computation.</summary>
    public static string Of(InstructionKind kind) => kind switch
    {
        InstructionKind.Forward => "#9ecae1",
        InstructionKind.BackwardWeight => "#fdd0a2",
        _ => "#a1d99b",
    };
}
