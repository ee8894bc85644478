using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Dho2.Communication.Mpi;
using Dho2.Communication.Nccl;
using Dho2.Communication.Tcp;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>A world whose ranks are processes that a launcher has started, on one machine or several.</summary>
internal sealed class ProcessWorld : World
{
    /// <summary>How long ranks that end after a failure wait for one another, so that the one message gets out.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    /// <summary>How often a wait that lasts is noted, for the message of a rank that is ended from outside.</summary>
    internal static readonly TimeSpan WaitNote = TimeSpan.FromMilliseconds(250);

    private static ProcessWorld? joined;

    private readonly Launcher launcher;
    private readonly HostRuntime runtime;
    private readonly HostCommunicator lobby;
    private readonly ProgressFolder progress;
    private readonly ProgressFile file;
    private readonly LocalProcess[] peers;
    private readonly PosixSignalRegistration terminated;
    private readonly object reporting = new();
    private readonly TimeSpan joinTimeout;
    private readonly torch.Device device;
    private NcclLibrary? nccl;
    private Wait? lastWait;
    private int opened;
    private bool reported;

    private ProcessWorld(Launcher launcher, WorldOptions options)
        : base(options.Timeout!.Value)
    {
        this.launcher = launcher;
        DeterministicReductions = options.DeterministicReductions!.Value;
        MpiLibrary? library = launcher.Kind == LauncherKind.Mpi ? MpiLibrary.Load(launcher.IsOpenMpi, launcher.Name) : null;
        progress = ProgressFolder.Open(options.ProgressFolder, launcher.Job);
        file = progress.CreateFile(launcher.Rank, launcher.Size);
        Activity = new RankActivity(file);
        terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, EndOnRequest);
        joinTimeout = options.JoinTimeout!.Value;
        device = DevicePlacement.For(Math.Max(0, launcher.LocalRank), options);
        Activity.Enter("joining the world");
        if (library is not null)
        {
            using (Guard(joinTimeout, "MPI_Init", DescribeMissing))
            {
                runtime = MpiRuntime.Start(library);
                lobby = runtime.CreateLobby(this, joinTimeout);
            }
        }
        else
        {
            try
            {
                runtime = TcpRuntime.Start(launcher, joinTimeout);
            }
            catch (CommunicationException failure)
            {
                // Rank 0 knows what the others only hear of: it speaks, unless it never came.
                if (failure.InnerException is RemoteRankException)
                {
                    Thread.Sleep(Grace);
                }

                Tell(() => Prefix(failure.Message) + failure.Message, mayBeSilent: true, null, null);
                Close(well: false);
                Libc.ExitNow(1);
                throw;
            }

            lobby = runtime.CreateLobby(this, joinTimeout);
        }

        peers = [.. Enumerable.Repeat(new LocalProcess(0, 0, string.Empty), runtime.Size)];
        ExchangeProcesses();

