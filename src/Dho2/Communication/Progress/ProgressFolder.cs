using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Dho2.Communication;

/// <summary>
/// The folder of the ranks' progress files. It also settles which rank reports a failure, so that there is one message:
/// the one that makes the report's file.
/// </summary>
internal sealed class ProgressFolder
{
    private const string Pattern = "rank-*.progress";
    private const string PutAside = "rank-*.previous";
    private const string TemporaryPrefix = "dho2-run-";

    /// <summary>How long nobody must have made a file in a folder before another run may take it for abandoned.</summary>
    private static readonly TimeSpan Abandoned = TimeSpan.FromSeconds(5);

    private readonly string path;
    private readonly string job;
    private readonly bool temporary;

    private ProgressFolder(string path, string job, bool temporary)
    {
        this.path = path;
        this.job = job;
        this.temporary = temporary;
        Directory.CreateDirectory(path);
    }

    /// <summary>How the last run in this folder ended, if not well; as it was found by this process.</summary>
    public string? PreviousFailure { get; private set; }

    private string ReportPath => Path.Combine(path, $"report-{job}.txt");

    /// <summary>Opens the folder that was asked for, or one for temporary files that all processes of a job on this machine share.</summary>
    /// <param name="asked">The folder, or null.</param>
    /// <param name="job">Names the job; empty where the launcher does not.</param>
    public static ProgressFolder Open(string? asked, string job)
    {
        string name = string.Concat((job.Length > 0 ? job : LocalProcess.ParentName()).Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '_'));
        if (asked is not null)
        {
            return new ProgressFolder(asked, name, temporary: false);
        }

        ClearAbandoned();
        return new ProgressFolder(Path.Combine(Path.GetTempPath(), TemporaryPrefix + name), name, temporary: true);
    }

    /// <summary>Makes a rank's file, and takes in what an earlier run has left under its name.</summary>
    public ProgressFile CreateFile(int rank, int size)
    {
        // Still empty after a while, it may have been taken for one that another run has left.
        Directory.CreateDirectory(path);
        Directory.SetLastWriteTimeUtc(path, DateTime.UtcNow);
        string file = Path.Combine(path, string.Create(CultureInfo.InvariantCulture, $"rank-{rank:0000}.progress"));
        RankProgress? before = ProgressFile.Read(file);
        if (rank == 0)
        {
            TakeInPreviousRun(size);
        }

        if (before is not null && before.Job != job)
        {
            // Rank 0 may come later: it finds the earlier run's files under this name.
            File.Move(file, Path.ChangeExtension(file, ".previous"), overwrite: true);
        }

        return ProgressFile.Create(file, rank, size, job);
    }

    /// <summary>What the ranks of this job that share the folder are at.</summary>
    public IReadOnlyList<RankProgress> Ranks() => [.. ReadAll(Pattern).Where(r => r.Job == job).OrderBy(r => r.Rank)];

    /// <summary>Whether this rank is the one to report the job's failure; the text is kept for the next start.</summary>
    public bool TryClaimReport(string text)
    {
        try
        {
            using var stream = new FileStream(ReportPath, FileMode.CreateNew, FileAccess.Write);
            using var writer = new StreamWriter(stream);
            writer.WriteLine(text);
            return true;
        }
        catch (IOException)
        {
            return !File.Exists(ReportPath);
        }
        catch (UnauthorizedAccessException)
        {
            return true;
        }
    }

    /// <summary>
    /// Lets go of what an earlier run has left, which was told by now, and removes the folder if it is for temporary files
    /// and nobody else needs it.
    /// </summary>
    public void Leave(int rank, bool well)
    {
        try
        {
            // A rank that came after rank 0 has put its earlier file aside when rank 0 had already read it.
            if (rank == 0)
            {
                DeletePutAside();
            }

            if (!temporary)
            {
                return;
            }

            // After a failure the report stays until all have gone, so that nobody else reports as well.
            if (well)
            {
                File.Delete(Path.Combine(path, string.Create(CultureInfo.InvariantCulture, $"rank-{rank:0000}.progress")));
            }

            if (ReadAll(Pattern).All(r => r.Process == LocalProcess.Self() || !r.Process.IsAlive))
            {
                Directory.Delete(path, recursive: true);
            }
        }
        catch (IOException)
        {
            // Another rank is about it.
        }
    }

    private static void ClearAbandoned()
    {
        try
        {
            foreach (string folder in Directory.EnumerateDirectories(Path.GetTempPath(), TemporaryPrefix + "*"))
            {
                // Whoever is about to make its file has made the folder a moment ago. Who was killed while it removed the folder
                // may have left it empty.
                RankProgress[] ranks = [.. Directory.EnumerateFiles(folder, Pattern).Select(ProgressFile.Read).OfType<RankProgress>()];
                if (ranks.All(r => r.Process.IsHere && !r.Process.IsAlive) && DateTime.UtcNow - Directory.GetLastWriteTimeUtc(folder) > Abandoned)
                {
                    Directory.Delete(folder, recursive: true);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another process is about it, or the folder is another user's.
        }
    }

    private void TakeInPreviousRun(int size)
    {
        List<string> found = [];
        foreach (string report in Directory.EnumerateFiles(path, "report-*.txt").Where(f => f != ReportPath))
        {
            found.Add(File.ReadAllText(report).Trim());
            File.Delete(report);
        }

        RankProgress[] unended = [.. ReadAll(Pattern).Concat(ReadAll(PutAside))
            .Where(r => r.Job != job && (r.Status == "failed" || r.HasDied || (r.Status == "running" && !r.Process.IsHere)))
            .DistinctBy(r => r.Rank)
            .OrderBy(r => r.Rank)];
        DeletePutAside();
        if (found.Count > 0 || unended.Length > 0)
        {
            found.AddRange(unended.Select(r => r.ToString()));
            PreviousFailure = $"The last run in {path} did not end well: {string.Join("; ", found)}";
        }

        // Files of ranks that this run does not have; the others' own are about to be made anew.
        foreach (string file in Directory.EnumerateFiles(path, Pattern))
        {
            if (ProgressFile.Read(file) is { } other && other.Job != job && other.Rank >= size)
            {
                File.Delete(file);
            }
        }
    }

    private void DeletePutAside()
    {
        foreach (string old in Directory.EnumerateFiles(path, PutAside))
        {
            File.Delete(old);
        }
    }

    private IEnumerable<RankProgress> ReadAll(string pattern)
    {
        try
        {
            return [.. Directory.EnumerateFiles(path, pattern).Select(ProgressFile.Read).OfType<RankProgress>()];
        }
        catch (IOException)
        {
            return [];
        }
    }
}
