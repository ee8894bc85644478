namespace Dho2.Planning;

/// <summary>What to change so that a stage fits its device.</summary>
public enum MemoryLeverKind
{
    /// <summary>A lower rank of the stage's curvature.</summary>
    Rank,

    /// <summary>More, and so smaller, micro-batches.</summary>
    MicroBatches,

    /// <summary>One layer on a neighbouring stage.</summary>
    Layer,

    /// <summary>Activations that are recomputed and not kept.</summary>
    Recompute,
}

/// <summary>A single change with which a stage fits its device.</summary>
/// <param name="Kind">What to change.</param>
/// <param name="Value">The new rank or number of micro-batches, the layer's new stage, or the stage that recomputes.</param>
/// <param name="Concerned">Bytes that the change works on: curvature and its basis, what micro-batches keep, or what the layer brings along.</param>
/// <param name="Needed">Bytes that the stage needs afterwards.</param>
/// <param name="Layer">The layer to move; -1 for the other kinds.</param>
/// <param name="NeededThere">Bytes that the stage which the layer moves to needs afterwards; 0 for the other kinds.</param>
public sealed record MemoryLever(MemoryLeverKind Kind, int Value, long Concerned, long Needed, int Layer = -1, long NeededThere = 0);
