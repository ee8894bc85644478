using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// The order of computations under interleaved 1F1B (Narayanan et al. 2021, section 2.2): micro-batches go through a rank's
/// stages in groups of as many as there are ranks, and so many forwards go ahead that the rank never waits in between.
/// </summary>
internal static class InterleavedOrder
{
    /// <summary>Forwards and backwards of each rank.</summary>
    public static IReadOnlyList<Instruction>[] Of(StageLayout layout, int microBatches)
    {
        // A group that is not full would let ranks overtake each other and lock up: it is filled up, and what was added is
        // left out again, which cannot hold up anything that stays.
        int full = ((microBatches + layout.Ranks - 1) / layout.Ranks) * layout.Ranks;
        return Enumerable.Range(0, layout.Ranks)
            .Select(rank => (IReadOnlyList<Instruction>)OfRank(layout, rank, full).Where(i => i.MicroBatch < microBatches).ToList())
            .ToArray();
    }

    /// <summary>Forwards alone.</summary>
    public static IReadOnlyList<Instruction>[] ForwardsOf(StageLayout layout, int microBatches) =>
        Enumerable.Range(0, layout.Ranks)
            .Select(rank => (IReadOnlyList<Instruction>)Turns(layout, rank, microBatches, InstructionKind.Forward).ToList())
            .ToArray();

    private static IEnumerable<Instruction> OfRank(StageLayout layout, int rank, int microBatches)
    {
        Instruction[] forwards = Turns(layout, rank, microBatches, InstructionKind.Forward).ToArray();
        Instruction[] backwards = Turns(layout, rank, microBatches, InstructionKind.Backward).ToArray();
        int ahead = Math.Min(forwards.Length, (2 * (layout.Ranks - rank - 1)) + ((layout.StagesPerRank - 1) * layout.Ranks));
        for (int i = 0; i < forwards.Length + ahead; i++)
        {
            if (i < forwards.Length)
            {
                yield return forwards[i];
            }

            if (i >= ahead)
            {
                yield return backwards[i - ahead];
            }
        }
    }

    private static IEnumerable<Instruction> Turns(StageLayout layout, int rank, int microBatches, InstructionKind kind)
    {
        IEnumerable<int> stages = layout.StagesOf(rank);
        int[] turns = (kind == InstructionKind.Forward ? stages : stages.Reverse()).ToArray();
        for (int group = 0; group < microBatches; group += layout.Ranks)
        {
            foreach (int stage in turns)
            {
                for (int i = group; i < Math.Min(microBatches, group + layout.Ranks); i++)
                {
                    yield return new(kind, i, stage);
                }
            }
        }
    }
}
