namespace Dho2.Pipelines;

/// <summary>Which micro-batch of which step is being computed: random layers draw their masks from it.</summary>
public sealed class MicroBatchPosition
{
    /// <summary>The training step, counted from 0.</summary>
    public long Step { get; private set; }

    /// <summary>The micro-batch within the step, counted from 0 over all replicas.</summary>
    public int MicroBatch { get; private set; }

    /// <summary>Counts the calls of <see cref="MoveTo"/>: a layer that is called twice in one forward sees the same number twice.</summary>
    internal long Moves { get; private set; }

    /// <summary>Goes to a micro-batch. Going to the same one again gives the same random numbers again.</summary>
    public void MoveTo(long step, int microBatch)
    {
        Step = step;
        MicroBatch = microBatch;
        Moves++;
    }
}
