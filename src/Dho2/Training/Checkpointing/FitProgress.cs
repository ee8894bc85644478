using Dho2.Checkpoints;

namespace Dho2;

/// <summary>How far a call of <c>Fit</c> has come, on one rank; the same on all.</summary>
internal sealed class FitProgress : IStateful
{
    private const string Name = "training.fit";

    /// <summary>Which call it is, counted from 1; 0 before the first.</summary>
    public int Call { get; private set; }

    /// <summary>Whether the call that a checkpoint is of has not been made again.</summary>
    public bool IsResumed { get; private set; }

    /// <summary>Calls made in this process.</summary>
    private int Made { get; set; }

    /// <summary>Steps that were done when the call began.</summary>
    public long FirstStep { get; private set; }

    /// <summary>Passes over the data that the call has completed.</summary>
    public int EpochsDone { get; private set; }

    /// <summary>Samples that the present pass has used.</summary>
    public long Dealt { get; private set; }

    /// <summary>Steps that the present pass has made.</summary>
    public long EpochSteps { get; private set; }

    /// <summary>The sum of the present pass' losses, weighted by samples.</summary>
    public double LossSum { get; private set; }

    /// <summary>Samples of the data set.</summary>
    public long Samples { get; private set; }

    /// <summary>Begins a call, or goes on with one of another process.</summary>
    /// <param name="samples">Samples of the data set.</param>
    /// <param name="steps">Steps done so far.</param>
    /// <param name="folder">Names the checkpoint in messages.</param>
    /// <returns>False if an earlier process has completed this call, and begun a later one.</returns>
    /// <exception cref="CheckpointException">The data set is another one than in mid-epoch.</exception>
    public bool Begin(long samples, long steps, string? folder)
    {
        Made++;
        if (IsResumed && Made < Call)
        {
            return false;
        }

        if (IsResumed)
        {
            IsResumed = false;
            if (Dealt > 0 && Samples != samples)
            {
                throw new CheckpointException(
                    folder ?? "", $"it was written after {Dealt} of {Samples} training samples; this data set has {samples}, which are in another order.");
            }
        }
        else
        {
            (Call, FirstStep, EpochsDone, Dealt, EpochSteps, LossSum) = (Made, steps, 0, 0, 0, 0);
        }

        Samples = samples;
        return true;
    }

    /// <summary>Counts a step.</summary>
    public void Add(int samples, double loss)
    {
        Dealt += samples;
        EpochSteps++;
        LossSum += loss * samples;
    }

    /// <summary>Ends a pass over the data.</summary>
    public void EndEpoch()
    {
        EpochsDone++;
        Dealt = 0;
        EpochSteps = 0;
        LossSum = 0;
    }

    /// <inheritdoc/>
    public void Save(StateWriter state) => state.Numbers(Name, [Call, FirstStep, EpochsDone, Dealt, LossSum, Samples, EpochSteps]);

    /// <inheritdoc/>
    public void Load(StateReader state)
    {
        double[] numbers = state.Numbers(Name);
        Call = (int)numbers[0];
        FirstStep = (long)numbers[1];
        EpochsDone = (int)numbers[2];
        Dealt = (long)numbers[3];
        LossSum = numbers[4];
        Samples = (long)numbers[5];
        EpochSteps = (long)numbers[6];
        IsResumed = Call > 0;
    }
}
