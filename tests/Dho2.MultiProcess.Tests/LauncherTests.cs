using System;
using System.Linq;

namespace Dho2.MultiProcess.Tests;

/// <summary>Processes that were started with the variables of launchers that are not installed here.</summary>
public class LauncherTests
{
    /// <summary>
    /// As <c>srun</c> starts ranks, with the process management that Slurm was built with: PMIx for OpenMPI, PMI for MPICH.
    /// Here that is lent by the MPI's own launcher, whose own variables are taken away.
    /// </summary>
    private const string LikeSrun = """
        export SLURM_JOB_ID=77 SLURM_STEP_ID=0
        export SLURM_PROCID=${OMPI_COMM_WORLD_RANK:-$PMI_RANK} SLURM_STEP_NUM_TASKS=${OMPI_COMM_WORLD_SIZE:-$PMI_SIZE}
        export SLURM_LOCALID=${OMPI_COMM_WORLD_LOCAL_RANK:-$MPI_LOCALRANKID}
        unset OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE OMPI_COMM_WORLD_LOCAL_RANK OMPI_COMM_WORLD_LOCAL_SIZE MPI_LOCALRANKID MPI_LOCALNRANKS
        exec "$@"
        """;

    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void SrunNeedsNoOptions(string mpi)
    {
        using var job = new Job();
        JobResult result = job.RunWrapped(Mpi.Named(mpi), 2, LikeSrun, Job.Driver, "train", "--epochs", "1");
        Assert.True(result.ExitCode == 0, result.ToString());
        string line = Assert.Single(result.Output.Split('\n'), line => line.StartsWith("trained over", StringComparison.Ordinal));
        Assert.Contains("2 processes", line, StringComparison.Ordinal);
        Assert.Contains(mpi == "OpenMPI" ? "Open MPI" : mpi, line, StringComparison.Ordinal);
        Assert.Empty(job.Left());
    }

    /// <summary>MPICH 4.0 over a network does not come back from its end in most of these runs, unless it is gone around.</summary>
    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void AJobOverANetworkEndsWithoutComplaint(string mpi)
    {
        using var job = new Job();
        job.Environment["UCX_TLS"] = "tcp,self";
        for (int run = 0; run < 4; run++)
        {
            JobResult result = job.Run(Mpi.Named(mpi), 2, Job.Driver, "train", "--epochs", "1");
            Assert.True(result.ExitCode == 0, result.ToString());
            Assert.DoesNotContain("BAD TERMINATION", result.Output + result.Errors, StringComparison.Ordinal);
        }
    }

    [MpiTheory]
    [MemberData(nameof(Mpi.Names), MemberType = typeof(Mpi))]
    public void ALibraryThatIsMissingIsNamedWithThePackageToInstall(string mpi)
    {
        using var job = new Job();

        // A launcher without its library: one that is on another machine's disk, say.
        job.Environment["DHO2_MPI_LIBRARY"] = "/nowhere/libmpi.so";
        JobResult named = job.Run(Mpi.Named(mpi), 2, Job.Driver, "train");
        Assert.NotEqual(0, named.ExitCode);
        Assert.Contains("DHO2_MPI_LIBRARY names /nowhere/libmpi.so, which cannot be loaded", named.Errors, StringComparison.Ordinal);
    }
}
