using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Xunit.Abstractions;

namespace Dho2.MultiProcess.Tests;

/// <summary>
/// Whatever happens to one rank, all processes end, with a status that is not 0 and one message that says who, why and
/// where.
/// </summary>
public class FailureTests(ITestOutputHelper output)
{
    private const string Doomed = "2";

    public static TheoryData<string, string, string> Kills()
    {
        var rows = new TheoryData<string, string, string>();
        foreach (string launcher in Mpi.All.Select(mpi => mpi.Name).Append(Job.Tcp))
        {
            rows.Add(launcher, "plain", "Forward");
            rows.Add(launcher, "plain", "Backward");
            rows.Add(launcher, "plain", "all-reduce of gradients");
            rows.Add(launcher, "curvature", "of the curvature");
            rows.Add(launcher, "admm", "consensus round");
        }

        return rows;
    }

    [Theory]
    [MemberData(nameof(Kills))]
    public void ARankThatIsKilledIsNamedWithWhatItWasAt(string mpi, string kind, string at)
    {
        using var job = new Job();
        string where = kind switch { "curvature" => "a curvature estimate", "admm" => "a consensus round", _ => at.ToLowerInvariant() };
        JobResult result = Fail(job, $"killed in {where}", mpi, 4, "--kind", kind, "--fault", "kill", "--fault-rank", Doomed, "--fault-at", at);
        if (mpi == "MPICH")
        {
            // Its launcher kills the witnesses at once, most often before one of them speaks, and says itself who has died.
            Assert.InRange(result.Messages.Length, 0, 1);
            Assert.Contains("EXIT CODE: 9", result.Output, StringComparison.Ordinal);
            return;
        }

        string message = Assert.Single(result.Messages);

        // Who tells it, and where the teller was; and where the rank was that died: the kill takes a moment, in which it goes on.
        // On a machine with much to do OpenMPI's launcher may have noticed first.
        Assert.Matches($@"^dho2: rank ([013]) of 4.*\bstage \d, step \d+, \w.*: (Rank \1 waited .* for rank {Doomed}, whose process has ended without a word|The launcher has told this rank to end).* rank {Doomed} \(process \d+ on [^)]+\) died in stage 0, step \d+, \w", message);
    }

    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void ARankThatHangsIsNamedByThoseThatWaitForIt(string mpi)
    {
        using var job = new Job();
        JobResult result = Fail(job, "hangs in forward", mpi, 4, "--fault", "hang", "--fault-rank", Doomed, "--fault-step", "3");
        // Rank 3 waits for the one that hangs, rank 1 for rank 3: whose time is over first names the rank that it waits for.
        Assert.Matches(
            @"^dho2: rank (\d) of 4.*\bstage \d, step 3, .*: Rank \1 waited [0-9.]+ s in \w+ for rank (2|3), which did not come within the timeout of 6 s\. "
                + @"rank \2 \(process \d+ on [^)]+\) is in (stage 0, step 3, micro-batch 0, Forward|stage 1, step 3, micro-batch 0, ReceiveActivation) since",
            Assert.Single(result.Messages));
    }

    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void ARankThatThrowsSaysWhatItThrew(string mpi)
    {
        using var job = new Job();
        JobResult result = Fail(job, "throws in forward", mpi, 4, "--fault", "throw", "--fault-rank", Doomed, "--fault-step", "3");
        Assert.Matches($"^dho2: rank {Doomed} of 4: Rank {Doomed}, stage 0, step 3, micro-batch 0, Forward: out of paper", Assert.Single(result.Messages));
    }

