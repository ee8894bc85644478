using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Records;

namespace Dho2.Cli.Reports;

/// <summary>A rank's memory, planned and measured.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Process">The process that it was a thread of, or was; null where it has no file.</param>
/// <param name="Terms">The terms of its planned peak.</param>
/// <param name="Planned">Their sum.</param>
/// <param name="IsWhole">Whether none of them is unknown.</param>
/// <param name="PlannedLasting">What of it lasts from step to step.</param>
/// <param name="Measured">Bytes of its whole process; null where another rank has them.</param>
/// <param name="Held">Bytes of the tensors that last from step to step; null where it has no file.</param>
internal sealed record RankMemory(
    RecordedRank Rank, (string Host, int Id)? Process, IReadOnlyList<RecordedTerm> Terms, long Planned, bool IsWhole, long PlannedLasting, long? Measured, long? Held)
{
    /// <summary>All ranks that train.</summary>
    public static RankMemory[] Of(RunRecord record) => [.. record.Manifest.Ranks.Where(r => r.Trains).Select(r => Of(record, r))];

    /// <summary>Those whose process is known, process by process: what is measured, is measured of a process.</summary>
    public static IReadOnlyList<RankMemory[]> ByProcess(IEnumerable<RankMemory> ranks) =>
        [.. ranks.Where(r => r.Process is not null).GroupBy(r => r.Process!.Value).Select(process => process.ToArray())];

    /// <summary>What the ranks of a process are called together.</summary>
    public static string NameOf(RankMemory[] ranks) =>
        ranks.Length == 1 ? $"rank {ranks[0].Rank.Rank}" : $"ranks {ranks[0].Rank.Rank} to {ranks[^1].Rank.Rank}, threads of one process";

    /// <summary>What they are planned to need, by kind, the most first.</summary>
    public static IReadOnlyList<(string Kind, string Name, long Bytes)> KindsOf(RankMemory[] ranks) =>
    [
        .. ranks.SelectMany(r => r.Terms)
            .GroupBy(term => (term.Kind, term.Name))
            .Select(kind => (kind.Key.Kind, kind.Key.Name, Bytes: kind.Sum(t => t.Bytes ?? 0)))
            .OrderByDescending(kind => kind.Bytes),
    ];

    private static RankMemory Of(RunRecord record, RecordedRank rank)
    {
        RecordedStage[] stages = [.. rank.Stages.Select(stage => record.Manifest.Stages[stage])];
        RecordEntry[] own = [.. record.Ranks[rank.Rank]];

        // Of the last process alone: an earlier one may have been another plan's.
        int begin = Array.FindLastIndex(own, entry => entry is StartEntry);
        RankEntry[] samples = [.. own.Skip(begin).OfType<RankEntry>()];
        return new RankMemory(
            rank,
            begin >= 0 && own[begin] is StartEntry start ? (start.Host, start.Process) : null,
            [.. stages.SelectMany(s => s.Memory).Where(t => t.InPeak)],
            stages.Sum(s => s.KnownBytes),
            stages.All(s => s.PeakBytes is not null),
            stages.SelectMany(s => s.Memory).Where(t => t.Lasts).Sum(t => t.Bytes ?? 0),
            samples.Select(s => s.Process?.Peak - s.Process?.Baseline).Max(),
            samples.LastOrDefault()?.Held);
    }
}
