using System;
using System.Diagnostics;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using Dho2.Numerics;
using TorchSharp;

namespace Dho2.Communication.Mpi;

/// <summary>
/// One rank of a group whose ranks are processes that talk over MPI. Nothing here blocks inside MPI: all calls are
/// non-blocking and then tested, so that timeout, abort and the death of a peer end every wait.
/// </summary>
internal sealed unsafe class MpiCommunicator : HostCommunicator
{
    private const int HeaderTag = 1;
    private const int PayloadTag = 2;
    private const int MeetingTag = 3;
    private const int DataTag = 4;

    /// <summary>Tensors up to this many bytes travel in one message with their header.</summary>
    private const int InlineBytes = 4096;

    /// <summary>Larger ones in pieces: MPI counts in 32 bits.</summary>
    private const long PieceBytes = 1L << 30;

    /// <summary>Larger tensors are reduced here, by exchanging segments.</summary>
    private const long MostNativeBytes = 1 << 18;

    /// <summary>How long a rank that waits asks again and again, before it sleeps between two questions, where others want its core.</summary>
    private static readonly TimeSpan EagerTime = TimeSpan.FromMilliseconds(1);

    /// <summary>The same where every rank of the machine has a core.</summary>
    private static readonly TimeSpan EagerTimeOfOwnCore = TimeSpan.FromMilliseconds(20);

    /// <summary>Bytes a second that are always reached where bytes move at all between two ranks that both attend to it.</summary>
    private const double SlowestLink = 1e8;

    private readonly MpiRuntime runtime;
    private readonly IntPtr communicator;
    private readonly IntPtr* meetingRequests;
    private byte* headerBuffer;
    private IntPtr* headerRequest;

    public MpiCommunicator(ProcessWorld world, MpiRuntime runtime, GroupFailure failure, IntPtr communicator, int[] worldRanks, int rank, TimeSpan timeout)
        : base(world, runtime, failure, worldRanks, rank, timeout)
    {
        this.communicator = communicator;
        this.runtime = runtime;
        headerBuffer = (byte*)NativeMemory.Alloc(TensorHeader.Size + InlineBytes);
        headerRequest = (IntPtr*)NativeMemory.AllocZeroed((nuint)sizeof(IntPtr));
        meetingRequests = (IntPtr*)NativeMemory.AllocZeroed((nuint)(2 * Size * sizeof(IntPtr)));
        runtime.Call(communicator, static (mpi, c) => mpi.CommSetErrhandler(c, mpi.ErrorsReturn));
    }

    public override void Send(torch.Tensor tensor, int destination)
    {
        CheckPeer(destination, nameof(destination));
        ThrowIfFailed("Send");
        torch.Tensor kept;
        using (DisposeScope scope = torch.NewDisposeScope())
        using (torch.no_grad())
        {
            kept = tensor.detach().cpu().contiguous().DetachFromDisposeScope();
        }

        long bytes = BytesOf(kept);
        bool inline = bytes <= InlineBytes;
        int pieces = inline ? 0 : Pieces(bytes);
        byte* header = (byte*)NativeMemory.Alloc((nuint)(TensorHeader.Size + (inline ? bytes : 0)));
        IntPtr* requests = (IntPtr*)NativeMemory.AllocZeroed((nuint)((pieces + 1) * sizeof(IntPtr)));
        TensorHeader.Write(header, kept);
        byte* payload = bytes == 0 ? null : HostRows.Address(kept);
        if (inline)
        {
            Buffer.MemoryCopy(payload, header + TensorHeader.Size, bytes, bytes);
            kept.Dispose();
        }

        runtime.Call(
            (Runtime: runtime, Communicator: communicator, Destination: destination, Header: (IntPtr)header, Payload: (IntPtr)payload, Bytes: bytes, Requests: (IntPtr)requests, Inline: inline, Kept: kept),
            static (mpi, s) =>
            {
                IntPtr* requests = (IntPtr*)s.Requests;
                int length = TensorHeader.Size + (s.Inline ? (int)s.Bytes : 0);
                MpiRuntime.Check(mpi, mpi.Isend((void*)s.Header, length, mpi.Byte, s.Destination, HeaderTag, s.Communicator, requests), "MPI_Isend");
                int count = 1;
                for (long offset = 0; !s.Inline && offset < s.Bytes; offset += PieceBytes)
                {
                    int piece = (int)Math.Min(PieceBytes, s.Bytes - offset);
                    MpiRuntime.Check(
                        mpi, mpi.Isend((byte*)s.Payload + offset, piece, mpi.Byte, s.Destination, PayloadTag, s.Communicator, requests + count++), "MPI_Isend");
                }

                s.Runtime.Keep(requests, count, (void*)s.Header, s.Inline ? null : s.Kept);
                return 0;
            });
        BytesSent += bytes;
    }

