using System;
using System.Collections.Generic;

namespace Dho2.Planning;

/// <summary>Which rank of a pipeline holds which stages: rank <c>r</c> of <c>R</c> holds stages <c>r, r + R, r + 2 R, ...</c></summary>
/// <param name="Ranks">The ranks of one replica's pipeline.</param>
/// <param name="StagesPerRank">The stages on each, 1 unless they are interleaved.</param>
public readonly record struct StageLayout(int Ranks, int StagesPerRank)
{
    /// <summary>All stages.</summary>
    public int Stages => Ranks * StagesPerRank;

    /// <summary>
    /// The layout of a number of stages under a schedule; where the stages wanted on a rank do not divide them, one on each.
    /// </summary>
    /// <param name="schedule">The schedule; only <see cref="Schedule.Interleaved"/> has more than one stage on a rank.</param>
    /// <param name="stages">The stages; at least 1.</param>
    /// <param name="stagesPerRank">The stages wanted on each rank; 0 for the default of 2.</param>
    public static StageLayout Of(Schedule schedule, int stages, int stagesPerRank)
    {
        int wanted = schedule != Schedule.Interleaved ? 1 : stagesPerRank == 0 ? Defaults.StagesPerRank : stagesPerRank;
        return wanted >= 1 && stages % wanted == 0 ? new(stages / wanted, wanted) : new(stages, 1);
    }

    /// <summary>The rank that holds a stage.</summary>
    public int RankOf(int stage) => stage % Ranks;

    /// <summary>The stages of a rank, in order.</summary>
    public IReadOnlyList<int> StagesOf(int rank)
    {
        var stages = new int[StagesPerRank];
        for (int i = 0; i < stages.Length; i++)
        {
            stages[i] = rank + (i * Ranks);
        }

        return stages;
    }
}
