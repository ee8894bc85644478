using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using Xunit.Abstractions;

namespace Dho2.MultiProcess.Tests;

/// <summary>Jobs whose ranks are on two hosts that only a network connects.</summary>
public class HostsTests(ITestOutputHelper output)
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(110);

    public static TheoryData<string> Launchers() => [.. Mpi.All.Select(mpi => mpi.Name).Append(Job.Tcp)];

    [HostsTheory]
    [MemberData(nameof(Launchers))]
    public void TwoHostsGiveTheLossesOfOneProcess(string launcher)
    {
        using Hosts hosts = Hosts.Create();
        using var job = new Job();
        string alone = Path.Combine(job.Folder, "alone"), together = Path.Combine(job.Folder, "together");
        JobResult reference = job.Run(Job.Driver, "train", "--epochs", "1", "--replicas", "2", "--losses", alone);
        Assert.True(reference.ExitCode == 0, reference.ToString());
        job.Environment["DHO2_DETERMINISTIC"] = "1";
        JobResult result = job.Run(launcher, hosts, null, Job.Driver, "train", "--epochs", "1", "--losses", together);
        Assert.True(result.ExitCode == 0, result.ToString());
        Assert.Contains("4 processes", Assert.Single(result.Output.Split('\n'), line => line.StartsWith("trained over", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Equal(File.ReadAllLines(alone), File.ReadAllLines(together));
        Assert.Empty(LeftAfterAWhile(job));
    }

    [HostsTheory]
    [MemberData(nameof(Launchers))]
    public void AHostThatIsCutOffInMidRunEndsTheJobOnBothSides(string launcher)
    {
        using Hosts hosts = Hosts.Create();
        using var job = new Job();
        job.Environment["DHO2_TIMEOUT"] = "12";
        job.Environment["DHO2_PROGRESS"] = Path.Combine(job.Folder, "progress");
        string losses = Path.Combine(job.Folder, "losses");
        DateTime cut = default;
        JobResult result = job.Run(
            launcher,
            hosts,
            () =>
            {
                // Once the first losses are on the disk the job is in the middle of its run.
                long start = Stopwatch.GetTimestamp();
                while (new FileInfo(losses) is not { Exists: true, Length: > 0 } && Stopwatch.GetElapsedTime(start) < StartLimit)
                {
                    Thread.Sleep(50);
                }

                hosts.Cut();
                cut = DateTime.UtcNow;
            },
            Job.Driver, "train", "--epochs", "100000", "--losses", losses);
        string[] left = LeftAfterAWhile(job);
        TimeSpan ended = DateTime.UtcNow - cut;
        output.WriteLine($"{launcher}: status {result.ExitCode}, all ended {ended.TotalSeconds:F1} s after the cut\n{string.Join("\n", result.Messages)}");
        FailureTable.Add("host cut off", launcher, 4, ended, fromFault: true, result);
        Assert.True(new FileInfo(losses) is { Exists: true, Length: > 0 }, $"Nothing was trained: {result}");
        Assert.True(result.ExitCode != 0, result.ToString());
        Assert.True(left.Length == 0, $"{string.Join("\n", left)}\nlive on after {result}");

        // Each side can speak for itself only; what the far side says, a launcher may not get to hear, and OpenMPI's, once it has
        // lost a host, does not listen to the near side either: then the next start tells.
        Assert.InRange(result.Messages.Length, launcher == "OpenMPI" ? 0 : 1, 2);
        Assert.All(result.Messages, message => Assert.Matches(
            @"^dho2: rank (\d) of 4.*, step \d+, .*(Rank \1|The launcher has told this rank to end \(SIGTERM\), which) waited [0-9.]+ s in \w+ for rank \d", message));
        JobResult next = job.Run(launcher, 2, Job.Driver, "train", "--epochs", "1");
        Assert.True(next.ExitCode == 0, next.ToString());
        string previous = Assert.Single(next.Output.Split('\n'), line => line.StartsWith("previous: ", StringComparison.Ordinal));
        output.WriteLine(previous);
        Assert.Matches(@"rank 0 \(process \d+ on \w+\) .* stage 0, step \d+, \w", previous);
    }

    // A launcher's helpers on the far side notice by themselves that they are alone.
    private static string[] LeftAfterAWhile(Job job)
    {
        string[] left = job.Left();
        for (int i = 0; i < 300 && left.Length > 0; i++)
        {
            Thread.Sleep(100);
            left = job.Left();
        }

        return left;
    }
}
