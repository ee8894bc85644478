using System.Linq;

namespace Dho2.Planning;

/// <summary>The time that one micro-batch takes on each stage, in picoseconds.</summary>
/// <param name="Forward">Of a forward, for each stage.</param>
/// <param name="Backward">Of a backward, for each stage.</param>
/// <param name="Weight">Of that part of the backward that is for the parameters alone, for each stage; by default one half.</param>
public sealed record ScheduleCosts(EquatableArray<long> Forward, EquatableArray<long> Backward, EquatableArray<long> Weight = default)
{
    /// <summary>The same costs on every stage.</summary>
    public static ScheduleCosts Uniform(int stages, long forward, long backward, long? weight = null) => new(
        Repeat(forward, stages), Repeat(backward, stages), weight is { } own ? Repeat(own, stages) : default);

    /// <summary>
    /// The costs of a plan's stages if all had the same work: a backward takes two forwards, and one more where a stage recomputes.
    /// </summary>
    /// <param name="plan">The plan.</param>
    public static ScheduleCosts OfEqualStages(Plan plan) => new(
        plan.Stages.Select(_ => 1L).ToEquatableArray(),
        plan.Stages.Select(stage => stage.Recomputes ? 3L : 2L).ToEquatableArray(),

        // The first stage has no gradients of inputs to compute, and runs its forward again for those of its weights.
        plan.Stages.Select(stage => stage is { Recomputes: true, Index: 0 } ? 2L : 1L).ToEquatableArray());

    /// <summary>The time of one instruction; sends and receives take none.</summary>
    public long Of(Instruction instruction) => instruction.Kind switch
    {
        InstructionKind.Forward => Forward[instruction.Stage],
        InstructionKind.Backward => Backward[instruction.Stage],
        InstructionKind.BackwardWeight => WeightOf(instruction.Stage),
        InstructionKind.BackwardInput => Backward[instruction.Stage] - WeightOf(instruction.Stage),
        _ => 0,
    };

    private static EquatableArray<long> Repeat(long cost, int stages)
    {
        var costs = new long[stages];
        for (int i = 0; i < stages; i++)
        {
            costs[i] = cost;
        }

        return costs.ToEquatableArray();
    }

    private long WeightOf(int stage) => Weight.Count > 0 ? Weight[stage] : Backward[stage] / 2;
}