    public override torch.Tensor Receive(int source)
    {
        CheckPeer(source, nameof(source));
        ThrowIfFailed("Receive");
        runtime.Call((Header: (IntPtr)headerBuffer, Request: (IntPtr)headerRequest, Source: source, Communicator: communicator), static (mpi, s) =>
        {
            MpiRuntime.Check(
                mpi, mpi.Irecv((void*)s.Header, TensorHeader.Size + InlineBytes, mpi.Byte, s.Source, HeaderTag, s.Communicator, (IntPtr*)s.Request), "MPI_Irecv");
            return 0;
        });
        try
        {
            Await(headerRequest, 1, CallKind.Receive, source);
        }
        catch (CommunicationException)
        {
            // MPI may still write there.
            if (!TryCancel(headerRequest, 1))
            {
                headerBuffer = (byte*)NativeMemory.Alloc(TensorHeader.Size + InlineBytes);
                headerRequest = (IntPtr*)NativeMemory.AllocZeroed((nuint)sizeof(IntPtr));
            }

            throw;
        }

        (torch.ScalarType type, long[] shape, long bytes) = TensorHeader.Read(headerBuffer);
        torch.Tensor result = ReceiveMemory.Empty(shape, type, bytes);
        if (bytes is > 0 and <= InlineBytes)
        {
            Buffer.MemoryCopy(headerBuffer + TensorHeader.Size, HostRows.Address(result), bytes, bytes);
        }
        else if (bytes > 0)
        {
            ReceivePayload(result, source, bytes);
        }

        return result;
    }

    protected override HostCommunicator Create(int color, int[] members, GroupFailure failure, TimeSpan timeout)
    {
        // All ranks are here: they make the new communicator without a wait that could last.
        IntPtr made;
        using (World.Guard(Timeout, "MPI_Comm_split"))
        {
            made = runtime.Call((Communicator: communicator, Color: color, Key: Array.IndexOf(members, Rank)), static (mpi, s) =>
            {
                IntPtr result = IntPtr.Zero;
                MpiRuntime.Check(mpi, mpi.CommSplit(s.Communicator, s.Color & int.MaxValue, s.Key, &result), "MPI_Comm_split");
                return result;
            });
        }

        return new MpiCommunicator(World, runtime, failure, made, [.. members.Select(m => WorldRanks[m])], Array.IndexOf(members, Rank), timeout);
    }

    protected override void Release()
    {
        runtime.Call(communicator, static (mpi, c) => mpi.CommFree(&c));
        NativeMemory.Free(headerBuffer);
        NativeMemory.Free(headerRequest);
        NativeMemory.Free(meetingRequests);
    }

    protected override void ExchangePackets(IntPtr buffers, int bytes, CallKind kind)
    {
        runtime.Call((Me: Rank, Size, Buffers: buffers, Requests: (IntPtr)meetingRequests, Communicator: communicator, Bytes: bytes), static (mpi, s) =>
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
            Await(meetingRequests, 2 * Size, kind, -1);
        }
        catch (CommunicationException)
        {
            _ = TryCancel(meetingRequests, Size);
            throw;
        }
    }

