using System;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Dho2.Records;

namespace Dho2.MultiProcess.Tests;

/// <summary>What several processes write down comes together in one folder.</summary>
public sealed partial class RecordingTests
{
    [Theory]
    [MemberData(nameof(HostsTests.Launchers), MemberType = typeof(HostsTests))]
    public void TheRanksOfAllProcessesAreInOneReport(string launcher)
    {
        using var job = new Job();
        string run = Path.Combine(job.Folder, "run");
        JobResult result = job.Run(launcher, 2, Job.Driver, "train", "--kind", "curvature", "--epochs", "2", "--record", run);
        Assert.True(result.ExitCode == 0, result.ToString());

        RunRecord record = RunRecord.Open(run);
        Assert.Contains("2 processes", record.Manifest.Transport, StringComparison.Ordinal);

        // 320 samples in steps of 32, twice.
        Assert.Equal(Enumerable.Range(1, 20).Select(step => (long)step), record.Steps.Select(step => step.Step));
        Assert.NotEmpty(record.Estimates);
        StartEntry[] starts = [.. record.Ranks.Select(rank => Assert.IsType<StartEntry>(rank[0]))];
        Assert.Equal(2, starts.Select(start => start.Process).Distinct().Count());
        Assert.All(record.Ranks, rank => Assert.Null(Assert.IsType<EndEntry>(rank[^1]).Failure));
        Assert.All(Enumerable.Range(0, 2), rank =>
        {
            RankEntry last = record.LastOf(rank)!;
            Assert.True(last.Sent > 0 && last.Held > 0 && last.Process!.Peak > 0);
        });
        Assert.Equal([0, 1], record.Trace!.Spans.Select(span => span.Rank).Distinct().Order());
        Assert.All(Enumerable.Range(0, 2), rank => Assert.Contains(record.Trace.Spans, span => span.Rank == rank && span.Category == TraceCategory.Backward));

        string page = Path.Combine(job.Folder, "page.html");
        JobResult report = job.Run(Job.Tool, "report", run, "--output", page);
        Assert.True(report.ExitCode == 0, report.ToString());
        Assert.Contains("ended in order", report.Output, StringComparison.Ordinal);
        string html = File.ReadAllText(page);
        Assert.Contains("<h3>rank 0</h3>", html, StringComparison.Ordinal);
        Assert.Contains("<h3>rank 1</h3>", html, StringComparison.Ordinal);
        Assert.Equal(2, Measured().Count(html));
        Assert.Contains("rank 1: stage 1", html, StringComparison.Ordinal);
    }

    [GeneratedRegex("<div>measured: ")]
    private static partial Regex Measured();
}
