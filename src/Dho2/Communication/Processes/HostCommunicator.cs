using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using Dho2.Numerics;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>
/// One rank of a group whose ranks are processes. Collectives begin with a meeting: every rank tells every other, in one
/// small message, which call it makes. Who has not come is thus known, different calls are refused, and a few numbers are
/// added up on the way. Works on host memory; a tensor elsewhere is copied there and back.
/// </summary>
internal abstract unsafe class HostCommunicator : ICommunicator
{
    private const int PacketHead = 32;
    private const int MaxNumbers = 60;

    /// <summary>
    /// What a rank brings together from all ranks to add it up: what stays in a processor's cache until it goes on, and no less,
    /// because each time the ranks wait for one another costs tens of microseconds.
    /// </summary>
    private const long GatheredBytes = 1 << 22;

    /// <summary>The least of it from each of many ranks.</summary>
    private const long LeastSegmentBytes = 1 << 19;

    /// <summary>The most bytes of a rank's message at a meeting.</summary>
    protected const int PacketSize = PacketHead + (MaxNumbers * sizeof(double));

    private readonly byte* meetingBuffers;
    private torch.Tensor? scratch;

    protected HostCommunicator(ProcessWorld world, HostRuntime runtime, GroupFailure failure, int[] worldRanks, int rank, TimeSpan timeout)
    {
        World = world;
        Host = runtime;
        Failure = failure;
        WorldRanks = worldRanks;
        Rank = rank;
        Size = worldRanks.Length;
        Timeout = timeout;
        meetingBuffers = (byte*)NativeMemory.AllocZeroed((nuint)(PacketSize * Size));
    }

    public int Rank { get; }

    public int Size { get; }

    public TimeSpan Timeout { get; }

    public RankActivity Activity => World.Activity;

    public CancellationToken Aborted => Failure.Raised;

    public long BytesSent { get; protected set; }

    /// <summary>The ranks of this group, in the world.</summary>
    protected int[] WorldRanks { get; }

    /// <summary>The world.</summary>
    protected ProcessWorld World { get; }

    /// <summary>The connections.</summary>
    protected HostRuntime Host { get; }

    /// <summary>The failure that ends every wait of this group.</summary>
    protected GroupFailure Failure { get; }

    /// <summary>Whether the group was disposed.</summary>
    protected bool IsDisposed { get; private set; }

    public abstract void Send(torch.Tensor tensor, int destination);

    public abstract torch.Tensor Receive(int source);

    public ICommunicator Split(int color, int key) => Split(color, key, Failure, Timeout);

    /// <summary>The same ranks again, with a failure and a timeout of their own.</summary>
    public HostCommunicator Reopen(int group, TimeSpan timeout) => Split(0, Rank, Host.FailureOf(group), timeout);

    public void Abort(Exception cause)
    {
        ArgumentNullException.ThrowIfNull(cause);
        Failure.Raise(cause);
    }

    public void Dispose()
    {
        if (IsDisposed)
        {
            return;
        }

        IsDisposed = true;
        scratch?.Dispose();

        // After a failure a transport may still have something to do with the memory.
        if (Failure.Cause is null && !World.HasEnded)
        {
            Release();
            NativeMemory.Free(meetingBuffers);
        }
    }

    public void AllReduce(Span<double> values, Reduction reduction = Reduction.Sum)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        var signature = new CallSignature(CallKind.AllReduceNumbers, values.Length, torch.ScalarType.Float64, (int)reduction);
        if (values.Length <= MaxNumbers)
        {
            Meet(signature, values);
            NumbersOf(0)[..values.Length].CopyTo(values);
            for (int other = 1; other < Size; other++)
            {
                Combine(values, NumbersOf(other), reduction);
            }
        }
        else
        {
            Meet(signature, []);
            ReduceManyNumbers(values, reduction);
        }