    protected override bool TryNativeAllReduce(torch.Tensor flat, Reduction reduction)
    {
        // The libraries' non-blocking reductions are slower than their blocking ones, and beyond this slower than ours.
        if (BytesOf(flat) > MostNativeBytes)
        {
            return false;
        }

        IntPtr? type = flat.dtype switch
        {
            torch.ScalarType.Float32 => runtime.Mpi.Float32,
            torch.ScalarType.Float64 => runtime.Mpi.Float64,
            torch.ScalarType.Int32 => runtime.Mpi.Int32,
            torch.ScalarType.Int64 => runtime.Mpi.Int64,
            _ => null,
        };
        if (type is not { } native)
        {
            return false;
        }

        RunCollective(
            (Address: (IntPtr)HostRows.Address(flat), Count: (int)flat.numel(), Type: native, Sum: reduction == Reduction.Sum, Communicator: communicator),
            static (mpi, s, request) => mpi.Iallreduce(
                (void*)mpi.InPlace, (void*)s.Address, s.Count, s.Type, s.Sum ? mpi.Sum : mpi.Max, s.Communicator, (IntPtr*)request),
            CallKind.AllReduce,
            BytesOf(flat));
        return true;
    }

    protected override void BroadcastBytes(IntPtr address, long bytes, int root)
    {
        for (long offset = 0; offset < bytes; offset += PieceBytes)
        {
            RunCollective(
                (Address: address + (nint)offset, Count: (int)Math.Min(PieceBytes, bytes - offset), Root: root, Communicator: communicator),
                static (mpi, s, request) => mpi.Ibcast((void*)s.Address, s.Count, mpi.Byte, s.Root, s.Communicator, (IntPtr*)request),
                CallKind.Broadcast,
                bytes);
        }
    }