        // Not the processors that this process may use: a launcher that binds ranks leaves it one, its own.
        HasOwnCore = RanksOnThisMachine(runtime.Size) <= Libc.Processors();
        Activity.Enter("start");
        AppDomain.CurrentDomain.UnhandledException += EndUnhandled;
        AppDomain.CurrentDomain.ProcessExit += EndProcess;
    }

    public override int? Size => runtime.Size;

    public override bool IsLeader => runtime.Rank == 0;

    public override string? PreviousFailure => progress.PreviousFailure;

    public override string Transport =>
        $"{(device.type == DeviceType.CPU ? "" : "NCCL and ")}{runtime.Name}, {runtime.Size} processes";

    /// <summary>What this process's rank is at.</summary>
    public RankActivity Activity { get; }

    /// <summary>Whether tensors are added up in the order of ranks.</summary>
    public bool DeterministicReductions { get; }

    /// <summary>Whether the machine has a processor for each of its ranks, so that one that waits takes nothing from another.</summary>
    public bool HasOwnCore { get; private set; }

    /// <summary>Whether the connections were ended.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Joins the launcher's world.</summary>
    public static ProcessWorld Join(Launcher launcher, WorldOptions options)
    {
        if (joined is not null)
        {
            throw new CommunicationException("This process has joined its world before: a launcher's world can be joined once in a process.");
        }

        joined = new ProcessWorld(launcher, options);
        return joined;
    }

    public override IReadOnlyList<ICommunicator> Open(int size) => Open(size, Timeout);

    /// <summary>Opens a group with a timeout of its own.</summary>
    internal IReadOnlyList<ICommunicator> Open(int size, TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        if (size != runtime.Size)
        {
            throw new ArgumentException(
                $"The run needs {size} ranks (stages times replicas), {launcher.Name} has started {runtime.Size}: start {size} processes, or let the run have another number of replicas.");
        }

        Activity.Enter("opening the group");
        HostCommunicator communicator = lobby.Reopen(++opened, timeout);

        // All ranks have come here: whatever ended an earlier run, they are over it.
        runtime.Broken = null;
        return device.type == DeviceType.CPU ? [communicator]
            : [new NcclCommunicator(communicator, nccl ??= NcclLibrary.Load(), device, DeterministicReductions)];
    }

    public override int Report(Exception failure)
    {
        GroupFailure? broken = runtime.Broken;
        if (broken is null)
        {
            broken = runtime.FailureOf(opened);
            broken.Raise(failure);
        }

        Tell(() => Describe(failure), mayBeSilent: true, (broken.Cause as RemoteRankException)?.Rank, broken);
        return 1;
    }

    /// <summary>Whether the process of a rank has died; of ranks on this machine only.</summary>
    public bool HasDied(int rank) => peers is not null && peers[rank].Started > 0 && !peers[rank].IsAlive && !runtime.HasGone(rank);

    /// <summary>Notes that this rank waits for others, and has done so for a while.</summary>
    public void NoteWait(CallKind kind, int[] missing, TimeSpan waited) =>
        Volatile.Write(ref lastWait, new Wait(kind, missing, waited, Stopwatch.GetTimestamp()));

    /// <summary>Bounds a native call that cannot be bounded otherwise.</summary>
    public Watchdog Guard(TimeSpan limit, string call) => Guard(limit, call, () => string.Empty);

    internal override int RanksOnThisMachine(int size) => launcher.LocalSize > 0 ? launcher.LocalSize : peers.Count(p => p.IsHere);

    protected override void Dispose(bool disposing)
    {
        if (HasEnded)
        {
            return;
        }

        if (runtime.Broken is null)
        {
            Leave();
        }
    }

    private void Leave()
    {
        Activity.Enter("leaving");
        runtime.Announce(ControlKind.Leaving, 0, string.Empty);
        lobby.MeetToLeave();
        using (Guard(Timeout, "the end of the connections"))
        {
            runtime.EndTogether();
        }

        HasEnded = true;
        terminated.Dispose();
        AppDomain.CurrentDomain.UnhandledException -= EndUnhandled;
        AppDomain.CurrentDomain.ProcessExit -= EndProcess;
        Close(well: true);
    }

    private void Close(bool well)
    {
        Activity.End(well);
        file.Dispose();
        progress.Leave(launcher.Rank, well);
    }

    private Watchdog Guard(TimeSpan limit, string call, Func<string> more) => new(limit, () =>
    {
        string text = $"Rank {launcher.Rank} waited {limit.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture)} s in {call} for the other ranks, its timeout.{more()}";
        Tell(() => Prefix(text) + text, mayBeSilent: true, null, null);
        Libc.ExitNow(1);
    });

    private string DescribeMissing()
    {
        if (launcher.Size < 0)
        {
            return string.Empty;
        }

        int[] here = [.. progress.Ranks().Select(r => r.Rank)];
        int[] missing = [.. Enumerable.Range(0, launcher.Size).Except(here)];
        return missing.Length == 0 ? string.Empty
            : $" No rank {string.Join(", ", missing)} has come on this machine.";
    }

    /// <summary>Every rank learns the others' processes, to see at once when one on this machine dies.</summary>
    private void ExchangeProcesses()
    {
        // Numbers and the machine's name as numbers: what a meeting can carry.
        const int NameBytes = 256;
        const int Numbers = 2 + (NameBytes / sizeof(double));
        LocalProcess self = LocalProcess.Self();
        byte[] name = new byte[NameBytes];
        Encoding.UTF8.GetEncoder().Convert(self.Host, name, flush: true, out _, out _, out _);
        double[] all = new double[Numbers * runtime.Size];
        Span<double> mine = all.AsSpan(Numbers * runtime.Rank, Numbers);
        mine[0] = self.Id;
        mine[1] = self.Started;
        for (int i = 0; i < NameBytes; i++)
        {
            // Four bytes in a number: exact in float64.
            mine[2 + (i / 8)] += i % 8 < 4 ? name[i] * Math.Pow(256, i % 8) : 0;
        }

        lobby.AllReduce(all);
        for (int rank = 0; rank < runtime.Size; rank++)
        {
            ReadOnlySpan<double> theirs = all.AsSpan(Numbers * rank, Numbers);
            byte[] host = new byte[NameBytes];
            for (int i = 0; i < NameBytes / 8; i++)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(host.AsSpan(4 * i), (uint)theirs[2 + i]);
            }

            peers[rank] = new LocalProcess((int)theirs[0], (long)theirs[1], Encoding.UTF8.GetString(host).TrimEnd('\0'));

            // The same name may be on two machines, or in containers that do not see each other's processes.
            if (!peers[rank].IsHere || !peers[rank].IsAlive)
            {
                peers[rank] = peers[rank] with { Started = 0 };
            }
        }
    }

    private void EndUnhandled(object sender, UnhandledExceptionEventArgs e)
    {
        var failure = e.ExceptionObject as Exception ?? new InvalidOperationException($"{e.ExceptionObject}");
        if (!WasEndedByAnother(failure))
        {
            Console.Error.WriteLine(failure);
        }

        int status = Report(failure);
        EndAfterFailure(status);
        Libc.ExitNow(status);
    }

    private void EndProcess(object? sender, EventArgs e)
    {
        if (HasEnded)
        {
            return;
        }

        if (runtime.Broken is null && Environment.ExitCode == 0)
        {
            try
            {
                Leave();
                return;
            }
            catch (CommunicationException failure)
            {
                Environment.ExitCode = Report(failure);
            }
        }

        if (runtime.Broken is null)
        {
            runtime.FailureOf(opened).Raise(new CommunicationException($"The program of rank {runtime.Rank} has ended with status {Environment.ExitCode}."));
        }

        EndAfterFailure(Environment.ExitCode);
    }

    /// <summary>Sees that all ranks end: those that were ended wait for the message to get out, its author for them.</summary>
    private void EndAfterFailure(int status)
    {
        runtime.Announce(ControlKind.Gone, opened, string.Empty);
        int? origin = (runtime.Broken?.Cause as RemoteRankException)?.Rank;
        long start = Stopwatch.GetTimestamp();
        bool Over() => origin is { } o ? runtime.ReportedBy >= 0 || runtime.HasGone(o) || HasDied(o)
            : Enumerable.Range(0, runtime.Size).All(r => r == runtime.Rank || runtime.HasGone(r) || HasDied(r));
        while (!Over() && Stopwatch.GetElapsedTime(start) < Grace)
        {
            Thread.Sleep(5);
        }

        runtime.Flush(TimeSpan.FromMilliseconds(200));
        Close(well: false);
        if (origin is null && !Over())
        {
            // Somebody hears nothing, or computes without an end: the launcher ends it.
            runtime.Abort(status == 0 ? 1 : status);
        }

        runtime.Dispose();
    }

    private void EndOnRequest(PosixSignalContext context)
    {
        context.Cancel = true;
        if (runtime?.Broken?.Cause is { } cause and not RemoteRankException)
        {
            // This rank is about to report: launchers give it a second.
            for (int i = 0; i < 80 && !Volatile.Read(ref reported); i++)
            {
                Thread.Sleep(10);
            }

            Tell(() => Describe(cause), mayBeSilent: true, null, null);
        }
        else
        {
            Wait? wait = Volatile.Read(ref lastWait);
            bool waits = wait is not null && Stopwatch.GetElapsedTime(wait.NotedAt) < 2 * WaitNote;
            string request = "The launcher has told this rank to end (SIGTERM)"
                + (waits ? $", which waited {wait!.Waited.TotalSeconds.ToString("F1", CultureInfo.InvariantCulture)} s in {wait.Kind} for {HostCommunicator.Names(wait.Missing)}." : ".");
            Tell(() => Prefix(request) + request + DescribePeers(waits ? wait!.Missing : []), mayBeSilent: true, null, null);
        }

        Close(well: false);
        Libc.ExitNow(143);
    }

    /// <summary>Writes the one message, unless another rank does.</summary>
    private void Tell(Func<string> describe, bool mayBeSilent, int? origin, GroupFailure? failure)
    {
        lock (reporting)
        {
            if (reported)
            {
                return;
            }

            // The rank that failed first speaks, while it can.
            long start = Stopwatch.GetTimestamp();
            int speaker = origin ?? (failure?.Rival < runtime?.Rank ? failure!.Rival : -1);
            while (speaker >= 0 && runtime!.ReportedBy < 0 && !HasDied(speaker) && !runtime.HasGone(speaker) && Stopwatch.GetElapsedTime(start) < Grace)
            {
                Thread.Sleep(5);
            }

            if (speaker < 0 || runtime!.ReportedBy < 0)
            {
                string text = describe();
                if (progress.TryClaimReport(text) || !mayBeSilent)
                {
                    Console.Error.WriteLine(text);
                    Console.Error.Flush();
                }

                runtime?.Announce(ControlKind.Reported, opened, string.Empty);
            }

            Volatile.Write(ref reported, true);
        }
    }

    private string Describe(Exception failure) =>
        Prefix(failure.Message) + failure.Message + DescribePeers([.. Chain(failure).OfType<CommunicationException>().SelectMany(e => e.Awaited).Distinct()]);

    /// <summary>Who speaks and what it was at, where the message does not begin with that.</summary>
    private string Prefix(string message)
    {
        string at = Activity.Current is { } state && !message.Contains(", step ", StringComparison.Ordinal) ? $", {state}" : string.Empty;
        return $"dho2: rank {launcher.Rank} of {(runtime is null ? launcher.Size : runtime.Size)}{at}: ";
    }

    private string DescribePeers(int[] awaited)
    {
        RankProgress[] told = [.. progress.Ranks().Where(r => r.Rank != launcher.Rank && (awaited.Contains(r.Rank) || r.HasDied))];
        return told.Length == 0 ? string.Empty : $" {string.Join("; ", told.Select(r => r.ToString()))}.";
    }

    private static IEnumerable<Exception> Chain(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            yield return failure;
        }
    }

    private static bool WasEndedByAnother(Exception failure) => Chain(failure).OfType<RemoteRankException>().Any();

    private sealed record Wait(CallKind Kind, int[] Missing, TimeSpan Waited, long NotedAt);
}
