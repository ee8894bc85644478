using System;
using System.Diagnostics;
using System.Globalization;
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
internal sealed unsafe partial class MpiCommunicator : ICommunicator
{
    private const int HeaderTag = 1;
    private const int PayloadTag = 2;
    private const int MeetingTag = 3;
    private const int DataTag = 4;

    /// <summary>Tensors up to this many bytes travel in one message with their header.</summary>
    private const int InlineBytes = 4096;

    /// <summary>Larger ones in pieces: MPI counts in 32 bits.</summary>
    private const long PieceBytes = 1L << 30;

    private readonly MpiRuntime runtime;
    private readonly MpiWorld world;
    private readonly MpiFailure failure;
    private readonly int[] worldRanks;
    private readonly IntPtr communicator;
    private readonly bool deterministic;
    private byte* headerBuffer;
    private IntPtr* headerRequest;
    private bool disposed;

    public MpiCommunicator(MpiWorld world, MpiRuntime runtime, MpiFailure failure, IntPtr communicator, int[] worldRanks, int rank, TimeSpan timeout)
    {
        this.world = world;
        this.runtime = runtime;
        this.failure = failure;
        this.communicator = communicator;
        this.worldRanks = worldRanks;
        deterministic = world.DeterministicReductions;
        Timeout = timeout;
        Rank = rank;
        Size = worldRanks.Length;
        headerBuffer = (byte*)NativeMemory.Alloc(TensorHeader.Size + InlineBytes);
        headerRequest = (IntPtr*)NativeMemory.AllocZeroed((nuint)sizeof(IntPtr));
        meetingBuffers = (byte*)NativeMemory.AllocZeroed((nuint)(PacketSize * (Size + 1)));
        meetingRequests = (IntPtr*)NativeMemory.AllocZeroed((nuint)(2 * Size * sizeof(IntPtr)));
        runtime.Call(communicator, static (mpi, c) => mpi.CommSetErrhandler(c, mpi.ErrorsReturn));
    }

    public int Rank { get; }

    public int Size { get; }

    public TimeSpan Timeout { get; }

    public RankActivity Activity => world.Activity;

    public CancellationToken Aborted => failure.Raised;

    public long BytesSent { get; private set; }

    public void Send(torch.Tensor tensor, int destination)
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

    public torch.Tensor Receive(int source)
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
        torch.Tensor result = torch.empty(shape, type);
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

    public ICommunicator Split(int color, int key)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        Meet(new(CallKind.Split, 2, torch.ScalarType.Float64, 0), [color, key]);
        int[] members = [.. Enumerable.Range(0, Size)
            .Where(r => (int)NumbersOf(r)[0] == color)
            .OrderBy(r => NumbersOf(r)[1])
            .ThenBy(r => r)];

        // All ranks are here: they make the new communicator without a wait that could last.
        IntPtr made;
        using (world.Guard(Timeout, "MPI_Comm_split"))
        {
            made = runtime.Call((Communicator: communicator, Color: color, Key: Array.IndexOf(members, Rank)), static (mpi, s) =>
            {
                IntPtr result = IntPtr.Zero;
                MpiRuntime.Check(mpi, mpi.CommSplit(s.Communicator, s.Color & int.MaxValue, s.Key, &result), "MPI_Comm_split");
                return result;
            });
        }

