using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using TorchSharp;

namespace Dho2.Communication.Tcp;

/// <summary>One rank of a group whose ranks are processes that talk over TCP.</summary>
internal sealed unsafe class TcpCommunicator(
    ProcessWorld world, TcpRuntime runtime, GroupFailure failure, long group, int[] worldRanks, int rank, TimeSpan timeout)
    : HostCommunicator(world, runtime, failure, worldRanks, rank, timeout)
{
    private const int PieceBytes = 1 << 26;
    private int splits;

    public override void Send(torch.Tensor tensor, int destination)
    {
        CheckPeer(destination, nameof(destination));
        ThrowIfFailed("Send");
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        torch.Tensor kept = tensor.detach().cpu().contiguous().DetachFromDisposeScope();
        byte[] header = new byte[TensorHeader.Size];
        fixed (byte* first = header)
        {
            TensorHeader.Write(first, kept);
        }

        BytesSent += BytesOf(kept);
        runtime.Post(WorldRanks[destination], FrameKind.Tensor, group, header, kept);
    }

    public override torch.Tensor Receive(int source)
    {
        CheckPeer(source, nameof(source));
        ThrowIfFailed("Receive");
        using var received = (torch.Tensor)Take(source, FrameKind.Tensor, CallKind.Receive, [source]);
        return received.detach();
    }

    protected override HostCommunicator Create(int color, int[] members, GroupFailure failureOfChild, TimeSpan timeoutOfChild)
    {
        // All members compute the same name; FNV-1a over what tells one split from another.
        ulong name = 14695981039346656037UL;
        foreach (long part in new[] { group, ++splits, color })
        {
            name = unchecked((name ^ (ulong)part) * 1099511628211UL);
            name = unchecked((name ^ (name >> 29)) * 0xBF58476D1CE4E5B9UL);
        }

        return new TcpCommunicator(
            World, runtime, failureOfChild, (long)name, [.. members.Select(m => WorldRanks[m])], Array.IndexOf(members, Rank), timeoutOfChild);
    }

    protected override void Release() => runtime.Forget(group);

    protected override void ExchangePackets(IntPtr buffers, int bytes, CallKind kind)
    {
        byte* packets = (byte*)buffers;
        byte[] mine = new Span<byte>(packets + (Rank * PacketSize), bytes).ToArray();
        for (int i = 1; i < Size; i++)
        {
            runtime.Post(WorldRanks[(Rank + i) % Size], FrameKind.Packet, group, mine);
        }

        HashSet<int> missing = [.. Enumerable.Range(0, Size).Where(r => r != Rank)];
        while (missing.Count > 0)
        {
            (int source, object packet) = TakeAny(missing, FrameKind.Packet, kind);
            missing.Remove(source);
            ((byte[])packet).CopyTo(new Span<byte>(packets + (source * PacketSize), PacketSize));
        }
    }

    protected override void Exchange(CallKind kind, Func<int, (IntPtr Address, long Bytes)> outgoing, Func<int, (IntPtr Address, long Bytes)> incoming)
    {
        for (int i = 1; i < Size; i++)
        {
            int to = (Rank + i) % Size;
            (IntPtr address, long bytes) = outgoing(to);
            for (long offset = 0; offset < bytes; offset += PieceBytes)
            {
                // A copy: what was handed over may wait for the network when the caller goes on to change it.
                var piece = new DataBlock((int)Math.Min(PieceBytes, bytes - offset));
                Buffer.MemoryCopy((byte*)address + offset, (void*)piece.Address, piece.Length, piece.Length);
                runtime.Post(WorldRanks[to], FrameKind.Data, group, piece);
            }
        }

        for (int i = 1; i < Size; i++)
        {
            int from = (Rank + Size - i) % Size;
            (IntPtr address, long bytes) = incoming(from);
            for (long offset = 0; offset < bytes;)
            {
                using var piece = (DataBlock)Take(from, FrameKind.Data, kind, [from]);
                Buffer.MemoryCopy((void*)piece.Address, (byte*)address + offset, bytes - offset, piece.Length);
                offset += piece.Length;
            }
        }
    }

    private object Take(int source, FrameKind frame, CallKind kind, int[] missing) => TakeAny([.. missing], frame, kind).Content;

    /// <summary>Waits for the next frame from any of some ranks.</summary>
    private (int Source, object Content) TakeAny(HashSet<int> sources, FrameKind frame, CallKind kind)
    {
        long start = Stopwatch.GetTimestamp();
        TimeSpan nextLook = ProcessWorld.WaitNote;
        while (true)
        {
            lock (runtime.Gate)
            {
                foreach (int source in sources)
                {
                    if (runtime.From(group, WorldRanks[source], frame).TryDequeue(out object? content))
                    {
                        return (source, content);
                    }
                }

                if (Failure.Cause is null)
                {
                    Monitor.Wait(runtime.Gate, 10);
                }
            }

            TimeSpan waited = Stopwatch.GetElapsedTime(start);
            if (Failure.Cause is not null)
            {
                ThrowIfFailed($"{kind}, after waiting {Seconds(waited)} s");
            }

            int[] missing = [.. sources.Order().Select(r => WorldRanks[r])];
            if (waited > nextLook || waited > Timeout || missing.Any(runtime.HasBroken) || missing.Any(runtime.HasLeft))
            {
                nextLook = waited + ProcessWorld.WaitNote;
                lock (runtime.Gate)
                {
                    // What was sent before the connection broke has been read before that was noticed.
                    if (sources.Any(r => runtime.From(group, WorldRanks[r], frame).Count > 0))
                    {
                        continue;
                    }
                }

                LookAfter(missing, kind, waited);
            }
        }
    }
}
