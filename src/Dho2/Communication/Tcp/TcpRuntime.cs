using System;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using Dho2.Numerics;
using TorchSharp;

namespace Dho2.Communication.Tcp;

/// <summary>What a frame carries.</summary>
internal enum FrameKind
{
    Control = 1,
    Tensor,
    Packet,
    Data,
}

/// <summary>
/// Connections to all other processes over TCP: for each a thread that writes what was handed to it, and one that reads and
/// sorts what comes. It is what ranks talk over that <c>torchrun</c> has started, beside NCCL or, without GPUs, instead.
/// </summary>
internal sealed class TcpRuntime : HostRuntime
{
    private const int FrameHead = 24;
    private const int MostAtOnce = 1 << 20;

    private readonly Socket?[] sockets;
    private readonly BlockingCollection<Frame>[] outgoing;
    private readonly Thread[] writers;
    private readonly Thread[] readers;
    private readonly Dictionary<(long Group, int Source, FrameKind Kind), Queue<object>> arrived = [];
    private readonly bool[] broken;
    private readonly HashSet<long> forgotten = [];
    private int unwritten;
    private volatile bool ending;

    private TcpRuntime(int rank, Socket?[] sockets)
    {
        Rank = rank;
        Size = sockets.Length;
        this.sockets = sockets;
        broken = new bool[Size];
        outgoing = [.. sockets.Select(_ => new BlockingCollection<Frame>())];
        int[] others = [.. Enumerable.Range(0, Size).Where(r => r != rank)];
        Array.ForEach(others, r => sockets[r]!.NoDelay = true);
        writers = [.. others.Select(r => new Thread(() => WriteTo(r)) { IsBackground = true, Name = $"Dho2 to rank {r}" })];
        readers = [.. others.Select(r => new Thread(() => ReadFrom(r)) { IsBackground = true, Name = $"Dho2 from rank {r}" })];
        Array.ForEach(writers, t => t.Start());
        Array.ForEach(readers, t => t.Start());
    }

    public override int Rank { get; }

    public override int Size { get; }

    public override string Name => "TCP";

    /// <summary>Guards what has arrived; pulsed when something does.</summary>
    public object Gate { get; } = new();

    /// <summary>Meets the other processes.</summary>
    /// <exception cref="CommunicationException">They did not all come, or the port is in use.</exception>
    public static TcpRuntime Start(Launcher launcher, TimeSpan timeout) => new(launcher.Rank, Rendezvous.Connect(launcher, timeout));

    public override HostCommunicator CreateLobby(ProcessWorld world, TimeSpan timeout) =>
        new TcpCommunicator(world, this, FailureOf(0), 1, [.. Enumerable.Range(0, Size)], Rank, timeout);

    /// <summary>Hands bytes to a rank's writer; they are the writer's from now on.</summary>
    public void Post(int destination, FrameKind kind, long group, byte[] bytes, torch.Tensor? tensor = null)
    {
        if (destination == Rank)
        {
            lock (Gate)
            {
                Store(kind, group, Rank, kind == FrameKind.Tensor ? tensor! : bytes);
            }

            return;
        }

        Post(destination, new Frame(kind, group, bytes, tensor, null));
    }

    /// <summary>Hands a block to another rank's writer; it is the writer's from now on.</summary>
    public void Post(int destination, FrameKind kind, long group, DataBlock block) => Post(destination, new Frame(kind, group, [], null, block));

    private void Post(int destination, Frame frame)
    {
        Interlocked.Increment(ref unwritten);
        outgoing[destination].Add(frame);
    }

    /// <summary>What has come from a rank and was not yet taken, in its order; call it under <see cref="Gate"/>.</summary>
    public Queue<object> From(long group, int source, FrameKind kind)
    {
        if (!arrived.TryGetValue((group, source, kind), out Queue<object>? queue))
        {
            arrived[(group, source, kind)] = queue = new Queue<object>();
        }

        return queue;
    }

    /// <summary>Forgets what came for a group that this rank has left, and what may yet come.</summary>
    public void Forget(long group)
    {
        lock (Gate)
        {
            forgotten.Add(group);
            foreach ((long Group, int Source, FrameKind Kind) key in arrived.Keys.Where(key => key.Group == group).ToArray())
            {
                foreach (IDisposable content in arrived[key].OfType<IDisposable>())
                {
                    content.Dispose();
                }

                arrived.Remove(key);
            }
        }
    }

    public override void Announce(ControlKind kind, int group, string text)
    {
        for (int other = 0; other < Size; other++)
        {
            if (other != Rank && !ending)
            {
                byte[] message = new byte[ControlMessage.Size];
                new ControlMessage(kind, group, Rank, text).Write(message);
                Post(other, FrameKind.Control, group, message);
            }
        }
    }

    public override bool HasBroken(int rank) => Volatile.Read(ref broken[rank]) && !HasGone(rank) && !IsLeaving(rank);

