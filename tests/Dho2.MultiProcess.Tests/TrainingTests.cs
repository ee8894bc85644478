using System;
using System.Globalization;
using System.IO;
using System.Linq;
using Dho2.EndToEnd.Tests.Samples;

namespace Dho2.MultiProcess.Tests;

/// <summary>Training in several processes gives the numbers of training in one.</summary>
public class TrainingTests
{
    public static TheoryData<string, string, bool> Runs()
    {
        var runs = new TheoryData<string, string, bool>();
        foreach (Mpi mpi in Mpi.All)
        {
            runs.Add(mpi.Name, "curvature", true);
            runs.Add(mpi.Name, "admm", true);
            runs.Add(mpi.Name, "curvature", false);
        }

        runs.Add(Job.Tcp, "curvature", true);
        return runs;
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void TwoStagesTimesTwoReplicasGiveTheLossesOfOneProcess(string mpi, string kind, bool deterministic)
    {
        using var job = new Job();
        string alone = Path.Combine(job.Folder, "alone"), together = Path.Combine(job.Folder, "together");
        string[] arguments = ["train", "--kind", kind, "--epochs", "1"];
        JobResult reference = job.Run(Job.Driver, [.. arguments, "--replicas", "2", "--losses", alone]);
        Assert.True(reference.ExitCode == 0, reference.ToString());
        job.Environment["DHO2_DETERMINISTIC"] = deterministic ? "1" : "0";
        JobResult result = job.Run(mpi, 4, Job.Driver, [.. arguments, "--losses", together]);
        Assert.True(result.ExitCode == 0, result.ToString());
        Assert.Single(result.Output.Split('\n'), line => line.Contains("trained over", StringComparison.Ordinal));

        string[] expected = File.ReadAllLines(alone), actual = File.ReadAllLines(together);

        // 320 samples in steps of 2 x 32, and the evaluation.
        Assert.Equal(6, expected.Length);
        if (deterministic)
        {
            Assert.Equal(expected, actual);
        }
        else
        {
            // Sums of two replicas have one order only; what differs is at most the last bit of float32 over five steps.
            Assert.Equal(expected.Length, actual.Length);
            Assert.All(Numbers(expected).Zip(Numbers(actual)), pair => Assert.InRange(pair.Second, pair.First - 1e-5, pair.First + 1e-5));
        }

        Assert.Empty(job.Left());
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(job.Temporary), path => Path.GetFileName(path).StartsWith("dho2", StringComparison.Ordinal));
    }

    /// <summary>The sample itself, as its page says to start it, with a few images.</summary>
    [Theory]
    [MemberData(nameof(HostsTests.Launchers), MemberType = typeof(HostsTests))]
    public void TheSampleGivesTheLossesOfOneProcess(string launcher)
    {
        using var data = new SmallMnist();
        using var job = new Job();
        string alone = Path.Combine(job.Folder, "alone"), together = Path.Combine(job.Folder, "together");
        string[] arguments = ["--data", data.Folder, "--batch", "16", "--epochs", "2"];
        job.Environment["DHO2_DETERMINISTIC"] = "1";
        JobResult reference = job.Run(Job.Mnist, [.. arguments, "--replicas", "2", "--losses", alone]);
        Assert.True(reference.ExitCode == 0, reference.ToString());
        JobResult result = job.Run(launcher, 4, Job.Mnist, [.. arguments, "--losses", together]);
        Assert.True(result.ExitCode == 0, result.ToString());
        string[] expected = File.ReadAllLines(alone);

        // 202 images in steps of 2 x 16.
        Assert.Equal(2 * 7, expected.Length);
        Assert.Equal(expected, File.ReadAllLines(together));
        Assert.Equal(Result(reference), Result(result));
        Assert.Empty(job.Left());
    }

    // The line without its time.
    private static string Result(JobResult run) => System.Text.RegularExpressions.Regex.Replace(
        Assert.Single(run.Output.Split('\n'), line => line.StartsWith("result: ", StringComparison.Ordinal)), "seconds=[0-9.]+", string.Empty).Trim();

    private static double[] Numbers(string[] lines) =>
        [.. lines.SelectMany(line => line.Split(' ')).Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
}