        BytesSent += 2 * (Size - 1) * (long)values.Length * sizeof(double) / Size;
    }

    public void AllReduce(torch.Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        Collect(CallKind.AllReduce, tensor, (int)reduction, flat =>
        {
            if (World.DeterministicReductions || !TryNativeAllReduce(flat, reduction))
            {
                OrderedAllReduce(flat, reduction);
            }
        });
        BytesSent += 2 * (Size - 1) * BytesOf(tensor) / Size;
    }

    public void Broadcast(torch.Tensor tensor, int root)
    {
        CheckPeer(root, nameof(root));
        Collect(CallKind.Broadcast, tensor, root, flat =>
        {
            BroadcastBytes((IntPtr)HostRows.Address(flat), BytesOf(flat), root);
        });
        BytesSent += Rank == root ? (Size - 1) * BytesOf(tensor) : 0;
    }

    public void AllGather(torch.Tensor result, torch.Tensor tensor)
    {
        CheckShare(result, tensor);
        Collect(CallKind.AllGather, tensor, 0, flat =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor whole = result.device_type == DeviceType.CPU ? result : torch.empty_like(result, device: torch.CPU);
            long bytes = BytesOf(flat);
            byte* gathered = HostRows.Address(whole);
            byte* mine = HostRows.Address(flat);
            Buffer.MemoryCopy(mine, gathered + (Rank * bytes), bytes, bytes);
            Exchange(CallKind.AllGather, _ => ((IntPtr)mine, bytes), other => ((IntPtr)(gathered + (other * bytes)), bytes));
            if (!ReferenceEquals(whole, result))
            {
                result.copy_(whole);
            }
        });
        BytesSent += (Size - 1) * BytesOf(tensor);
    }

    public void ReduceScatter(torch.Tensor result, torch.Tensor tensor)
    {
        CheckShare(tensor, result);
        Collect(CallKind.ReduceScatter, tensor, 0, flat =>
        {
            long length = result.numel();
            torch.Tensor sum = result.device_type == DeviceType.CPU ? result : torch.empty(length, result.dtype);

            // The result may be this rank's share of its own tensor; then this does nothing.
            sum.copy_(flat.narrow(0, Rank * length, length));
            SumSegments(flat, sum, other => (other * length, length), Reduction.Sum, CallKind.ReduceScatter);
            if (!ReferenceEquals(sum, result))
            {
                result.copy_(sum);
            }
        }, copyBack: false);
        BytesSent += (Size - 1) * BytesOf(result);
    }

    public void Barrier()
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        Meet(new(CallKind.Barrier, 0, default, 0), []);
    }

    /// <summary>Waits until all ranks have come here to leave.</summary>
    public void MeetToLeave() => Meet(new(CallKind.Finish, 0, default, 0), []);

    /// <summary>Sends this rank's packet to all others and receives theirs, each at its rank's place.</summary>
    /// <param name="buffers">One packet of <see cref="PacketSize"/> bytes for each rank.</param>
    /// <param name="bytes">The bytes in use of this rank's own.</param>
    /// <param name="kind">The call, for messages.</param>
    protected abstract void ExchangePackets(IntPtr buffers, int bytes, CallKind kind);

    /// <summary>Sends a run of bytes to every other rank and receives one from each.</summary>
    protected abstract void Exchange(CallKind kind, Func<int, (IntPtr Address, long Bytes)> outgoing, Func<int, (IntPtr Address, long Bytes)> incoming);

    /// <summary>Makes a group of some of this group's ranks, all of which are here.</summary>
    /// <param name="color">What its ranks have in common.</param>
    /// <param name="members">Its ranks in this group, in their new order.</param>
    /// <param name="failure">The failure that ends its waits.</param>
    /// <param name="timeout">How long its calls may wait.</param>
    protected abstract HostCommunicator Create(int color, int[] members, GroupFailure failure, TimeSpan timeout);

    /// <summary>Lets go of what the transport keeps for this group.</summary>
    protected abstract void Release();

    /// <summary>Reduces by the transport's own means, in its own order; false if it has none for the type.</summary>
    protected virtual bool TryNativeAllReduce(torch.Tensor flat, Reduction reduction) => false;

    /// <summary>Replaces bytes on every rank by the root's.</summary>
    protected virtual void BroadcastBytes(IntPtr address, long bytes, int root) => Exchange(
        CallKind.Broadcast, _ => (address, Rank == root ? bytes : 0), other => (address, other == root ? bytes : 0));

    /// <summary>The bytes of a tensor's elements.</summary>
    protected static long BytesOf(torch.Tensor tensor) => tensor.numel() * tensor.element_size();

    /// <summary>Refuses a rank that the group does not have.</summary>
    protected void CheckPeer(int peer, string parameter)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (peer < 0 || peer >= Size)
        {
            throw new ArgumentOutOfRangeException(parameter, peer, $"Ranks of this group are 0 to {Size - 1}.");
        }
    }

    /// <summary>Ends the wait if whoever is awaited has died or left, or the time is over.</summary>
    /// <param name="missing">The awaited ranks of the world.</param>
    /// <param name="kind">The call.</param>
    /// <param name="waited">How long it has waited.</param>
    protected void LookAfter(int[] missing, CallKind kind, TimeSpan waited)
    {
        string what;
        if (missing.Where(World.HasDied).ToArray() is { Length: > 0 } dead)
        {
            what = $"{Names(dead)}, whose process has ended without a word: it was killed or has crashed.";
            missing = dead;
        }
        else if (missing.Where(Host.HasBroken).ToArray() is { Length: > 0 } broken)
        {
            what = $"{Names(broken)}, whose connection has broken: its process has ended, or its machine is out of reach.";
            missing = broken;
        }
        else if (missing.Where(Host.HasLeft).ToArray() is { Length: > 0 } left)
        {
            what = $"{Names(left)}, which has left the world: its program has ended this part of its work.";
            missing = left;
        }
        else if (waited > Timeout)
        {
            what = $"{Names(missing)}, which did not come within the timeout of {Timeout.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture)} s.";
        }
        else
        {
            World.NoteWait(kind, missing, waited);
            return;
        }

        var raised = new CommunicationException($"Rank {WorldRanks[Rank]} waited {Seconds(waited)} s in {kind} for {what}") { Awaited = missing };
        Failure.Raise(raised);
        if (Failure.Cause == raised)
        {
            throw raised;
        }

        ThrowIfFailed($"{kind}, after waiting {Seconds(waited)} s");
    }

    /// <summary>Throws if the group was aborted.</summary>
    protected void ThrowIfFailed(string call)
    {
        switch (Failure.Cause)
        {
            case null:
                return;
            case RemoteRankException remote:
                throw new CommunicationException($"Rank {WorldRanks[Rank]} was ended in {call} by rank {remote.Rank}: {remote.Message}", remote);
            case { } cause:
                throw new CommunicationException($"Rank {WorldRanks[Rank]} was ended in {call}: {cause.Message}", cause);
        }
    }

    /// <summary>Seconds as messages give them.</summary>
    protected static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("F1", CultureInfo.InvariantCulture);

    /// <summary>Ranks of the world as messages name them.</summary>
    internal static string Names(IEnumerable<int> ranks) => string.Join(", ", ranks.Select(r => $"rank {r}"));

    private HostCommunicator Split(int color, int key, GroupFailure failure, TimeSpan timeout)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        Meet(new(CallKind.Split, 2, torch.ScalarType.Float64, 0), [color, key]);
        int[] members = [.. Enumerable.Range(0, Size)
            .Where(r => (int)NumbersOf(r)[0] == color)
            .OrderBy(r => NumbersOf(r)[1])
            .ThenBy(r => r)];
        return Create(color, members, failure, timeout);
    }

    private static void Combine(Span<double> values, ReadOnlySpan<double> numbers, Reduction reduction)
    {
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = reduction == Reduction.Sum ? values[i] + numbers[i] : Math.Max(values[i], numbers[i]);
        }
    }

    /// <summary>Tells all ranks which call this one makes, with a few numbers, and hears the same from them.</summary>
    private void Meet(CallSignature signature, ReadOnlySpan<double> numbers)
    {
        ThrowIfFailed(signature.Kind.ToString());
        byte* mine = meetingBuffers + (Rank * PacketSize);
        WriteSignature(mine, signature);
        numbers.CopyTo(new Span<double>(mine + PacketHead, MaxNumbers));
        if (Size == 1)
        {
            return;
        }

        ExchangePackets((IntPtr)meetingBuffers, PacketHead + (numbers.Length * sizeof(double)), signature.Kind);
        for (int other = 0; other < Size; other++)
        {
            CallSignature theirs = ReadSignature(meetingBuffers + (other * PacketSize));
            if (theirs != signature)
            {
                var mismatch = new CommunicationException(
                    $"Rank {WorldRanks[Rank]} calls {signature} while rank {WorldRanks[other]} calls {theirs}: all ranks of a group must make the same collective calls in the same order.");
                Failure.Raise(mismatch);
                throw mismatch;
            }
        }
    }

    private Span<double> NumbersOf(int rank) => new(meetingBuffers + (rank * PacketSize) + PacketHead, MaxNumbers);

    private static void WriteSignature(byte* packet, CallSignature signature)
    {
        *(int*)packet = (int)signature.Kind;
        *(int*)(packet + 4) = (int)signature.Type;
        *(long*)(packet + 8) = signature.Count;
        *(int*)(packet + 16) = signature.Detail;
    }

    private static CallSignature ReadSignature(byte* packet) =>
        new((CallKind)(*(int*)packet), *(long*)(packet + 8), (torch.ScalarType)(*(int*)(packet + 4)), *(int*)(packet + 16));

    /// <summary>Brings a tensor to a meeting and works on its elements in host memory.</summary>
    private void Collect(CallKind kind, torch.Tensor tensor, int detail, Action<torch.Tensor> work, bool copyBack = true)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (!tensor.is_contiguous())
        {
            throw new ArgumentException($"{kind} needs a contiguous tensor.", nameof(tensor));
        }

        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        Meet(new(kind, tensor.numel(), tensor.dtype, detail), []);
        if (tensor.numel() == 0)
        {
            return;
        }

        torch.Tensor flat = tensor.detach().view(-1);
        torch.Tensor host = flat.cpu();
        work(host);
        if (copyBack && flat.device_type != DeviceType.CPU)
        {
            flat.copy_(host);
        }
    }

    /// <summary>
    /// Adds up in the order of ranks, as ranks in one process do: each rank its own segment, which it then hands to all. Long
    /// tensors go in pieces, so that what comes is added and goes on while it is in the processor's cache.
    /// </summary>
    private void OrderedAllReduce(torch.Tensor flat, Reduction reduction)
    {
        long elementSize = flat.element_size();
        long most = Size * Math.Max(LeastSegmentBytes, GatheredBytes / Size) / elementSize;
        for (long first = 0; first < flat.numel(); first += most)
        {
            long count = Math.Min(most, flat.numel() - first);
            using torch.Tensor piece = flat.narrow(0, first, count);
            (long Start, long Length) Segment(int rank)
            {
                long start = count * rank / Size;
                return (start, (count * (rank + 1) / Size) - start);
            }

            (long myStart, long myLength) = Segment(Rank);
            using (torch.Tensor mine = piece.narrow(0, myStart, myLength))
            {
                SumSegments(piece, mine, Segment, reduction, CallKind.AllReduce);
            }

            byte* address = HostRows.Address(piece);
            Exchange(
                CallKind.AllReduce,
                _ => ((IntPtr)(address + (myStart * elementSize)), myLength * elementSize),
                other => ((IntPtr)(address + (Segment(other).Start * elementSize)), Segment(other).Length * elementSize));
        }
    }

    /// <summary>Reduces this rank's segment over all ranks, in their order.</summary>
    /// <param name="flat">This rank's tensor, of which each rank gets its segment.</param>
    /// <param name="mine">Where this rank's own segment goes; before, its own part of it.</param>
    /// <param name="segment">The segments.</param>
    /// <param name="reduction">How elements become one.</param>
    /// <param name="kind">The call, for messages.</param>
    private void SumSegments(torch.Tensor flat, torch.Tensor mine, Func<int, (long Start, long Length)> segment, Reduction reduction, CallKind kind)
    {
        long length = mine.numel();
        long elementSize = flat.element_size();
        torch.Tensor brought = Scratch(Math.Max(1, length * Size), flat.dtype);
        byte* address = HostRows.Address(flat);
        byte* others = HostRows.Address(brought);
        Exchange(
            kind,
            other => ((IntPtr)(address + (segment(other).Start * elementSize)), segment(other).Length * elementSize),
            other => ((IntPtr)(others + (other * length * elementSize)), length * elementSize));
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor rows = brought.narrow(0, 0, length * Size).view(Size, length);

        // A sum of two does not depend on which comes first: what comes before this rank's own part is added up apart, and then
        // to it; what comes after, to it at once.
        torch.Tensor? before = null;
        for (int other = 0; other < Size; other++)
        {
            if (other == Rank)
            {
                Combine(mine, before, reduction);
                before = null;
            }
            else if (other > Rank)
            {
                Combine(mine, rows.select(0, other), reduction);
            }
            else if (before is null)
            {
                before = rows.select(0, other);
            }
            else
            {
                Combine(before, rows.select(0, other), reduction);
            }
        }
    }

    private static void Combine(torch.Tensor sum, torch.Tensor? part, Reduction reduction)
    {
        if (part is null)
        {
            return;
        }

        if (reduction == Reduction.Sum)
        {
            sum.Increase(part);
        }
        else
        {
            sum.copy_(torch.maximum(sum, part));
        }
    }

    private torch.Tensor Scratch(long elements, torch.ScalarType type)
    {
        if (scratch is null || scratch.numel() < elements || scratch.dtype != type)
        {
            scratch?.Dispose();
            scratch = torch.empty(elements, type).DetachFromDisposeScope();
        }

        return scratch;
    }

    private void ReduceManyNumbers(Span<double> values, Reduction reduction)
    {
        double[] gathered = new double[(long)Size * values.Length];
        double[] own = values.ToArray();
        fixed (double* all = gathered)
        fixed (double* mine = own)
        {
            IntPtr to = (IntPtr)all;
            IntPtr from = (IntPtr)mine;
            long bytes = (long)own.Length * sizeof(double);
            own.CopyTo(gathered, (long)Rank * own.Length);
            Exchange(CallKind.AllReduceNumbers, _ => (from, bytes), other => (to + (nint)(other * bytes), bytes));
        }

        gathered.AsSpan(0, values.Length).CopyTo(values);
        for (int other = 1; other < Size; other++)
        {
            Combine(values, gathered.AsSpan(other * values.Length, values.Length), reduction);
        }
    }

    private void CheckShare(torch.Tensor whole, torch.Tensor share)
    {
        if (whole.dim() != 1 || share.dim() != 1 || whole.numel() != share.numel() * Size || whole.dtype != share.dtype)
        {
            throw new ArgumentException(
                $"{Size} shares of {share.numel()} x {share.dtype} do not make {whole.numel()} x {whole.dtype} (both one-dimensional).");
        }
    }
}
