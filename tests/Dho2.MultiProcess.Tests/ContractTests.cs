using System;
using System.IO;
using System.Linq;

namespace Dho2.MultiProcess.Tests;

/// <summary>The tests of communicators, whose ranks are threads elsewhere, with processes.</summary>
public class ContractTests
{
    public static TheoryData<string, int, string> Legs()
    {
        var legs = new TheoryData<string, int, string>();
        foreach (Mpi mpi in Mpi.All)
        {
            legs.Add(mpi.Name, 2, "deterministic");
            legs.Add(mpi.Name, 4, "deterministic");
        }

        // A library that lets one thread call it, or one at a time.
        if (Mpi.All.Count > 0)
        {
            legs.Add(Mpi.All[^1].Name, 2, "funneled");
            legs.Add(Mpi.All[0].Name, 2, "serialized");
        }

        legs.Add(Job.Tcp, 4, "deterministic");
        return legs;
    }

    [Theory]
    [MemberData(nameof(Legs))]
    public void EveryTestOfCommunicatorsHoldsWithProcesses(string mpi, int ranks, string mode)
    {
        using var job = new Job();
        job.Environment["DHO2_DETERMINISTIC"] = "1";
        if (mode != "deterministic")
        {
            job.Environment["DHO2_MPI_THREADS"] = mode;
        }

        // The tests abort their groups on purpose: how the launcher takes the end of the processes is not looked at.
        JobResult result = job.Run(mpi, ranks, Job.Driver, "contract", job.Folder);
        for (int rank = 0; rank < ranks; rank++)
        {
            string file = Path.Combine(job.Folder, $"results-{rank}");
            Assert.True(File.Exists(file), $"Rank {rank} did nothing: {result}");
            string[] lines = File.ReadAllLines(file);
            string[] failed = [.. lines.Where(line => line.StartsWith("FAIL", StringComparison.Ordinal))];
            Assert.True(failed.Length == 0, $"Rank {rank}: {string.Join("\n", failed)}\n{result}");
            Assert.True(lines[^1] == "END", $"Rank {rank} ended after {lines[^1]}: {result}");
            Assert.True(lines.Count(line => line.StartsWith("PASS", StringComparison.Ordinal)) >= 30, $"Rank {rank} ran few tests:\n{string.Join("\n", lines)}");
        }

        Assert.Empty(job.Left());
    }
}
