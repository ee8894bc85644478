using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Dho2.Records;

/// <summary>The record of a run, as it was found in its folder.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Manifest">What it says about the run.</param>
/// <param name="Ranks">The lines of each rank; empty where a rank has no file here.</param>
/// <param name="Trace">What the ranks did in some steps; null where nothing was traced.</param>
public sealed record RunRecord(string Folder, RecordManifest Manifest, IReadOnlyList<IReadOnlyList<RecordEntry>> Ranks, ChromeTrace? Trace)
{
    /// <summary>The steps, in order.</summary>
    public IReadOnlyList<StepEntry> Steps { get; } = Of<StepEntry>(Ranks);

    /// <summary>The ends of epochs, in order.</summary>
    public IReadOnlyList<EpochEntry> Epochs { get; } = Of<EpochEntry>(Ranks);

    /// <summary>The curvature estimates, in order.</summary>
    public IReadOnlyList<EstimateEntry> Estimates { get; } = Of<EstimateEntry>(Ranks);

    /// <summary>The trials of curvature, in order.</summary>
    public IReadOnlyList<TrialEntry> Trials { get; } = Of<TrialEntry>(Ranks);

    /// <summary>ADMM's rounds, in order.</summary>
    public IReadOnlyList<RoundEntry> Rounds { get; } = Of<RoundEntry>(Ranks);

    /// <summary>The processes that worked on the run one after the other: each one's start, and its last line; as rank 0 has them.</summary>
    public IReadOnlyList<(StartEntry Start, RecordEntry Last)> Sessions { get; } = SessionsOf(Ranks[0]);

    /// <summary>Reads a folder.</summary>
    /// <param name="folder">The folder; a run may still be writing to it.</param>
    /// <exception cref="RecordException">It is no record of a run, or damaged, or of another version.</exception>
    public static RunRecord Open(string folder)
    {
        RecordManifest manifest = RecordManifest.Read(folder);
        RecordEntry[][] ranks = [.. manifest.Ranks.Select(rank => ReadRank(Path.Combine(folder, RecordFile.NameOf(rank.Rank)), rank.Rank == 0))];
        ChromeTrace[] traces =
        [
            .. manifest.Ranks.Select(rank => Path.Combine(folder, ChromeTrace.NameOf(rank.Rank))).Where(File.Exists).Select(ChromeTrace.Read),
        ];
        return new RunRecord(folder, manifest, ranks, traces.Length > 0 ? ChromeTrace.Merge(traces) : null);
    }

    /// <summary>What a rank came to last; null where it has no line about it.</summary>
    public RankEntry? LastOf(int rank) => Ranks[rank].OfType<RankEntry>().LastOrDefault();

    // Other ranks' files may lie on other machines; without rank 0's there is nothing to tell.
    private static RecordEntry[] ReadRank(string path, bool needed)
    {
        if (!File.Exists(path))
        {
            return needed ? throw new RecordException(path, "there is no such file, which has the run's steps.") : [];
        }

        RecordEntry[] entries = [.. RecordFile.Read(path)];
        return entries.Length > 0 || !needed ? entries : throw new RecordException(path, "it is empty: the run has recorded nothing yet.");
    }

    private static IReadOnlyList<T> Of<T>(IReadOnlyList<IReadOnlyList<RecordEntry>> ranks)
        where T : RecordEntry => [.. ranks[0].OfType<T>()];

    private static List<(StartEntry Start, RecordEntry Last)> SessionsOf(IReadOnlyList<RecordEntry> entries)
    {
        var sessions = new List<(StartEntry Start, RecordEntry Last)>();
        foreach (RecordEntry entry in entries)
        {
            if (entry is StartEntry start)
            {
                sessions.Add((start, start));
            }
            else
            {
                sessions[^1] = (sessions[^1].Start, entry);
            }
        }

        return sessions;
    }
}
