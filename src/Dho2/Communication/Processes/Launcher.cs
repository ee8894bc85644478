using System;
using System.Globalization;

namespace Dho2.Communication;

/// <summary>Who started this process, with how many others.</summary>
internal enum LauncherKind
{
    /// <summary>Nobody in particular: ranks are threads.</summary>
    None,

    /// <summary>An MPI launcher: <c>mpirun</c>, <c>mpiexec</c>, or <c>srun</c> with an MPI.</summary>
    Mpi,

    /// <summary><c>torchrun --no-python</c>, or whoever sets the same variables.</summary>
    Torchrun,
}

/// <summary>What the launcher's variables say.</summary>
/// <param name="Kind">The launcher.</param>
/// <param name="Name">Its name in messages.</param>
/// <param name="Rank">This process's rank; -1 if the variables do not say.</param>
/// <param name="Size">The number of processes; -1 if the variables do not say.</param>
/// <param name="LocalRank">This process's rank among those of its machine; -1 if the variables do not say.</param>
/// <param name="LocalSize">The number of processes on this machine; -1 if the variables do not say.</param>
/// <param name="Job">Names the job: the same in all its processes on a machine.</param>
internal sealed record Launcher(LauncherKind Kind, string Name, int Rank, int Size, int LocalRank, int LocalSize, string Job)
{
    private static readonly Launcher Alone = new(LauncherKind.None, "no launcher", 0, 1, 0, 1, string.Empty);

    /// <summary>Whether MPI's processes were started by OpenMPI's own launcher.</summary>
    public bool IsOpenMpi { get; private init; }

    /// <summary>Reads the variables of this process.</summary>
    /// <exception cref="CommunicationException">They contradict themselves.</exception>
    public static Launcher Detect() => Detect(Environment.GetEnvironmentVariable);

    /// <summary>Reads variables.</summary>
    /// <param name="variable">Gives a variable's value, or null.</param>
    /// <exception cref="CommunicationException">They contradict themselves.</exception>
    public static Launcher Detect(Func<string, string?> variable)
    {
        int Number(string name)
        {
            string? text = variable(name);
            return string.IsNullOrEmpty(text) ? -1
                : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value
                : throw new CommunicationException($"The variable {name} is '{text}'; a launcher sets it to a whole number.");
        }

        bool Has(string name) => !string.IsNullOrEmpty(variable(name));

        Launcher found;
        if (Has("OMPI_COMM_WORLD_SIZE"))
        {
            found = new(
                LauncherKind.Mpi, "OpenMPI's mpirun", Number("OMPI_COMM_WORLD_RANK"), Number("OMPI_COMM_WORLD_SIZE"),
                Number("OMPI_COMM_WORLD_LOCAL_RANK"), Number("OMPI_COMM_WORLD_LOCAL_SIZE"), variable("PMIX_NAMESPACE") ?? string.Empty)
            { IsOpenMpi = true };
        }
        else if (Has("SLURM_PROCID") && Number("SLURM_STEP_NUM_TASKS") > 1)
        {
            found = new(
                LauncherKind.Mpi, "srun", Number("SLURM_PROCID"), Number("SLURM_STEP_NUM_TASKS"), Number("SLURM_LOCALID"),
                -1, $"{variable("SLURM_JOB_ID")}.{variable("SLURM_STEP_ID")}.{variable("SLURM_RESTART_COUNT")}")
            { IsOpenMpi = Has("PMIX_RANK") };
        }
        else if (Has("PMI_SIZE"))
        {
            found = new(
                LauncherKind.Mpi, "MPICH's mpirun", Number("PMI_RANK"), Number("PMI_SIZE"), Number("MPI_LOCALRANKID"), Number("MPI_LOCALNRANKS"), variable("PMI_JOBID") ?? string.Empty);
        }
        else if (Has("PMIX_RANK"))
        {
            found = new(LauncherKind.Mpi, "a PMIx launcher", Number("PMIX_RANK"), -1, -1, -1, variable("PMIX_NAMESPACE") ?? string.Empty) { IsOpenMpi = true };
        }
        else if (Has("RANK") && Has("WORLD_SIZE"))
        {
            found = new(
                LauncherKind.Torchrun, "torchrun", Number("RANK"), Number("WORLD_SIZE"), Number("LOCAL_RANK"), Number("LOCAL_WORLD_SIZE"),

                // The number of a run is often "none", and a run that is started again keeps its own: where its ranks meet tells
                // one from another.
                $"{variable("TORCHELASTIC_RUN_ID")}.{variable("TORCHELASTIC_RESTART_COUNT")}.{variable("MASTER_ADDR")}.{variable("MASTER_PORT")}");
        }
        else
        {
            return Alone;
        }

        if (found.Size != -1 && (found.Size < 1 || found.Rank >= found.Size))
        {
            throw new CommunicationException($"{found.Name} calls this process rank {found.Rank} of {found.Size}: ranks are 0 to the size less 1.");
        }

        // A launcher that started one process leaves it to us to run all ranks in it.
        return found.Size == 1 ? Alone : found;
    }
}