    protected override void Exchange(CallKind kind, Func<int, (IntPtr Address, long Bytes)> outgoing, Func<int, (IntPtr Address, long Bytes)> incoming)
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
        Await(requests, count, kind, -1, Enumerable.Range(0, Size).Sum(other => outgoing(other).Bytes + incoming(other).Bytes));
        NativeMemory.Free(requests);
    }

    private void RunCollective<TState>(TState state, Func<MpiLibrary, TState, IntPtr, int> start, CallKind kind, long bytes)
    {
        IntPtr* request = (IntPtr*)NativeMemory.AllocZeroed((nuint)sizeof(IntPtr));
        runtime.Call((State: state, Start: start, Request: (IntPtr)request, Kind: kind), static (mpi, s) =>
        {
            MpiRuntime.Check(mpi, s.Start(mpi, s.State, s.Request), s.Kind.ToString());
            return 0;
        });
        Await(request, 1, kind, -2, bytes);
        NativeMemory.Free(request);
    }

    private static int Pieces(long bytes) => checked((int)((bytes + PieceBytes - 1) / PieceBytes));

    private void ReceivePayload(torch.Tensor result, int source, long bytes)
    {
        int pieces = Pieces(bytes);
        IntPtr* requests = (IntPtr*)NativeMemory.AllocZeroed((nuint)(pieces * sizeof(IntPtr)));
        runtime.Call((Address: (IntPtr)HostRows.Address(result), Bytes: bytes, Requests: (IntPtr)requests, Source: source, Communicator: communicator), static (mpi, s) =>
        {
            int count = 0;
            for (long offset = 0; offset < s.Bytes; offset += PieceBytes)
            {
                int piece = (int)Math.Min(PieceBytes, s.Bytes - offset);
                MpiRuntime.Check(
                    mpi, mpi.Irecv((byte*)s.Address + offset, piece, mpi.Byte, s.Source, PayloadTag, s.Communicator, (IntPtr*)s.Requests + count++), "MPI_Irecv");
            }

            return 0;
        });
        try
        {
            Await(requests, pieces, CallKind.Receive, source, bytes);
            NativeMemory.Free(requests);
        }
        catch (CommunicationException)
        {
            if (!TryCancel(requests, pieces))
            {
                // MPI may still write there: the memory is given up with the run.
                GC.SuppressFinalize(result.DetachFromDisposeScope());
            }

            throw;
        }
    }

    /// <summary>Waits until requests have completed.</summary>
    /// <param name="requests">The requests; completed ones are skipped.</param>
    /// <param name="count">Their number.</param>
    /// <param name="kind">The call, for messages.</param>
    /// <param name="peer">The awaited rank of the group; -1 where request i is of rank i modulo the size, -2 where that is not known.</param>
    /// <param name="bytes">Bytes that are on their way, since all who are to send them are known to have come.</param>
    private void Await(IntPtr* requests, int count, CallKind kind, int peer, long bytes = 0)
    {
        TimeSpan eager = (World.HasOwnCore ? EagerTimeOfOwnCore : EagerTime) + TimeSpan.FromSeconds(bytes / SlowestLink);
        ulong* done = stackalloc ulong[(count / 64) + 1];
        new Span<ulong>(done, (count / 64) + 1).Clear();
        long start = Stopwatch.GetTimestamp();
        TimeSpan nextLook = ProcessWorld.WaitNote;
        for (int polls = 0; ; polls++)
        {
            bool all = runtime.Call((Requests: (IntPtr)requests, Count: count, Done: (IntPtr)done), static (mpi, s) =>
            {
                bool all = true;
                for (int i = 0; i < s.Count; i++)
                {
                    ref ulong word = ref ((ulong*)s.Done)[i / 64];
                    ulong bit = 1UL << (i % 64);
                    if ((word & bit) == 0)
                    {
                        if (((IntPtr*)s.Requests)[i] == IntPtr.Zero || MpiRuntime.Test(mpi, (IntPtr*)s.Requests + i, "MPI_Test"))
                        {
                            word |= bit;
                        }
                        else
                        {
                            all = false;
                        }
                    }
                }

                return all;
            });
            if (all)
            {
                return;
            }

            TimeSpan waited = Stopwatch.GetElapsedTime(start);
            if (Failure.Cause is not null)
            {
                ThrowIfFailed($"{kind}, after waiting {Seconds(waited)} s");
            }

            if (waited > nextLook || waited > Timeout)
            {
                nextLook = waited + ProcessWorld.WaitNote;
                LookAfter(Missing(done, count, peer), kind, waited);
            }

            Pause(polls, waited, eager);
        }
    }

    // Most answers come within microseconds; a rank that waits longer leaves its core to those that compute. While bytes are
    // on their way it stays: MPI moves them on in its own calls only, piece by piece.
    private void Pause(int polls, TimeSpan waited, TimeSpan eager)
    {
        if (polls < 50 || (waited < eager && World.HasOwnCore && polls % 16 != 0))
        {
            // Not without a pause: two processors may be one core, whose other half copies what is awaited.
            Thread.SpinWait(polls < 50 ? 10 : 30);
        }
        else if (waited < eager)
        {
            Thread.Yield();
        }
        else
        {
            Libc.SleepMicroseconds(waited < TimeSpan.FromMilliseconds(50) ? 50u : 500u);
        }
    }

    private int[] Missing(ulong* done, int count, int peer)
    {
        if (peer >= 0)
        {
            return [WorldRanks[peer]];
        }

        ulong[] words = new Span<ulong>(done, (count / 64) + 1).ToArray();
        return peer == -2
            ? [.. WorldRanks.Where((_, r) => r != Rank)]
            : [.. Enumerable.Range(0, count).Where(i => (words[i / 64] & (1UL << (i % 64))) == 0).Select(i => WorldRanks[i % Size]).Distinct().Order()];
    }

    private bool TryCancel(IntPtr* requests, int count) => runtime.Call((Requests: (IntPtr)requests, Count: count), static (mpi, s) =>
    {
        bool all = true;
        for (int i = 0; i < s.Count; i++)
        {
            IntPtr* request = (IntPtr*)s.Requests + i;
            if (*request == IntPtr.Zero || *request == mpi.RequestNull)
            {
                continue;
            }

            int flag = 0;
            mpi.Cancel(request);
            for (int turn = 0; turn < 100 && flag == 0; turn++)
            {
                if (mpi.Test(request, &flag, (void*)mpi.StatusIgnore) != 0)
                {
                    break;
                }
            }

            all &= flag != 0;
        }

        return all;
    });
}
