using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Dho2.MultiProcess.Tests;

/// <summary>Training whose ranks are processes, one of which is killed, goes on from its checkpoints when it is started again.</summary>
public class CheckpointTests
{
    private const int Steps = 15;
    private const int KilledAt = 8;

    private static readonly Dictionary<string, string[]> References = [];

    public static TheoryData<string, string> Runs()
    {
        var runs = new TheoryData<string, string>();
        foreach (Mpi mpi in Mpi.All)
        {
            runs.Add(mpi.Name, "curvature");
        }

        runs.Add(Job.Tcp, "curvature");
        runs.Add(Job.Tcp, "sharded");
        runs.Add(Job.Tcp, "admm");
        return runs;
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void ARankIsKilledAndTheNextStartGoesOnBitForBit(string launcher, string kind)
    {
        using var job = new Job();
        job.Environment["DHO2_DETERMINISTIC"] = "1";
        string[] whole = Alone(job, kind);
        Assert.Equal(Steps + 1, whole.Length);

        string[] before = Killed(job, launcher, kind);
        Assert.Equal(whole[..before.Length], before);

        (string[] after, JobResult result) = Train(job, launcher, Folder(job), 2, 2, kind);
        Assert.True(result.ExitCode == 0, result.ToString());

        // Which checkpoint was whole when the rank died is a matter of time: they are begun after every second step, or a
        // step later where one is still being written.
        Assert.Matches("^resumed [2-8]$", after[0]);
        int resumed = int.Parse(after[0].Split(' ')[1], CultureInfo.InvariantCulture);
        Assert.Equal(whole[resumed..], after[1..]);
        Assert.Empty(job.Left());
    }

    [Fact]
    public void AnotherNumberOfStagesAndReplicasGoesOnWithTheSameLosses()
    {
        using var job = new Job();
        job.Environment["DHO2_DETERMINISTIC"] = "1";
        string[] whole = Alone(job, "sharded");
        Killed(job, Job.Tcp, "sharded");
        foreach ((string launcher, int stages, int replicas) in new (string, int, int)[] { (Job.Tcp, 3, 1), (Job.Tcp, 1, 2), ("alone", 2, 4), ("alone", 1, 1) })
        {
            string folder = Path.Combine(job.Folder, $"{stages}x{replicas}");
            Copy(Folder(job), folder);
            (string[] after, JobResult result) = Train(job, launcher, folder, stages, replicas, "sharded");
            Assert.True(result.ExitCode == 0, result.ToString());
            int resumed = int.Parse(after[0].Split(' ')[1], CultureInfo.InvariantCulture);
            Assert.InRange(resumed, 2, KilledAt);
            Assert.Equal(whole.Length - resumed, after.Length - 1);
            Assert.All(Numbers(whole[resumed..]).Zip(Numbers(after[1..])), pair => Assert.Equal(pair.First, pair.Second, 1e-10));
        }
    }

    private static string Folder(Job job) => Path.Combine(job.Folder, "checkpoints");

    // Four threads of one process, without checkpoints: what four processes come to as well.
    private static string[] Alone(Job job, string kind)
    {
        if (!References.TryGetValue(kind, out string[]? losses))
        {
            (losses, JobResult result) = Train(job, "alone", "none", 2, 2, kind);
            Assert.True(result.ExitCode == 0, result.ToString());
            References[kind] = losses;
        }

        return losses;
    }

    private static string[] Killed(Job job, string launcher, string kind)
    {
        (string[] losses, JobResult result) = Train(job, launcher, Folder(job), 2, 2, kind, "3", $"{KilledAt}");
        Assert.NotEqual(0, result.ExitCode);
        Assert.InRange(losses.Length, KilledAt - 1, Steps - 1);
        return losses;
    }

    private static (string[] Losses, JobResult Result) Train(
        Job job, string launcher, string folder, int stages, int replicas, string kind, params string[] kill)
    {
        string losses = Path.Combine(job.Folder, $"losses-{Guid.NewGuid():N}");
        string[] arguments = ["checkpoint", folder, $"{stages}", $"{replicas}", kind, losses, .. kill];
        JobResult result = launcher == "alone" ? job.Run(Job.Driver, arguments) : job.Run(launcher, stages * replicas, Job.Driver, arguments);
        return (File.Exists(losses) ? File.ReadAllLines(losses) : [], result);
    }

    private static IEnumerable<double> Numbers(string[] lines) => lines.Select(line => double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture));

    private static void Copy(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}
