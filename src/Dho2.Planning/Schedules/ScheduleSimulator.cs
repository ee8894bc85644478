using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// Executes instruction lists symbolically. It proves that a step completes, also where a send waits until it is received
/// (each exchange, a run of neighbouring sends and receives, is posted as a whole) and that messages between two ranks
/// are received in the order in which they are sent; and it measures bubble and activations in flight with sends that do
/// not wait.
/// </summary>
public static class ScheduleSimulator
{
    /// <summary>Executes the lists.</summary>
    /// <param name="ranks">The instructions of each rank.</param>
    /// <param name="costs">The time of each stage's work.</param>
    public static ScheduleSimulation Run(EquatableArray<EquatableArray<Instruction>> ranks, ScheduleCosts costs)
    {
        int stages = 1 + ranks.SelectMany(r => r).Select(i => i.Stage).DefaultIfEmpty(-1).Max();
        var owner = new int[stages];
        for (int rank = 0; rank < ranks.Count; rank++)
        {
            foreach (Instruction instruction in ranks[rank])
            {
                owner[instruction.Stage] = rank;
            }
        }

        EquatableArray<StuckInstruction> stuck = new Rendezvous(ranks, owner).Run();
        return new Timing(ranks, owner, costs).Run(stuck);
    }

    private static Instruction? PeerOf(Instruction i, int stages) => i.Kind switch
    {
        InstructionKind.SendActivation when i.Stage + 1 < stages => new(InstructionKind.ReceiveActivation, i.MicroBatch, i.Stage + 1),
        InstructionKind.ReceiveActivation when i.Stage > 0 => new(InstructionKind.SendActivation, i.MicroBatch, i.Stage - 1),
        InstructionKind.SendGradient when i.Stage > 0 => new(InstructionKind.ReceiveGradient, i.MicroBatch, i.Stage - 1),
        InstructionKind.ReceiveGradient when i.Stage + 1 < stages => new(InstructionKind.SendGradient, i.MicroBatch, i.Stage + 1),
        _ => null,
    };

    /// <summary>What an instruction needs to have happened before on its own rank; null where it needs nothing.</summary>
    private static Instruction? NeedOf(Instruction i, int[] owner, HashSet<int> split) => i.Kind switch
    {
        InstructionKind.Forward when i.Stage > 0 => owner[i.Stage - 1] == owner[i.Stage]
            ? i with { Stage = i.Stage - 1 }
            : i with { Kind = InstructionKind.ReceiveActivation },
        InstructionKind.SendActivation => i with { Kind = InstructionKind.Forward },
        InstructionKind.Backward or InstructionKind.BackwardInput when i.Stage + 1 < owner.Length => owner[i.Stage + 1] == owner[i.Stage]
            ? i with { Stage = i.Stage + 1 }
            : i with { Kind = InstructionKind.ReceiveGradient },
        InstructionKind.Backward or InstructionKind.BackwardInput => i with { Kind = InstructionKind.Forward },
        InstructionKind.BackwardWeight => i with { Kind = InstructionKind.BackwardInput },
        InstructionKind.SendGradient => i with { Kind = split.Contains(i.Stage) ? InstructionKind.BackwardInput : InstructionKind.Backward },
        _ => null,
    };

    /// <summary>Execution with sends that wait for their receivers: the hardest transport decides about deadlock.</summary>
    private sealed class Rendezvous
    {
        private readonly EquatableArray<EquatableArray<Instruction>> ranks;
        private readonly int[] owner;
        private readonly int[] next;
        private readonly HashSet<Instruction> posted = [];
        private readonly HashSet<Instruction> done = [];
        private readonly HashSet<int> split;
        private readonly Dictionary<Instruction, string> overtaken = [];

        public Rendezvous(EquatableArray<EquatableArray<Instruction>> ranks, int[] owner)
        {
            this.ranks = ranks;
            this.owner = owner;
            next = new int[ranks.Count];
            split = new HashSet<int>(ranks.SelectMany(list => list).Where(i => i.Kind == InstructionKind.BackwardInput).Select(i => i.Stage));
            FindOvertaken();
        }

        public EquatableArray<StuckInstruction> Run()
        {
            bool progress = true;
            while (progress)
            {
                progress = false;
                for (int rank = 0; rank < ranks.Count; rank++)
                {
                    progress |= Advance(rank);
                }
            }

            var stuck = new List<StuckInstruction>();
            for (int rank = 0; rank < ranks.Count; rank++)
            {
                if (next[rank] < ranks[rank].Count)
                {
                    int at = FirstUndone(rank);
                    stuck.Add(new(rank, at, ranks[rank][at], ReasonOf(ranks[rank][at])));
                }
            }

            return stuck.ToEquatableArray();
        }

        private bool Advance(int rank)
        {
            EquatableArray<Instruction> list = ranks[rank];
            bool progress = false;
            while (next[rank] < list.Count)
            {
                int end = EndOfExchange(list, next[rank]);
                for (int i = next[rank]; i < end; i++)
                {
                    if (!done.Contains(list[i]) && MayRun(list[i]))
                    {
                        progress |= list[i].IsComputation ? done.Add(list[i]) : Post(list[i]);
                    }
                }

                if (FirstUndone(rank) < end)
                {
                    return progress;
                }

                next[rank] = end;
            }

            return progress;
        }