    public override void Flush(TimeSpan limit)
    {
        long start = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref unwritten) > 0 && Stopwatch.GetElapsedTime(start) < limit)
        {
            Thread.Sleep(1);
        }
    }

    public override void EndTogether()
    {
        Flush(TimeSpan.FromSeconds(5));
        ending = true;
        Array.ForEach(outgoing, queue => queue.CompleteAdding());
        foreach (Socket socket in sockets.OfType<Socket>())
        {
            try
            {
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // The other end was quicker.
            }
        }

        foreach (Thread reader in readers)
        {
            reader.Join(TimeSpan.FromSeconds(2));
        }

        Dispose();
    }

    public override void Abort(int status) => Libc.ExitNow(status);

    public override void Dispose()
    {
        ending = true;
        foreach (Socket socket in sockets.OfType<Socket>())
        {
            socket.Dispose();
        }
    }

    private void WriteTo(int rank)
    {
        Socket socket = sockets[rank]!;
        byte[] head = new byte[FrameHead + ControlMessage.Size];
        foreach (Frame frame in outgoing[rank].GetConsumingEnumerable())
        {
            try
            {
                long tensorBytes = frame.Tensor is { } t ? t.numel() * t.element_size() : 0;
                BinaryPrimitives.WriteInt64LittleEndian(head, (long)frame.Kind);
                BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(8), frame.Group);
                BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(16), frame.Bytes.Length + tensorBytes + (frame.Block?.Length ?? 0));

                // Small messages go at once with their head; the rest follows from where it lies.
                frame.Bytes.CopyTo(head, FrameHead);
                SendAll(socket, head.AsSpan(0, FrameHead + frame.Bytes.Length));
                if (frame.Block is { } block)
                {
                    SendAll(socket, block.Span);
                }
                else if (tensorBytes > 0)
                {
                    SendTensor(socket, frame.Tensor!, tensorBytes);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // Noticed by whoever waits for the rank.
                Break(rank);
            }
            finally
            {
                frame.Tensor?.Dispose();
                frame.Block?.Dispose();
                Interlocked.Decrement(ref unwritten);
            }
        }
    }

    private static void SendAll(Socket socket, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[socket.Send(bytes[..Math.Min(bytes.Length, MostAtOnce)])..];
        }
    }

    private static unsafe void SendTensor(Socket socket, torch.Tensor tensor, long bytes)
    {
        byte* address = HostRows.Address(tensor);
        for (long offset = 0; offset < bytes; offset += MostAtOnce)
        {
            SendAll(socket, new ReadOnlySpan<byte>(address + offset, (int)Math.Min(MostAtOnce, bytes - offset)));
        }
    }

    private void ReadFrom(int rank)
    {
        Socket socket = sockets[rank]!;
        byte[] head = new byte[FrameHead];
        try
        {
            while (TryReceiveAll(socket, head))
            {
                var kind = (FrameKind)BinaryPrimitives.ReadInt64LittleEndian(head);
                long group = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(8));
                long length = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(16));
                object content;
                if (kind == FrameKind.Tensor)
                {
                    content = ReceiveTensor(socket);
                }
                else if (kind == FrameKind.Data)
                {
                    var block = new DataBlock((int)length);
                    if (!TryReceiveAll(socket, block.Span))
                    {
                        block.Dispose();
                        break;
                    }

                    content = block;
                }
                else
                {
                    byte[] bytes = new byte[length];
                    if (!TryReceiveAll(socket, bytes))
                    {
                        break;
                    }

                    content = bytes;
                }

                if (kind == FrameKind.Control)
                {
                    Hear(ControlMessage.Read((byte[])content));
                }

                lock (Gate)
                {
                    if (kind != FrameKind.Control)
                    {
                        Store(kind, group, rank, content);
                    }

                    Monitor.PulseAll(Gate);
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // As where the connection ends.
        }

        Break(rank);
    }

    private void Store(FrameKind kind, long group, int source, object content)
    {
        if (forgotten.Contains(group))
        {
            (content as IDisposable)?.Dispose();
            return;
        }

        From(group, source, kind).Enqueue(content);
        Monitor.PulseAll(Gate);
    }

    private static bool TryReceiveAll(Socket socket, Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int count = socket.Receive(bytes[..Math.Min(bytes.Length, MostAtOnce)]);
            if (count == 0)
            {
                return false;
            }

            bytes = bytes[count..];
        }

        return true;
    }

    private static unsafe torch.Tensor ReceiveTensor(Socket socket)
    {
        byte[] header = new byte[TensorHeader.Size];
        if (!TryReceiveAll(socket, header))
        {
            throw new SocketException((int)SocketError.ConnectionReset);
        }

        fixed (byte* first = header)
        {
            (torch.ScalarType type, long[] shape, long bytes) = TensorHeader.Read(first);
            torch.Tensor tensor = ReceiveMemory.Empty(shape, type, bytes).DetachFromDisposeScope();
            byte* address = bytes > 0 ? HostRows.Address(tensor) : null;
            for (long offset = 0; offset < bytes; offset += MostAtOnce)
            {
                if (!TryReceiveAll(socket, new Span<byte>(address + offset, (int)Math.Min(MostAtOnce, bytes - offset))))
                {
                    tensor.Dispose();
                    throw new SocketException((int)SocketError.ConnectionReset);
                }
            }

            return tensor;
        }
    }

    private void Break(int rank)
    {
        Volatile.Write(ref broken[rank], true);
        lock (Gate)
        {
            Monitor.PulseAll(Gate);
        }
    }

    private sealed record Frame(FrameKind Kind, long Group, byte[] Bytes, torch.Tensor? Tensor, DataBlock? Block);
}

/// <summary>Bytes on their way, in memory that is used again.</summary>
internal sealed unsafe class DataBlock(int length) : IDisposable
{
    private bool returned;

    /// <summary>Where they are.</summary>
    public IntPtr Address { get; } = ReceiveMemory.Rent(length);

    /// <summary>Their number.</summary>
    public int Length => length;

    /// <summary>The bytes.</summary>
    public Span<byte> Span => new((void*)Address, length);

    public void Dispose()
    {
        if (!returned)
        {
            returned = true;
            ReceiveMemory.GiveBack(Address);
        }
    }
}