        return new MpiCommunicator(world, runtime, failure, made, [.. members.Select(m => worldRanks[m])], Array.IndexOf(members, Rank), Timeout);
    }

    /// <summary>The same ranks again, with a failure of their own.</summary>
    public MpiCommunicator Reopen(int group, TimeSpan timeout)
    {
        var same = (MpiCommunicator)Split(0, Rank);
        IntPtr made = same.Release();
        return new MpiCommunicator(world, runtime, runtime.FailureOf(group), made, worldRanks, Rank, timeout);
    }

    public void Abort(Exception cause)
    {
        ArgumentNullException.ThrowIfNull(cause);
        failure.Raise(cause);
    }

    public void Dispose()
    {
        if (disposed)
        {
            return;
        }

        IntPtr left = Release();

        // After a failure MPI may still have something to do with it.
        if (failure.Cause is null && !world.HasEnded)
        {
            runtime.Call(left, static (mpi, c) => mpi.CommFree(&c));
            NativeMemory.Free(headerBuffer);
            NativeMemory.Free(headerRequest);
            NativeMemory.Free(meetingBuffers);
            NativeMemory.Free(meetingRequests);
        }

        scratch?.Dispose();
    }

    private static long BytesOf(torch.Tensor tensor) => tensor.numel() * tensor.element_size();

    private static int Pieces(long bytes) => checked((int)((bytes + PieceBytes - 1) / PieceBytes));

    private IntPtr Release()
    {
        disposed = true;
        return communicator;
    }

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
            Await(requests, pieces, CallKind.Receive, source);
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

    private void CheckPeer(int peer, string parameter)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (peer < 0 || peer >= Size)
        {
            throw new ArgumentOutOfRangeException(parameter, peer, $"Ranks of this group are 0 to {Size - 1}.");
        }
    }

    /// <summary>Waits until requests have completed.</summary>
    /// <param name="requests">The requests; completed ones are skipped.</param>
    /// <param name="count">Their number.</param>
    /// <param name="kind">The call, for messages.</param>
    /// <param name="peer">The awaited rank of the group; -1 where request i is of rank i modulo the size, -2 where that is not known.</param>
    private void Await(IntPtr* requests, int count, CallKind kind, int peer)
    {
        ulong* done = stackalloc ulong[(count / 64) + 1];
        new Span<ulong>(done, (count / 64) + 1).Clear();
        long start = Stopwatch.GetTimestamp();
        TimeSpan nextLook = TimeSpan.FromMilliseconds(250);
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
            if (failure.Cause is not null)
            {
                ThrowIfFailed($"{kind}, after waiting {Seconds(waited)} s");
            }

            if (waited > nextLook || waited > Timeout)
            {
                nextLook = waited + TimeSpan.FromMilliseconds(250);
                LookAfter(Missing(done, count, peer), kind, waited);
            }

            Pause(polls, waited);
        }
    }

    // Most answers come within microseconds; a rank that waits longer leaves its core to those that compute.
    private static void Pause(int polls, TimeSpan waited)
    {
        if (polls < 50)
        {
            Thread.SpinWait(10);
        }
        else if (waited < TimeSpan.FromMilliseconds(1))
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
            return [worldRanks[peer]];
        }

        ulong[] words = new Span<ulong>(done, (count / 64) + 1).ToArray();
        return peer == -2
            ? [.. worldRanks.Where((_, r) => r != Rank)]
            : [.. Enumerable.Range(0, count).Where(i => (words[i / 64] & (1UL << (i % 64))) == 0).Select(i => worldRanks[i % Size]).Distinct().Order()];
    }

    /// <summary>Ends the wait if whoever is awaited has died or left, or the time is over.</summary>
    private void LookAfter(int[] missing, CallKind kind, TimeSpan waited)
    {
        string what;
        if (missing.Where(world.HasDied).ToArray() is { Length: > 0 } dead)
        {
            what = $"{Names(dead)}, whose process has ended without a word: it was killed or has crashed.";
            missing = dead;
        }
        else if (missing.Where(runtime.HasLeft).ToArray() is { Length: > 0 } left)
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
            return;
        }

        var raised = new CommunicationException($"Rank {worldRanks[Rank]} waited {Seconds(waited)} s in {kind} for {what}") { Awaited = missing };
        failure.Raise(raised);
        if (failure.Cause == raised)
        {
            throw raised;
        }

        ThrowIfFailed($"{kind}, after waiting {Seconds(waited)} s");
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

    private void ThrowIfFailed(string call)
    {
        switch (failure.Cause)
        {
            case null:
                return;
            case RemoteRankException remote:
                throw new CommunicationException($"Rank {worldRanks[Rank]} was ended in {call} by rank {remote.Rank}: {remote.Message}", remote);
            case { } cause:
                throw new CommunicationException($"Rank {worldRanks[Rank]} was ended in {call}: {cause.Message}", cause);
        }
    }

    private static string Names(int[] ranks) => string.Join(", ", ranks.Select(r => $"rank {r}"));

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("F1", CultureInfo.InvariantCulture);
}
