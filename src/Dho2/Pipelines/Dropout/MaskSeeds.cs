using System;

namespace Dho2.Pipelines;

/// <summary>
/// The seeds of one layer's masks: by run seed, layer name, step, micro-batch, and the how many-eth call within one
/// forward. They depend on nothing else, so that every partition draws the same masks.
/// </summary>
internal sealed class MaskSeeds(long seed, string name, MicroBatchPosition position)
{
    private readonly long layerSeed = StageContext.SeedOf(seed, name);
    private long moves = -1;
    private int call;

    /// <summary>The seed of the next mask.</summary>
    public long Next()
    {
        call = moves == position.Moves ? call + 1 : 0;
        moves = position.Moves;
        return StageContext.SeedOf(layerSeed, FormattableString.Invariant($"{position.Step}/{position.MicroBatch}/{call}"));
    }
}
