using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Dho2.Communication.Mpi;

namespace Dho2.Tests.Communication;

/// <summary>The end of a process under MPICH's launcher, whose part a socket plays here.</summary>
public sealed class HydraConnectionTests
{
    private const string Mpich402 = "MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr  7 2022\nMPICH ABI:\t14:2:2\nMPICH Device:\tch4:ucx\nMPICH configure:\t--prefix=/usr\n";

    [Theory]
    [InlineData(Mpich402, "7", "0", true)]
    [InlineData("MPICH Version:\t4.1\nMPICH Device:\tch4:ucx\n", "7", "0", true)]
    [InlineData("MPICH Version:\t4.2.1\nMPICH Device:\tch4:ucx\n", "7", "0", false)]
    [InlineData("MPICH Version:\t4.10\nMPICH Device:\tch4:ucx\n", "7", "0", false)]
    [InlineData("MPICH Version:\t3.4.2\nMPICH Device:\tch4:ucx\n", "7", "0", false)]
    [InlineData("MPICH Version:\t4.0.2\nMPICH Device:\tch4:ofi\n", "7", "0", false)]
    [InlineData("Open MPI v4.1.4, package: Debian OpenMPI", "7", "0", false)]
    [InlineData("", "7", "0", false)]
    [InlineData(Mpich402, null, "0", false)]
    [InlineData(Mpich402, "x", "0", false)]
    [InlineData(Mpich402, "7", null, false)]
    public void IsUsedWhereMpiDoesNotEndAndHydraStartedTheProcess(string version, string? descriptor, string? localRank, bool isNeeded)
    {
        var variables = new Dictionary<string, string?> { ["PMI_FD"] = descriptor, ["MPI_LOCALRANKID"] = localRank };
        Assert.Equal(isNeeded, HydraConnection.IfNeeded(version, name => variables.GetValueOrDefault(name)) is not null);
    }

    [Theory]
    [InlineData("cmd=barrier_out", "cmd=finalize_ack", true)]
    [InlineData("cmd=barrier_out rc=0", "cmd=finalize_ack", true)]
    [InlineData("cmd=abort", "cmd=finalize_ack", false)]
    [InlineData("cmd=barrier_out", "cmd=unknown", false)]
    public async Task WaitsForTheOthersAndSaysThatItEnds(string first, string second, bool understood)
    {
        using Pair pair = await Pair.Create();
        Task<string> launcher = Task.Run(async () =>
        {
            using var reader = new StreamReader(new NetworkStream(pair.Launcher));
            using var writer = new StreamWriter(new NetworkStream(pair.Launcher)) { AutoFlush = true, NewLine = "\n" };
            string? heard = await reader.ReadLineAsync();
            await writer.WriteLineAsync(first);
            return first.StartsWith("cmd=barrier_out", StringComparison.Ordinal) ? $"{heard} {await Answer()}" : heard!;

            async Task<string?> Answer()
            {
                string? line = await reader.ReadLineAsync();
                await writer.WriteLineAsync(second);
                return line;
            }
        });
        Assert.Equal(understood, pair.Connection.Leave(TimeSpan.FromSeconds(30)));
        Assert.Equal(first == "cmd=abort" ? "cmd=barrier_in" : "cmd=barrier_in cmd=finalize", await launcher);
    }

    [Fact]
    public async Task DoesNotWaitForALauncherThatIsSilent()
    {
        using Pair pair = await Pair.Create();
        Assert.False(await Task.Run(() => pair.Connection.Leave(TimeSpan.FromMilliseconds(100))).WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task DoesNotWaitForALauncherThatHasGone()
    {
        using Pair pair = await Pair.Create();
        pair.Launcher.Close();
        Assert.False(await Task.Run(() => pair.Connection.Leave(TimeSpan.FromSeconds(60))).WaitAsync(TimeSpan.FromSeconds(30)));
    }

    private sealed record Pair(Socket Process, Socket Launcher) : IDisposable
    {
        public HydraConnection Connection =>
            HydraConnection.IfNeeded(Mpich402, name => name == "PMI_FD" ? $"{Process.Handle}" : "0")!;

        public static async Task<Pair> Create()
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            var process = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            process.Connect(listener.LocalEndpoint);
            return new Pair(process, await listener.AcceptSocketAsync());
        }

        public void Dispose()
        {
            Process.Dispose();
            Launcher.Dispose();
        }
    }
}
