using System;
using System.Net;
using System.Net.Sockets;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Benchmarks.Communication;

/// <summary>One connection between two processes of this machine.</summary>
internal sealed class RawTcp : RawTransport
{
    private readonly Socket socket;

    private RawTcp(Socket socket)
    {
        this.socket = socket;
        socket.NoDelay = true;
    }

    public override bool CanReduce => false;

    /// <summary>Connects the two ranks, if it is TCP that they talk over.</summary>
    public static RawTcp? TryConnect(ICommunicator rank)
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable("MASTER_PORT")))
        {
            return null;
        }

        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Span<double> port = [0];
        if (rank.Rank == 0)
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            socket.Listen();
            port[0] = ((IPEndPoint)socket.LocalEndPoint!).Port;
        }

        rank.AllReduce(port);
        if (rank.Rank == 0)
        {
            return new RawTcp(socket.Accept());
        }

        var connected = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        connected.Connect(IPAddress.Loopback, (int)port[0]);
        return new RawTcp(connected);
    }

    public override void PingPong(torch.Tensor tensor, torch.Tensor received, int other)
    {
        Span<byte> bytes = tensor.bytes, place = received.bytes;
        if (other == 1)
        {
            Send(bytes);
            Receive(place);
        }
        else
        {
            Receive(place);
            Send(bytes);
        }
    }

    public override void AllReduce(torch.Tensor tensor) => throw new NotSupportedException("TCP adds nothing up.");

    public override void Dispose() => socket.Dispose();

    private void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[socket.Send(bytes)..];
        }
    }

    private void Receive(Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[socket.Receive(bytes)..];
        }
    }
}
