using System.Globalization;
using System.Linq;

namespace Dho2.Planning;

/// <summary>One computation of a simulated step.</summary>
/// <param name="Rank">The rank that does it.</param>
/// <param name="Instruction">What it does.</param>
/// <param name="Start">When it begins, in picoseconds from the step's start.</param>
/// <param name="End">When it ends.</param>
public sealed record ScheduledWork(int Rank, Instruction Instruction, long Start, long End);

/// <summary>An instruction that a rank can never execute.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Position">The instruction's index in the rank's list.</param>
/// <param name="Instruction">The instruction.</param>
/// <param name="Reason">What it waits for, or what is wrong with it.</param>
public sealed record StuckInstruction(int Rank, int Position, Instruction Instruction, string Reason)
{
    /// <inheritdoc/>
    public override string ToString() =>
        string.Format(CultureInfo.InvariantCulture, "rank {0} is stuck at {1} (instruction {2}): {3}", Rank, Instruction, Position, Reason);
}

/// <summary>What the symbolic execution of a schedule showed.</summary>
/// <param name="Stuck">The instruction at which each unfinished rank stopped; none where the step completes.</param>
/// <param name="Work">The computations, by rank and then by start.</param>
/// <param name="Makespan">The time of the whole step, in picoseconds.</param>
/// <param name="Busy">The time that each rank computes, in picoseconds.</param>
/// <param name="MaxInFlight">The most micro-batches whose activations a stage keeps at one time, for each stage.</param>
public sealed record ScheduleSimulation(
    EquatableArray<StuckInstruction> Stuck,
    EquatableArray<ScheduledWork> Work,
    long Makespan,
    EquatableArray<long> Busy,
    EquatableArray<int> MaxInFlight)
{
    /// <summary>
    /// The most micro-batches that a stage has all activations of at one time if it recomputes them, for each stage: the one
    /// whose forward or backward runs, and those whose backward waits for its second part.
    /// </summary>
    public EquatableArray<int> MaxRecomputed { get; init; }

    /// <summary>Whether every instruction of every rank was executed.</summary>
    public bool Completes => Stuck.Count == 0;

    /// <summary>The share of all ranks' time in which they wait: (S - 1) / (M + S - 1) for GPipe and 1F1B with equal stages.</summary>
    public double BubbleFraction => Makespan == 0 ? 0 : 1 - (Busy.Sum(b => (double)b) / ((double)Makespan * Busy.Count));

    /// <summary>The same share in parts per million, in whole numbers: for plans, which must not depend on rounding.</summary>
    public long BubblePartsPerMillion =>
        Makespan == 0 ? 0 : (long)(1_000_000 - (Busy.Aggregate(0m, (sum, b) => sum + b) * 1_000_000 / Makespan / Busy.Count));
}
