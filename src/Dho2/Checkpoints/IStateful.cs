using System;

namespace Dho2.Checkpoints;

/// <summary>A part of training that a checkpoint has to hold: it names its tensors and numbers, and takes them back.</summary>
public interface IStateful
{
    /// <summary>Names the state. Tensors are live, not copies; nothing is changed.</summary>
    /// <param name="state">Takes the state.</param>
    void Save(StateWriter state);

    /// <summary>Goes on from a saved state. All ranks call it in step.</summary>
    /// <param name="state">Holds the state.</param>
    /// <exception cref="CheckpointException">Something is missing or does not fit.</exception>
    void Load(StateReader state);
}

/// <summary>Of what there is one value.</summary>
[Flags]
public enum StateScope
{
    /// <summary>One for the whole run; the same on all replicas.</summary>
    Run = 0,

    /// <summary>One for each stage. Vectors are of one stage anyway, by the names of their parameters.</summary>
    PerStage = 1,

    /// <summary>
    /// One for each replica. Where a run goes on with another number of replicas, each takes the mean over the replicas
    /// whose share of the data it takes over.
    /// </summary>
    PerReplica = 2,
}
