using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;

namespace Dho2.Tests.Communication;

/// <summary>Who started a process is read from the variables that launchers are known to set.</summary>
public sealed class LauncherTests
{
    public static TheoryData<string, string, string, int, int, int, bool> Environments() => new()
    {
        // OpenMPI's mpirun, which also sets PMIx's variables.
        { "OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2 PMIX_RANK=3 PMIX_NAMESPACE=12", "Mpi", "OpenMPI's mpirun", 3, 4, 1, true },

        // The same within an allocation of Slurm: mpirun counts, not the step that it runs in.
        { "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1", "Mpi", "OpenMPI's mpirun", 1, 2, 1, true },
        { "PMI_RANK=0 PMI_SIZE=2 PMI_FD=9 MPI_LOCALRANKID=0 MPI_LOCALNRANKS=2", "Mpi", "MPICH's mpirun", 0, 2, 0, false },
        { "SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=8 SLURM_LOCALID=1 SLURM_JOB_ID=77 SLURM_STEP_ID=0 PMI_RANK=5 PMI_SIZE=8", "Mpi", "srun", 5, 8, 1, false },
        { "SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=8 SLURM_LOCALID=1 SLURM_JOB_ID=77 SLURM_STEP_ID=0 PMIX_RANK=5 PMIX_NAMESPACE=slurm.77.0", "Mpi", "srun", 5, 8, 1, true },
        { "RANK=2 WORLD_SIZE=4 LOCAL_RANK=0 LOCAL_WORLD_SIZE=2 MASTER_ADDR=node1 MASTER_PORT=29500", "Torchrun", "torchrun", 2, 4, 0, false },
        { "PMIX_RANK=1 PMIX_NAMESPACE=prte-7", "Mpi", "a PMIx launcher", 1, -1, -1, true },

        // Nobody, or nobody who wants several processes.
        { "", "None", "no launcher", 0, 1, 0, false },
        { "SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1 SLURM_JOB_ID=77", "None", "no launcher", 0, 1, 0, false },
        { "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=1", "None", "no launcher", 0, 1, 0, false },
        { "PMI_RANK=0 PMI_SIZE=1", "None", "no launcher", 0, 1, 0, false },
        { "RANK=0 WORLD_SIZE=1 MASTER_ADDR=node1 MASTER_PORT=29500", "None", "no launcher", 0, 1, 0, false },
    };

    [Theory]
    [MemberData(nameof(Environments))]
    public void ReadsWhoStartedTheProcess(string variables, string kind, string name, int rank, int size, int localRank, bool isOpenMpi)
    {
        Launcher found = Detect(variables);
        Assert.Equal(kind, found.Kind.ToString());
        Assert.Equal((name, rank, size, localRank, isOpenMpi), (found.Name, found.Rank, found.Size, found.LocalRank, found.IsOpenMpi));
    }

    [Theory]
    [InlineData("OMPI_COMM_WORLD_RANK=4 OMPI_COMM_WORLD_SIZE=4", "OpenMPI's mpirun calls this process rank 4 of 4: ranks are 0 to the size less 1.")]
    [InlineData("RANK=one WORLD_SIZE=4", "The variable RANK is 'one'; a launcher sets it to a whole number.")]
    [InlineData("PMI_RANK=-1 PMI_SIZE=4", "The variable PMI_RANK is '-1'; a launcher sets it to a whole number.")]
    [InlineData("PMI_RANK=0 PMI_SIZE=0", "MPICH's mpirun calls this process rank 0 of 0: ranks are 0 to the size less 1.")]
    public void RefusesVariablesThatContradictThemselves(string variables, string message) =>
        Assert.Equal(message, Assert.Throws<CommunicationException>(() => Detect(variables)).Message);

    [Fact]
    public void ProcessesOfOneStepShareTheNameOfTheirJobAndARestartHasAnother()
    {
        const string Step = "SLURM_STEP_NUM_TASKS=8 SLURM_JOB_ID=77 SLURM_STEP_ID=0";
        Assert.Equal(Detect($"SLURM_PROCID=1 {Step}").Job, Detect($"SLURM_PROCID=2 {Step}").Job);
        Assert.NotEqual(Detect($"SLURM_PROCID=1 {Step}").Job, Detect($"SLURM_PROCID=1 {Step} SLURM_RESTART_COUNT=1").Job);

        const string Torchrun = "WORLD_SIZE=4 MASTER_ADDR=node1 MASTER_PORT=29500 TORCHELASTIC_RUN_ID=none";
        Assert.Equal(Detect($"RANK=1 {Torchrun} TORCHELASTIC_RESTART_COUNT=0").Job, Detect($"RANK=2 {Torchrun} TORCHELASTIC_RESTART_COUNT=0").Job);
        Assert.NotEqual(Detect($"RANK=1 {Torchrun} TORCHELASTIC_RESTART_COUNT=0").Job, Detect($"RANK=1 {Torchrun} TORCHELASTIC_RESTART_COUNT=1").Job);
    }

    private static Launcher Detect(string variables)
    {
        Dictionary<string, string> all = variables.Split(' ', System.StringSplitOptions.RemoveEmptyEntries).Select(v => v.Split('=')).ToDictionary(v => v[0], v => v[1]);
        return Launcher.Detect(name => all.GetValueOrDefault(name));
    }
}
