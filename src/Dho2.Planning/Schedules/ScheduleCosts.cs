namespace Dho2.Planning;

/// <summary>The time that one micro-batch takes on each stage, in picoseconds.</summary>
/// <param name="Forward">Of a forward, for each stage.</param>
/// <param name="Backward">Of a backward, for each stage.</param>
public sealed record ScheduleCosts(EquatableArray<long> Forward, EquatableArray<long> Backward)
{
    /// <summary>The same costs on every stage.</summary>
    public static ScheduleCosts Uniform(int stages, long forward, long backward)
    {
        var forwards = new long[stages];
        var backwards = new long[stages];
        for (int i = 0; i < stages; i++)
        {
            forwards[i] = forward;
            backwards[i] = backward;
        }

        return new(forwards.ToEquatableArray(), backwards.ToEquatableArray());
    }

    /// <summary>The time of one instruction; sends and receives take none.</summary>
    public long Of(Instruction instruction) => instruction.Kind switch
    {
        InstructionKind.Forward => Forward[instruction.Stage],
        InstructionKind.Backward => Backward[instruction.Stage],
        _ => 0,
    };
}
