using System;
using System.Linq;
using System.Runtime.InteropServices;
using Dho2.Numerics;
using TorchSharp;

namespace Dho2.Communication.Mpi;

/// <content>
/// Collectives. Each begins with a meeting: every rank tells every other, in one small message, which call it makes. Who
/// has not come is thus known, different calls are refused, and a few numbers are added up on the way.
/// </content>
internal sealed unsafe partial class MpiCommunicator
{
    private const int PacketHead = 32;
    private const int MaxNumbers = 60;
    private const int PacketSize = PacketHead + (MaxNumbers * sizeof(double));

    private readonly byte* meetingBuffers;
    private readonly IntPtr* meetingRequests;
    private torch.Tensor? scratch;

    public void AllReduce(Span<double> values, Reduction reduction = Reduction.Sum)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
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
            if (!deterministic && NativeType(flat.dtype) is { } type)
            {
                NativeAllReduce(flat, type, reduction);
            }
            else
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
            byte* address = HostRows.Address(flat);
            long bytes = BytesOf(flat);
            for (long offset = 0; offset < bytes; offset += PieceBytes)
            {
                RunCollective((Address: (IntPtr)(address + offset), Count: (int)Math.Min(PieceBytes, bytes - offset), Root: root, Communicator: communicator), static (mpi, s, request) =>
                    mpi.Ibcast((void*)s.Address, s.Count, mpi.Byte, s.Root, s.Communicator, (IntPtr*)request), CallKind.Broadcast);
            }
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
            using torch.Tensor sum = SumOfSegments(flat, other => (other * length, length), Reduction.Sum, CallKind.ReduceScatter);
            result.copy_(sum);
        }, copyBack: false);
        BytesSent += (Size - 1) * BytesOf(result);
    }

    public void Barrier()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        Meet(new(CallKind.Barrier, 0, default, 0), []);
    }

    /// <summary>Waits until all ranks have come here to leave.</summary>
    public void MeetToLeave() => Meet(new(CallKind.Finish, 0, default, 0), []);

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

        int bytes = PacketHead + (numbers.Length * sizeof(double));
        runtime.Call((Me: Rank, Size, Buffers: (IntPtr)meetingBuffers, Requests: (IntPtr)meetingRequests, Communicator: communicator, Bytes: bytes), static (mpi, s) =>
        {
            IntPtr* requests = (IntPtr*)s.Requests;
            byte* buffers = (byte*)s.Buffers;
            requests[s.Me] = requests[s.Size + s.Me] = IntPtr.Zero;
            for (int other = 0; other < s.Size; other++)
            {
                if (other != s.Me)
                {
                    MpiRuntime.Check(mpi, mpi.Irecv(buffers + (other * PacketSize), PacketSize, mpi.Byte, other, MeetingTag, s.Communicator, requests + other), "MPI_Irecv");
                }
            }

            for (int i = 1; i < s.Size; i++)
            {
                // Each rank begins with its next neighbour, so that not all speak to the same one first.
                int other = (s.Me + i) % s.Size;
                MpiRuntime.Check(
                    mpi, mpi.Isend(buffers + (s.Me * PacketSize), s.Bytes, mpi.Byte, other, MeetingTag, s.Communicator, requests + s.Size + other), "MPI_Isend");
            }

            return 0;
        });
        try
        {
            Await(meetingRequests, 2 * Size, signature.Kind, -1);
        }
        catch (CommunicationException)
        {
            _ = TryCancel(meetingRequests, Size);
            throw;
        }

        for (int other = 0; other < Size; other++)
        {
            CallSignature theirs = ReadSignature(meetingBuffers + (other * PacketSize));
            if (theirs != signature)
            {
                var mismatch = new CommunicationException(
                    $"Rank {worldRanks[Rank]} calls {signature} while rank {worldRanks[other]} calls {theirs}: all ranks of a group must make the same collective calls in the same order.");
                failure.Raise(mismatch);
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
        ObjectDisposedException.ThrowIf(disposed, this);
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

    private IntPtr? NativeType(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Float32 => runtime.Mpi.Float32,
        torch.ScalarType.Float64 => runtime.Mpi.Float64,
        torch.ScalarType.Int32 => runtime.Mpi.Int32,
        torch.ScalarType.Int64 => runtime.Mpi.Int64,
        _ => null,
    };

    private void NativeAllReduce(torch.Tensor flat, IntPtr type, Reduction reduction)
    {
        byte* address = HostRows.Address(flat);
        long elementSize = flat.element_size();
        long most = PieceBytes / elementSize;
        for (long first = 0; first < flat.numel(); first += most)
        {
            RunCollective(
                (Address: (IntPtr)(address + (first * elementSize)), Count: (int)Math.Min(most, flat.numel() - first), Type: type, Sum: reduction == Reduction.Sum, Communicator: communicator),
                static (mpi, s, request) => mpi.Iallreduce(
                    (void*)mpi.InPlace, (void*)s.Address, s.Count, s.Type, s.Sum ? mpi.Sum : mpi.Max, s.Communicator, (IntPtr*)request),
                CallKind.AllReduce);
        }
    }

    private void RunCollective<TState>(TState state, Func<MpiLibrary, TState, IntPtr, int> start, CallKind kind)
    {
        IntPtr* request = (IntPtr*)NativeMemory.AllocZeroed((nuint)sizeof(IntPtr));
        runtime.Call((State: state, Start: start, Request: (IntPtr)request, Kind: kind), static (mpi, s) =>
        {
            MpiRuntime.Check(mpi, s.Start(mpi, s.State, s.Request), s.Kind.ToString());
            return 0;
        });
        Await(request, 1, kind, -2);
        NativeMemory.Free(request);
    }

    /// <summary>
    /// Adds up in the order of ranks, as ranks in one process do: each rank its own segment, which it then hands to all.
    /// </summary>
    private void OrderedAllReduce(torch.Tensor flat, Reduction reduction)
    {
        (long Start, long Length) Segment(int rank)
        {
            long start = flat.numel() * rank / Size;
            return (start, (flat.numel() * (rank + 1) / Size) - start);
        }

        (long myStart, long myLength) = Segment(Rank);
        using (torch.Tensor sum = SumOfSegments(flat, Segment, reduction, CallKind.AllReduce))
        using (torch.Tensor mine = flat.narrow(0, myStart, myLength))
        {
            mine.copy_(sum);
        }

        byte* address = HostRows.Address(flat);
        long elementSize = flat.element_size();
        Exchange(
            CallKind.AllReduce,
            _ => ((IntPtr)(address + (myStart * elementSize)), myLength * elementSize),
            other => ((IntPtr)(address + (Segment(other).Start * elementSize)), Segment(other).Length * elementSize));
    }

    /// <summary>This rank's segment, reduced over all ranks in their order; a tensor of the caller's.</summary>
    private torch.Tensor SumOfSegments(torch.Tensor flat, Func<int, (long Start, long Length)> segment, Reduction reduction, CallKind kind)
    {
        (long start, long length) = segment(Rank);
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
        torch.Tensor mine = flat.narrow(0, start, length);
        torch.Tensor Share(int rank) => rank == Rank ? mine : rows.select(0, rank);
        torch.Tensor sum = Rank == 0 ? rows.select(0, 0).copy_(mine) : rows.select(0, 0);
        for (int other = 1; other < Size; other++)
        {
            if (reduction == Reduction.Sum)
            {
                sum.add_(Share(other));
            }
            else
            {
                sum.copy_(torch.maximum(sum, Share(other)));
            }
        }

        return sum.MoveToOuterDisposeScope();
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

    /// <summary>Sends a run of bytes to every other rank and receives one from each.</summary>
    private void Exchange(CallKind kind, Func<int, (IntPtr Address, long Bytes)> outgoing, Func<int, (IntPtr Address, long Bytes)> incoming)
    {
        if (Size == 1)
        {
            return;
        }

        int pieces = Enumerable.Range(0, Size).Max(other => Math.Max(Pieces(outgoing(other).Bytes), Pieces(incoming(other).Bytes)));

        // Request i is of rank i modulo the size, which is what names those that are awaited.
        int count = 2 * pieces * Size;
        IntPtr* requests = (IntPtr*)NativeMemory.AllocZeroed((nuint)(Math.Max(1, count) * sizeof(IntPtr)));
        runtime.Call((Self: this, Requests: (IntPtr)requests, Pieces: pieces, Outgoing: outgoing, Incoming: incoming), static (mpi, s) =>
        {
            IntPtr* requests = (IntPtr*)s.Requests;
            MpiCommunicator self = s.Self;
            for (int i = 1; i < self.Size; i++)
            {
                int from = (self.Rank + self.Size - i) % self.Size;
                (IntPtr address, long bytes) = s.Incoming(from);
                int piece = 0;
                for (long offset = 0; offset < bytes; offset += PieceBytes, piece++)
                {
                    MpiRuntime.Check(
                        mpi,
                        mpi.Irecv((byte*)address + offset, (int)Math.Min(PieceBytes, bytes - offset), mpi.Byte, from, DataTag, self.communicator, requests + (piece * self.Size) + from),
                        "MPI_Irecv");
                }
            }

            for (int i = 1; i < self.Size; i++)
            {
                int to = (self.Rank + i) % self.Size;
                (IntPtr address, long bytes) = s.Outgoing(to);
                int piece = s.Pieces;
                for (long offset = 0; offset < bytes; offset += PieceBytes, piece++)
                {
                    MpiRuntime.Check(
                        mpi,
                        mpi.Isend((byte*)address + offset, (int)Math.Min(PieceBytes, bytes - offset), mpi.Byte, to, DataTag, self.communicator, requests + (piece * self.Size) + to),
                        "MPI_Isend");
                }
            }

            return 0;
        });

        // After a failure the requests are given up with the run, and so is the memory that MPI may still write to.
        Await(requests, count, kind, -1);
        NativeMemory.Free(requests);
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