        /// <summary>Receives that stand in another order than their sends: what comes first is not what is waited for.</summary>
        private void FindOvertaken()
        {
            var sent = new Dictionary<(int From, int To), Queue<Instruction>>();
            var known = new HashSet<Instruction>();
            foreach (Instruction send in ranks.SelectMany(list => list).Where(i => i.IsSend))
            {
                if (PeerOf(send, owner.Length) is { } receive && known.Add(receive))
                {
                    QueueOf(owner[send.Stage], owner[receive.Stage]).Enqueue(receive);
                }
            }

            foreach (Instruction receive in ranks.SelectMany(list => list).Where(i => i.IsReceive))
            {
                if (known.Contains(receive)
                    && PeerOf(receive, owner.Length) is { } send
                    && QueueOf(owner[send.Stage], owner[receive.Stage]) is { Count: > 0 } queue
                    && queue.Dequeue() is var first
                    && first != receive)
                {
                    overtaken[receive] = $"{PeerOf(first, owner.Length)} is sent before what it waits for";
                }
            }

            Queue<Instruction> QueueOf(int from, int to) =>
                sent.TryGetValue((from, to), out Queue<Instruction>? queue) ? queue : sent[(from, to)] = new Queue<Instruction>();
        }

        private bool Post(Instruction instruction)
        {
            bool progress = posted.Add(instruction);
            if (PeerOf(instruction, owner.Length) is { } peer && posted.Contains(peer))
            {
                progress |= done.Add(instruction) | done.Add(peer);
            }

            return progress;
        }

        private bool MayRun(Instruction i) => !overtaken.ContainsKey(i) && (NeedOf(i, owner, split) is not { } need || done.Contains(need));

        private static int EndOfExchange(EquatableArray<Instruction> list, int start)
        {
            int end = start + 1;
            while (!list[start].IsComputation && end < list.Count && !list[end].IsComputation)
            {
                end++;
            }

            return end;
        }

        private int FirstUndone(int rank)
        {
            int at = next[rank];
            while (at < ranks[rank].Count && done.Contains(ranks[rank][at]))
            {
                at++;
            }

            return at;
        }

        private string ReasonOf(Instruction i) =>
            overtaken.TryGetValue(i, out string? reason) ? reason
            : NeedOf(i, owner, split) is { } need && !done.Contains(need) ? $"{need} has not happened before it"
            : PeerOf(i, owner.Length) is { } peer ? $"no rank comes to {peer}"
            : "there is no stage at the other end";
    }

    /// <summary>Execution with sends that do not wait: when each computation starts, and what is in flight.</summary>
    private sealed class Timing
    {
        private readonly EquatableArray<EquatableArray<Instruction>> ranks;
        private readonly int[] owner;
        private readonly ScheduleCosts costs;

        public Timing(EquatableArray<EquatableArray<Instruction>> ranks, int[] owner, ScheduleCosts costs)
        {
            this.ranks = ranks;
            this.owner = owner;
            this.costs = costs;
        }

        public ScheduleSimulation Run(EquatableArray<StuckInstruction> stuck)
        {
            var next = new int[ranks.Count];
            var clock = new long[ranks.Count];
            var busy = new long[ranks.Count];
            var inFlight = new int[owner.Length];
            var most = new int[owner.Length];
            var graphs = new int[owner.Length];
            var mostGraphs = new int[owner.Length];
            var sent = new Dictionary<Instruction, long>();
            List<ScheduledWork>[] work = ranks.Select(_ => new List<ScheduledWork>()).ToArray();
            bool progress = true;
            while (progress)
            {
                progress = false;
                for (int rank = 0; rank < ranks.Count; rank++)
                {
                    for (; next[rank] < ranks[rank].Count; next[rank]++, progress = true)
                    {
                        Instruction i = ranks[rank][next[rank]];
                        if (i.IsReceive)
                        {
                            if (PeerOf(i, owner.Length) is not { } peer || !sent.TryGetValue(peer, out long arrival))
                            {
                                break;
                            }

                            clock[rank] = Math.Max(clock[rank], arrival);
                        }
                        else if (i.IsSend)
                        {
                            sent[i] = clock[rank];
                        }
                        else
                        {
                            long cost = costs.Of(i);
                            work[rank].Add(new(rank, i, clock[rank], clock[rank] + cost));
                            clock[rank] += cost;
                            busy[rank] += cost;

                            // What is split keeps its graph until the parameters have their gradients.
                            inFlight[i.Stage] += i.Kind switch
                            {
                                InstructionKind.Forward => 1,
                                InstructionKind.BackwardInput => 0,
                                _ => -1,
                            };
                            most[i.Stage] = Math.Max(most[i.Stage], inFlight[i.Stage]);

                            // The first stage has no gradients of inputs: nothing is recomputed for them.
                            bool isEmpty = i is { Kind: InstructionKind.BackwardInput, Stage: 0 };
                            bool isSecond = i is { Kind: InstructionKind.BackwardWeight, Stage: > 0 };
                            mostGraphs[i.Stage] = Math.Max(mostGraphs[i.Stage], graphs[i.Stage] + (isEmpty || isSecond ? 0 : 1));
                            graphs[i.Stage] += isEmpty ? 0 : isSecond ? -1 : i.Kind == InstructionKind.BackwardInput ? 1 : 0;
                        }
                    }
                }
            }

            return new(
                stuck,
                work.SelectMany(w => w).ToEquatableArray(),
                clock.DefaultIfEmpty(0).Max(),
                busy.ToEquatableArray(),
                most.ToEquatableArray())
            {
                MaxRecomputed = mostGraphs.ToEquatableArray(),
            };
        }
    }
}
