using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// Places sends and receives among the computations of ranks that hold several stages. Every message has a time, the end of
/// the computation that makes it, if a backward takes twice a forward; both its ends stand in the first exchange at or
/// after that time. So the exchange that holds a message waits only for earlier messages and computations, and none can wait for
/// itself: by induction over time a step completes even where sends wait for their receivers.
/// </summary>
internal static class ExchangeLayout
{
    public static EquatableArray<EquatableArray<Instruction>> Place(IReadOnlyList<Instruction>[] ranks, StageLayout layout)
    {
        Dictionary<Instruction, (long Start, long End)> times = TimesOf(ranks, layout);
        return Enumerable.Range(0, ranks.Length)
            .Select(rank => ranks[rank]
                .SelectMany(work => Around(work, layout, times))
                .OrderBy(x => x.Time)
                .ThenBy(x => x.Instruction.IsComputation)
                .ThenBy(x => x.Instruction.IsReceive)
                .ThenBy(x => x.Instruction.Kind)
                .ThenBy(x => x.Instruction.Stage)
                .ThenBy(x => x.Instruction.MicroBatch)
                .Select(x => x.Instruction)
                .ToEquatableArray())
            .ToEquatableArray();
    }

    private static IEnumerable<(long Time, Instruction Instruction)> Around(
        Instruction work, StageLayout layout, Dictionary<Instruction, (long Start, long End)> times)
    {
        yield return (times[work].Start, work);
        if (layout.Ranks == 1)
        {
            yield break;
        }

        bool isForward = work.Kind == InstructionKind.Forward;
        if (NeighbourOf(work, layout, isForward ? -1 : 1) is { } source)
        {
            yield return (times[source].End, work with { Kind = isForward ? InstructionKind.ReceiveActivation : InstructionKind.ReceiveGradient });
        }

        if (NeighbourOf(work, layout, isForward ? 1 : -1) is not null)
        {
            yield return (times[work].End, work with { Kind = isForward ? InstructionKind.SendActivation : InstructionKind.SendGradient });
        }
    }

    private static Instruction? NeighbourOf(Instruction work, StageLayout layout, int step) =>
        work.Stage + step >= 0 && work.Stage + step < layout.Stages ? work with { Stage = work.Stage + step } : null;

    private static Dictionary<Instruction, (long Start, long End)> TimesOf(IReadOnlyList<Instruction>[] ranks, StageLayout layout)
    {
        var times = new Dictionary<Instruction, (long Start, long End)>();
        var clocks = new long[ranks.Length];
        var next = new int[ranks.Length];
        bool progress = true;
        while (progress)
        {
            progress = false;
            for (int rank = 0; rank < ranks.Length; rank++)
            {
                for (; next[rank] < ranks[rank].Count && ReadyAt(ranks[rank][next[rank]]) is { } ready; next[rank]++, progress = true)
                {
                    Instruction work = ranks[rank][next[rank]];
                    long start = Math.Max(clocks[rank], ready);
                    clocks[rank] = start + (work.Kind == InstructionKind.Forward ? 1 : 2);
                    times[work] = (start, clocks[rank]);
                }
            }
        }

        return times;

        long? ReadyAt(Instruction work)
        {
            Instruction? need = work.Kind == InstructionKind.Forward
                ? NeighbourOf(work, layout, -1)
                : NeighbourOf(work, layout, 1) ?? work with { Kind = InstructionKind.Forward };
            return need is not { } other ? 0 : times.TryGetValue(other, out (long Start, long End) time) ? time.End : null;
        }
    }
}