    [Theory]
    [MemberData(nameof(Witnesses))]
    public void ARankWhoseProgramEndsIsNamed(string mpi)
    {
        using var job = new Job();
        JobResult result = Fail(job, "program ends in forward", mpi, 2, "--fault", "exit", "--fault-rank", "1", "--fault-step", "3");
        Assert.Contains("rank 1", Assert.Single(result.Messages), StringComparison.Ordinal);
    }

    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void ARankOfAnotherBuildIsRefused(string mpi)
    {
        using var job = new Job();
        JobResult result = Fail(job, "another build", mpi, 2, "--fault", "build", "--fault-rank", "1");
        Assert.Contains("all ranks must run the same build with the same options", Assert.Single(result.Messages), StringComparison.Ordinal);
    }

    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void AWorldOfTheWrongSizeIsRefusedWithBothNumbers(string mpi)
    {
        using var job = new Job();
        JobResult result = Fail(job, "wrong world size", mpi, 3);
        string message = Assert.Single(result.Messages);
        Assert.Contains("needs 2 ranks", message, StringComparison.Ordinal);
        Assert.Contains("started 3", message, StringComparison.Ordinal);
    }

    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void ARankThatNeverArrivesIsNamed(string mpi)
    {
        using var job = new Job();
        job.Environment["DHO2_JOIN_TIMEOUT"] = "8";
        JobResult result = Fail(job, "never arrives (join timeout 8 s)", mpi, 2, "--fault", "absent", "--fault-rank", "1");
        string message = Assert.Single(result.Messages);
        Assert.Contains("Rank 0 waited 8 s", message, StringComparison.Ordinal);
        Assert.Contains("rank 1", message, StringComparison.Ordinal);
    }

