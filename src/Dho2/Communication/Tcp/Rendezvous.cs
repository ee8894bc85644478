using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;

namespace Dho2.Communication.Tcp;

/// <summary>
/// Where processes that know no more than a common address find one another: rank 0 listens there, the others come, and all
/// go with the list of everyone's address. Then each pair connects once, the higher rank to the lower.
/// </summary>
internal static class Rendezvous
{
    private const string Greeting = "dho2 rendezvous 1";

    /// <summary>Meets all other processes and connects to them.</summary>
    /// <param name="launcher">Rank and size.</param>
    /// <param name="timeout">How long all may take to come.</param>
    /// <returns>A connection to each rank; null at this one's own place.</returns>
    /// <exception cref="CommunicationException">The variables are not what they should be, the port is in use, or a rank does not come.</exception>
    public static Socket?[] Connect(Launcher launcher, TimeSpan timeout)
    {
        (string host, int port) = MasterAddress(Environment.GetEnvironmentVariable);
        long start = Stopwatch.GetTimestamp();
        TimeSpan Left() => timeout - Stopwatch.GetElapsedTime(start) is { Ticks: > 0 } left ? left : throw new TimeoutException();
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Any, 0));
        listener.Listen(launcher.Size);
        int ownPort = ((IPEndPoint)listener.LocalEndPoint!).Port;
        string[] addresses = launcher.Rank == 0 ? Gather(launcher, host, port, ownPort, timeout, Left) : Register(launcher, host, port, ownPort, timeout, Left);

        var sockets = new Socket?[launcher.Size];
        string key = addresses[^1];
        for (int lower = 0; lower < launcher.Rank; lower++)
        {
            string[] parts = addresses[lower].Split(' ');
            Socket socket = ConnectTo(parts[0], int.Parse(parts[1], CultureInfo.InvariantCulture), Left, () => $"rank {launcher.Rank} cannot reach rank {lower} at {parts[0]}, port {parts[1]}");
            WriteLine(socket, $"{key} {launcher.Rank}");
            sockets[lower] = socket;
        }

        while (sockets.Where((socket, rank) => rank > launcher.Rank && socket is null).Any())
        {
            Socket socket = Accept(listener, Left) ?? throw new CommunicationException(
                $"Rank {launcher.Rank} waited {timeout.TotalSeconds:0.###} s for {Missing(sockets, launcher.Rank + 1)} to connect.");
            string[] hello = ReadLine(socket, Left).Split(' ');
            if (hello.Length == 2 && hello[0] == key && int.TryParse(hello[1], out int rank) && rank > launcher.Rank && rank < launcher.Size)
            {
                sockets[rank] = socket;
            }
            else
            {
                socket.Dispose();
            }
        }

        return sockets;
    }

    /// <summary>The address that the launcher gave.</summary>
    /// <exception cref="CommunicationException">A variable is missing or no number.</exception>
    public static (string Host, int Port) MasterAddress(Func<string, string?> variable)
    {
        string host = variable("MASTER_ADDR") is { Length: > 0 } given ? given
            : throw new CommunicationException("The variable MASTER_ADDR is not set: torchrun sets it to the address of the machine of rank 0.");

        // torchrun's own agent may already listen on the port, for its own protocol.
        string? text = variable("DHO2_PORT") is { Length: > 0 } own ? own : variable("MASTER_PORT");
        int shift = string.IsNullOrEmpty(variable("DHO2_PORT")) && variable("TORCHELASTIC_USE_AGENT_STORE") == "True" ? 1 : 0;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is > 0 and < 65536
            ? (host, port + shift)
            : throw new CommunicationException($"The port of rank 0 is '{text}' (MASTER_PORT, or DHO2_PORT where it is set); it takes a number from 1 to 65535.");
    }

    private static string[] Gather(Launcher launcher, string host, int port, int ownPort, TimeSpan timeout, Func<TimeSpan> left)
    {
        using var master = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        master.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        try
        {
            master.Bind(new IPEndPoint(IPAddress.Any, port));
            master.Listen(launcher.Size);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new CommunicationException($"Rank 0 cannot listen on port {port}: it is in use, perhaps by another job on this machine. Choose another with torchrun's --master-port, or in DHO2_PORT.", e);
        }

        var guests = new Dictionary<int, Socket>();
        string[] addresses = new string[launcher.Size + 1];
        addresses[0] = $"{host} {ownPort}";
        addresses[^1] = Guid.NewGuid().ToString("N");
        try
        {
            while (guests.Count < launcher.Size - 1)
            {
                Socket guest = Accept(master, left) ?? throw new CommunicationException(
                    $"Rank 0 waited {timeout.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture)} s at port {port} for {string.Join(", ", Enumerable.Range(1, launcher.Size - 1).Except(guests.Keys).Select(r => $"rank {r}"))}, which did not come.");
                string[] words = ReadLine(guest, left).Split('\t');
                if (words.Length != 4 || words[0] != Greeting || !int.TryParse(words[1], out int rank) || !int.TryParse(words[2], out int size))
                {
                    guest.Dispose();
                    continue;
                }

                guests[rank] = guests.ContainsKey(rank) || rank < 1 || rank >= launcher.Size || size != launcher.Size
                    ? throw new CommunicationException($"A process came to rank 0 as rank {rank} of {size}; the world has {launcher.Size} ranks, {(guests.ContainsKey(rank) ? "and this one is there already" : "numbered from 0")}: is another job using port {port}?")
                    : guest;
                addresses[rank] = $"{((IPEndPoint)guest.RemoteEndPoint!).Address} {words[3]}";
            }

            foreach (Socket guest in guests.Values)
            {
                WriteLine(guest, "ok\t" + string.Join('\t', addresses));
            }

            return addresses;
        }
        catch (CommunicationException e)
        {
            foreach (Socket guest in guests.Values)
            {
                WriteLine(guest, "failed\t" + e.Message);
            }

            throw;
        }
        finally
        {
            foreach (Socket guest in guests.Values)
            {
                guest.Dispose();
            }
        }
    }

    private static string[] Register(Launcher launcher, string host, int port, int ownPort, TimeSpan timeout, Func<TimeSpan> left)
    {
        using Socket socket = ConnectTo(
            host, port, left, () => $"Rank {launcher.Rank} waited {timeout.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture)} s for rank 0 to listen at {host}, port {port}");
        WriteLine(socket, $"{Greeting}\t{launcher.Rank}\t{launcher.Size}\t{ownPort}");

        // Rank 0 gives up first, and says for whom it waited.
        string[] answer = ReadLine(socket, () => left() + TimeSpan.FromSeconds(5)).Split('\t');
        return answer[0] switch
        {
            "ok" when answer.Length == launcher.Size + 2 => answer[1..],
            "failed" => throw new CommunicationException(answer[^1], new RemoteRankException(0, answer[^1])),
            _ => throw new CommunicationException($"Rank {launcher.Rank} came to {host}, port {port}, where something answers that is not rank 0 of this job. Choose another port with torchrun's --master-port, or in DHO2_PORT."),
        };
    }

    private static Socket ConnectTo(string host, int port, Func<TimeSpan> left, Func<string> complaint)
    {
        Exception? last = null;
        while (true)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                using var limit = new CancellationTokenSource(left());
                socket.ConnectAsync(host, port, limit.Token).AsTask().GetAwaiter().GetResult();
                return socket;
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                // Whoever is to listen may not have started yet.
                socket.Dispose();
                last = e;
                Thread.Sleep(50);
            }
            catch (TimeoutException)
            {
                socket.Dispose();
                throw new CommunicationException($"{complaint()}: {last?.Message ?? "it did not answer"}.", last);
            }
        }
    }

    private static Socket? Accept(Socket listener, Func<TimeSpan> left)
    {
        try
        {
            using var limit = new CancellationTokenSource(left());
            return listener.AcceptAsync(limit.Token).AsTask().GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            return null;
        }
    }

    private static void WriteLine(Socket socket, string line)
    {
        try
        {
            socket.Send(Encoding.UTF8.GetBytes(line.ReplaceLineEndings(" ") + "\n"));
        }
        catch (SocketException)
        {
            // Whoever should have heard it has gone.
        }
    }

    private static string ReadLine(Socket socket, Func<TimeSpan> left)
    {
        var line = new MemoryStream();
        byte[] one = new byte[1];
        try
        {
            socket.ReceiveTimeout = (int)Math.Min(int.MaxValue, Math.Max(1, left().TotalMilliseconds));
            while (line.Length < 1 << 20 && socket.Receive(one) == 1 && one[0] != '\n')
            {
                line.WriteByte(one[0]);
            }

            socket.ReceiveTimeout = 0;
        }
        catch (Exception e) when (e is SocketException or TimeoutException)
        {
            return string.Empty;
        }

        return Encoding.UTF8.GetString(line.ToArray());
    }

    private static string Missing(Socket?[] sockets, int first) =>
        string.Join(", ", Enumerable.Range(first, sockets.Length - first).Where(r => sockets[r] is null).Select(r => $"rank {r}"));
}
