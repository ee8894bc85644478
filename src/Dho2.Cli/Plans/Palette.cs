using Dho2.Planning;

namespace Dho2.Cli.Plans;

/// <summary>The colours of pictures: told apart by people who see red and green alike, and in print.</summary>
internal static class Palette
{
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
        MemoryKind.Temporary => "#8c8c8c",
        _ => "#b8a9c9",
    };

    /// <summary>The colour of a computation.</summary>
    public static string Of(InstructionKind kind) => kind switch
    {
        InstructionKind.Forward => "#9ecae1",
        InstructionKind.BackwardWeight => "#fdd0a2",
        _ => "#a1d99b",
    };
}