    [Fact]
    public void APortInUseIsNamedWithTheWayOut()
    {
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Any, 0);
        taken.Start();
        using var job = new Job { Port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port };
        job.Environment["DHO2_JOIN_TIMEOUT"] = "8";
        JobResult result = Fail(job, "port in use", Job.Tcp, 2);
        Assert.Contains($"Rank 0 cannot listen on port {job.Port}: it is in use", string.Join("\n", result.Messages), StringComparison.Ordinal);
        Assert.Contains("DHO2_PORT", string.Join("\n", result.Messages), StringComparison.Ordinal);
    }

    [Fact]
    public void ARankThatNeverComesToTheRendezvousIsNamed()
    {
        using var job = new Job();
        job.Environment["DHO2_JOIN_TIMEOUT"] = "8";
        JobResult result = Fail(job, "never arrives (join timeout 8 s)", Job.Tcp, 3, "--fault", "absent", "--fault-rank", "2");
        Assert.Contains("for rank 2, which did not come", Assert.Single(result.Messages), StringComparison.Ordinal);
    }

    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void TheNextStartTellsHowTheLastRunEnded(string mpi)
    {
        using var job = new Job();
        job.Environment["DHO2_PROGRESS"] = Path.Combine(job.Folder, "progress");

        // MPICH's launcher leaves no witness of a rank's death unless it is asked to.
        Fail(job, "killed in forward, told by the next start", mpi, 2, "--fault", "kill", "--fault-rank", "1", "--fault-at", "Forward");
        JobResult next = job.Run(Mpi.Named(mpi), 2, Job.Driver, "train", "--epochs", "1");
        Assert.True(next.ExitCode == 0, next.ToString());
        string previous = Assert.Single(next.Output.Split('\n'), line => line.StartsWith("previous: ", StringComparison.Ordinal));
        Assert.Matches(@"rank 1 \(process \d+ on [^)]+\) died in stage 1, step \d+, \w", previous);

        JobResult third = job.Run(Mpi.Named(mpi), 2, Job.Driver, "train", "--epochs", "1");
        Assert.DoesNotContain("previous: ", third.Output, StringComparison.Ordinal);
    }

    /// <summary>Random deaths: four in a usual run, as many as DHO2_SOAK says where it is set.</summary>
    [MpiTheory]
    [InlineData(4)]
    public void RandomDeathsEndTheJobAndLeaveNothingBehind(int usual)
    {
        string? asked = Environment.GetEnvironmentVariable("DHO2_SOAK");
        int runs = asked is { Length: > 0 } ? int.Parse(asked, CultureInfo.InvariantCulture) : usual;
        int seed = asked is null ? 1 : Environment.TickCount;
        var random = new Random(seed);
        string[] kinds = ["plain", "curvature", "admm"];
        string[] faults = ["kill", "kill", "kill", "kill", "hang", "throw", "exit"];
        var times = new SortedDictionary<string, List<double>>();
        var silent = new SortedDictionary<string, int>();
        DirectoryInfo temporary = Directory.CreateTempSubdirectory("d2s-");
        for (int i = 0; i < runs; i++)
        {
            Mpi mpi = Mpi.All[random.Next(Mpi.All.Count)];
            int ranks = random.Next(4) == 0 ? 4 : 2;
            string kind = kinds[random.Next(ranks == 4 ? 3 : 2)], fault = faults[random.Next(faults.Length)];
            int doomed = random.Next(ranks);
            using var job = new Job(temporary.FullName);
            JobResult result = Fail(
                job, $"{fault}, random", mpi.Name, ranks, "--kind", kind, "--fault", fault, "--fault-rank", $"{doomed}", "--fault-step", $"{random.Next(12)}",
                "--fault-at", fault == "kill" ? "" : "Forward", "--fault-delay", $"{random.Next(5000)}");

            // A launcher that kills the witnesses at once leaves the telling to the next start.
            Assert.True(result.Messages.Length <= 1, $"seed {seed}, run {i}: {result}");
            string row = $"{mpi.Name,-8} {ranks} ranks {fault,-5}";
            if (result.Messages.Length == 0)
            {
                silent[row] = silent.GetValueOrDefault(row) + 1;
                Assert.True(fault is "kill" || (mpi.Name == "MPICH" && fault is "exit" or "throw"), $"seed {seed}, run {i}: nobody said a word: {result}");
                Assert.True(
                    temporary.EnumerateFiles($"rank-{doomed:0000}.progress", SearchOption.AllDirectories).Any(), $"seed {seed}, run {i}: nothing tells the next start: {result}");
            }

            (times.TryGetValue(row, out List<double>? list) ? list : times[row] = []).Add(result.Elapsed.TotalSeconds);
        }

        // Who was killed left a note of what it was at; the next start that is not of the same moment clears it away.
        int notes = FilesOfOurs(temporary).Length;
        System.Threading.Thread.Sleep(TimeSpan.FromSeconds(6));
        using (var job = new Job(temporary.FullName))
        {
            JobResult last = job.Run(Mpi.All[0], 2, Job.Driver, "train", "--epochs", "1");
            Assert.True(last.ExitCode == 0, last.ToString());
        }

        Assert.Empty(FilesOfOurs(temporary));
        string[] others = [.. temporary.EnumerateFileSystemInfos().Select(entry => entry.Name)];
        temporary.Delete(recursive: true);
        output.WriteLine($"{runs} deaths left no process; {notes} folders of notes, which the next start has cleared away; of others: {string.Join(", ", others)}");
        output.WriteLine($"seed {seed}; seconds from the fault to the end of all processes");
        output.WriteLine("case                    runs  least median   most  told by the next start only");
        foreach ((string row, List<double> list) in times)
        {
            list.Sort();
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{row} {list.Count,6} {list[0],6:F1} {list[list.Count / 2],6:F1} {list[^1],6:F1} {silent.GetValueOrDefault(row),5}"));
        }
    }

    /// <summary>The launchers that let ranks live that saw another die. MPICH's kills them at once: there the next start tells.</summary>
    private static IEnumerable<string> Witnessing() => Mpi.All.Select(mpi => mpi.Name).Where(name => name != "MPICH").Append(Job.Tcp);

    public static TheoryData<string> Witnesses() => [.. Witnessing()];

    private static string[] FilesOfOurs(DirectoryInfo folder) => [.. folder.EnumerateFileSystemInfos("dho2*").Select(entry => entry.Name)];

    private JobResult Fail(Job job, string what, string mpi, int ranks, params string[] arguments)
    {
        string mark = Path.Combine(job.Folder, "fault");
        job.Environment["DHO2_TIMEOUT"] = "6";
        DateTime start = DateTime.UtcNow;
        JobResult result = job.Run(mpi, ranks, Job.Driver, ["train", "--epochs", "1000", "--fault-mark", mark, .. arguments]);

        // The launcher's helpers may take a moment to follow it.
        string[] left = job.Left();
        for (int i = 0; i < 50 && left.Length > 0; i++)
        {
            System.Threading.Thread.Sleep(100);
            left = job.Left();
        }

        bool fromFault = File.Exists(mark);
        TimeSpan ended = DateTime.UtcNow - (fromFault ? DateTime.Parse(File.ReadAllText(mark), CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind) : start);
        FailureTable.Add(what, mpi, ranks, ended, fromFault, result);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{mpi}, {ranks} ranks, {string.Join(' ', arguments)}: status {result.ExitCode}, all ended {ended.TotalSeconds:F1} s after the {(fromFault ? "fault" : "start")}"));
        output.WriteLine(string.Join("\n", result.Messages));
        Assert.True(result.ExitCode != 0, result.ToString());
        Assert.True(left.Length == 0, $"{string.Join("\n", left)}\nlive on after {result}");
        return result with { Elapsed = ended };
    }
}
