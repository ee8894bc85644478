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
internal sealed unsafe partial class MpiCommunicator : HostCommunicator
{
    private const int MeetingTag = 3;
    private const int DataTag = 4;

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

    /// <summary>Questions, each with a short pause, before a rank offers its core to others; to offer it costs as much as several questions.</summary>
    private const int PollsBeforeYield = 200;

    /// <summary>Questions before it does so each time, where others want the core.</summary>
    private const int PollsBeforeSharing = 50;

    private readonly MpiRuntime runtime;
    private readonly IntPtr communicator;
    private readonly IntPtr* meetingRequests;
    private IntPtr* exchangeRequests;
    private int exchangeCapacity;

    public MpiCommunicator(ProcessWorld world, MpiRuntime runtime, GroupFailure failure, IntPtr communicator, int[] worldRanks, int rank, TimeSpan timeout)
        : base(world, runtime, failure, worldRanks, rank, timeout)
    {
        this.communicator = communicator;
        this.runtime = runtime;
        mail = new Mail?[Size];
        meetingRequests = (IntPtr*)NativeMemory.AllocZeroed((nuint)(2 * Size * sizeof(IntPtr)));
        runtime.Call(communicator, static (mpi, c) => mpi.CommSetErrhandler(c, mpi.ErrorsReturn));
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
        NativeMemory.Free(meetingRequests);
        NativeMemory.Free(exchangeRequests);
        foreach (Mail? from in mail)
        {
            from?.Free();
        }
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

        int pieces = 0;
        long all = 0;
        for (int other = 0; other < Size; other++)
        {
            if (other != Rank)
            {
                (long sent, long received) = (outgoing(other).Bytes, incoming(other).Bytes);
                pieces = Math.Max(pieces, Math.Max(Pieces(sent), Pieces(received)));
                all += sent + received;
            }
        }

        // Request i is of rank i modulo the size, which is what names those that are awaited.
        int count = 2 * pieces * Size;
        if (count > exchangeCapacity)
        {
            exchangeRequests = (IntPtr*)NativeMemory.Realloc(exchangeRequests, (nuint)(count * sizeof(IntPtr)));
            exchangeCapacity = count;
        }

        IntPtr* requests = exchangeRequests;
        new Span<IntPtr>(requests, count).Clear();
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

        // After a failure the memory that MPI may still write to is given up with the run.
        Await(requests, count, kind, -1, all);
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
            if (runtime.Poll(requests, count, done))
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
        if (waited < eager && (World.HasOwnCore ? (polls + 1) % PollsBeforeYield != 0 : polls < PollsBeforeSharing))
        {
            // Not without a pause: two processors may be one core, whose other half copies what is awaited.
            Thread.SpinWait(10);
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
