using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>What the ranks of an in-process group share: mailboxes for messages, and a meeting place for collectives.</summary>
internal sealed class InProcessGroup
{
    private readonly int[] worldRanks;
    private readonly SharedFailure failure;
    private readonly Doorbell[] doorbells;
    private readonly ConcurrentQueue<torch.Tensor>[] mailboxes;

    // A rank can be at most one meeting ahead of a rank that still reads: two sets of contributions, used in turn, suffice.
    private readonly Contribution[][] contributions;
    private readonly long[] meetings;
    private int members;

    public InProcessGroup(int[] worldRanks, TimeSpan timeout, SharedFailure failure)
    {
        this.worldRanks = worldRanks;
        this.failure = failure;
        Timeout = timeout;
        Size = worldRanks.Length;
        members = Size;
        meetings = new long[Size];
        doorbells = [.. Enumerable.Range(0, Size).Select(_ => new Doorbell())];
        mailboxes = [.. Enumerable.Range(0, Size * Size).Select(_ => new ConcurrentQueue<torch.Tensor>())];
        contributions = [.. Enumerable.Range(0, 2).Select(_ => Enumerable.Range(0, Size).Select(_ => new Contribution()).ToArray())];
        failure.Watch(this);
    }

    public int Size { get; }

    public TimeSpan Timeout { get; }

    public CancellationToken Aborted => failure.Raised;

    public void Post(int source, int destination, torch.Tensor tensor)
    {
        ThrowIfFailed(source, "send");
        mailboxes[(source * Size) + destination].Enqueue(tensor.detach().DetachFromDisposeScope());
        doorbells[destination].Ring();
    }

    public torch.Tensor Take(int source, int destination)
    {
        ConcurrentQueue<torch.Tensor> mailbox = mailboxes[(source * Size) + destination];
        Await(destination, CallKind.Receive, source, static mailbox => !mailbox.IsEmpty, mailbox);
        mailbox.TryDequeue(out torch.Tensor? handed);
        using (handed)
        {
            return handed!.detach();
        }
    }

    /// <summary>The place for a rank's contribution to its next meeting.</summary>
    public Contribution Prepare(int rank) => contributions[(meetings[rank] + 1) & 1][rank];

    /// <summary>Waits until all ranks have come to this meeting, and returns what they brought, in rank order.</summary>
    public Contribution[] Meet(int rank, CallSignature signature)
    {
        ThrowIfFailed(rank, signature.Kind.ToString());
        long meeting = meetings[rank] + 1;
        Contribution[] brought = contributions[meeting & 1];
        brought[rank].Signature = signature;
        Volatile.Write(ref meetings[rank], meeting);
        Interlocked.MemoryBarrier();
        if (AllAt(meeting))
        {
            for (int other = 0; other < Size; other++)
            {
                if (other != rank)
                {
                    doorbells[other].Ring();
                }
            }
        }
        else
        {
            Await(rank, signature.Kind, -1, static s => s.Group.AllAt(s.Meeting), (Group: this, Meeting: meeting));
        }

        for (int other = 0; other < Size; other++)
        {
            if (brought[other].Signature != signature)
            {
                var mismatch = new CommunicationException(
                    $"Rank {worldRanks[rank]} calls {signature} while rank {worldRanks[other]} calls {brought[other].Signature}: all ranks of a group must make the same collective calls in the same order.");
                failure.Raise(mismatch);
                throw mismatch;
            }
        }

        return brought;
    }

    /// <summary>A group of some of this group's ranks.</summary>
    public InProcessGroup Found(int[] ranks) => new([.. ranks.Select(rank => worldRanks[rank])], Timeout, failure);

    public void Fail(Exception cause) => failure.Raise(cause);

    public void WakeAll()
    {
        foreach (Doorbell doorbell in doorbells)
        {
            doorbell.Ring();
        }
    }

    /// <summary>A rank leaves; the last one clears away what was never received.</summary>
    public void Leave()
    {
        if (Interlocked.Decrement(ref members) > 0)
        {
            return;
        }

        failure.Forget(this);
        foreach (ConcurrentQueue<torch.Tensor> mailbox in mailboxes)
        {
            while (mailbox.TryDequeue(out torch.Tensor? handed))
            {
                handed.Dispose();
            }
        }

        foreach (Contribution contribution in contributions.SelectMany(set => set))
        {
            contribution.Tensor?.Dispose();
        }
    }

    private bool AllAt(long meeting)
    {
        for (int rank = 0; rank < Size; rank++)
        {
            if (Volatile.Read(ref meetings[rank]) < meeting)
            {
                return false;
            }
        }

        return true;
    }

    private void Await<TState>(int rank, CallKind kind, int peer, Func<TState, bool> condition, TState state)
    {
        long start = Stopwatch.GetTimestamp();
        bool came = doorbells[rank].Wait(
            static s => s.condition(s.state) || s.failure.Cause is not null, (condition, state, failure), Timeout);
        if (came && failure.Cause is null)
        {
            return;
        }

        string seconds = Stopwatch.GetElapsedTime(start).TotalSeconds.ToString("F1", CultureInfo.InvariantCulture);
        if (!came)
        {
            long meeting = meetings[rank];
            string missing = peer >= 0
                ? $"rank {worldRanks[peer]}"
                : string.Join(", ", Enumerable.Range(0, Size).Where(r => Volatile.Read(ref meetings[r]) < meeting).Select(r => $"rank {worldRanks[r]}"));
            var timeout = new CommunicationException(
                $"Rank {worldRanks[rank]} waited {seconds} s in {kind} for {missing}, which did not come within the timeout of {Timeout.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture)} s.")
            {
                Awaited = peer >= 0 ? [worldRanks[peer]] : [.. Enumerable.Range(0, Size).Where(r => Volatile.Read(ref meetings[r]) < meeting).Select(r => worldRanks[r])],
            };
            failure.Raise(timeout);
            if (failure.Cause == timeout)
            {
                throw timeout;
            }
        }

        ThrowIfFailed(rank, $"{kind}, after waiting {seconds} s");
    }

    private void ThrowIfFailed(int rank, string call)
    {
        if (failure.Cause is { } cause)
        {
            throw new CommunicationException($"Rank {worldRanks[rank]} was ended in {call}: {cause.Message}", cause);
        }
    }
}
