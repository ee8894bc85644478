using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;

// Each test brings processes enough for all cores; two at once would only wait for one another, and run into timeouts.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Dho2.MultiProcess.Tests;

/// <summary>An MPI that is installed on this machine.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Launcher">Its launcher.</param>
/// <param name="Options">What the launcher needs to be told here.</param>
internal sealed record Mpi(string Name, string Launcher, IReadOnlyList<string> Options)
{
    /// <summary>Set where both must be there, as in CI: then no test may be skipped.</summary>
    public const string RequiredVariable = "DHO2_REQUIRE_MPI";

    private static readonly Lazy<Mpi[]> Found = new(() => [.. Candidates().OfType<Mpi>()]);

    /// <summary>The MPIs of this machine.</summary>
    public static IReadOnlyList<Mpi> All => Found.Value;

    /// <summary>Their names, as rows of a theory.</summary>
    public static TheoryData<string> Names() => [.. All.Select(mpi => mpi.Name)];

    public static Mpi Named(string name) => All.First(mpi => mpi.Name == name);

    private static IEnumerable<Mpi?> Candidates()
    {
        // As root, and with more processes than cores, OpenMPI wants to be told that this is meant.
        yield return Find("OpenMPI", ["mpirun.openmpi", "mpirun"], ["Open MPI", "OpenRTE"], ["--allow-run-as-root", "--oversubscribe"]);
        yield return Find("MPICH", ["mpirun.mpich", "mpiexec.hydra", "mpirun"], ["HYDRA"], []);
    }

    private static Mpi? Find(string name, string[] commands, string[] marks, string[] options)
    {
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(Path.PathSeparator);
        return commands.SelectMany(command => folders.Select(folder => Path.Combine(folder, command)))
            .Where(File.Exists)
            .Where(command => VersionOf(command) is var version && marks.Any(mark => version.Contains(mark, StringComparison.Ordinal)))
            .Select(command => new Mpi(name, command, options))
            .FirstOrDefault();
    }

    private static string VersionOf(string command)
    {
        var start = new ProcessStartInfo(command, "--version") { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return output;
    }
}

/// <summary>A test with processes that an MPI starts, for each MPI of the machine.</summary>
internal sealed class MpiTheoryAttribute : TheoryAttribute
{
    public MpiTheoryAttribute()
    {
        if (Mpi.All.Count == 0 && Environment.GetEnvironmentVariable(Mpi.RequiredVariable) is not "1")
        {
            Skip = "No launcher of OpenMPI or MPICH is on the PATH: packages openmpi-bin and mpich.";
        }
    }
}

/// <summary>Says which MPI the tests of this assembly did without.</summary>
internal sealed class MpiFactAttribute : FactAttribute
{
    public MpiFactAttribute(string name, string package)
    {
        if (Mpi.All.All(mpi => mpi.Name != name) && Environment.GetEnvironmentVariable(Mpi.RequiredVariable) is not "1")
        {
            Skip = $"No launcher of {name} is on the PATH (package {package}): nothing here was tested with it.";
        }
    }
}

public class MpiTests
{
    [MpiFact("OpenMPI", "openmpi-bin")]
    public void OpenMpiIsTestedHere() => Assert.Contains(Mpi.All, mpi => mpi.Name == "OpenMPI");

    [MpiFact("MPICH", "mpich")]
    public void MpichIsTestedHere() => Assert.Contains(Mpi.All, mpi => mpi.Name == "MPICH");
}
