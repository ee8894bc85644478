using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using TorchSharp;

namespace Dho2.Communication.Mpi;

/// <summary>
/// MPI in this process. Calls are made one at a time: under a lock where MPI lets any thread call it (from
/// <c>MPI_THREAD_SERIALIZED</c> on), else on the one thread that started it. That thread also moves messages on while the
/// rank computes, and listens to what other processes say about failures.
/// </summary>
internal sealed unsafe class MpiRuntime : HostRuntime
{
    private const int ControlTag = 7;

    /// <summary>How many sends that have completed are kept to be used again.</summary>
    private const int MostSpare = 32;
    private static readonly TimeSpan IdleTick = TimeSpan.FromMilliseconds(2);

    /// <summary>How long MPI may take to end once all processes have come to their end: the work is done by then.</summary>
    private static readonly TimeSpan FinalizeLimit = TimeSpan.FromSeconds(5);

    /// <summary>How long the launcher may take to end all processes.</summary>
    private static readonly TimeSpan AbortLimit = TimeSpan.FromSeconds(3);

    /// <summary>While something is being sent: a large message may go in pieces, each of which waits for a call.</summary>
    private static readonly TimeSpan SendingTick = TimeSpan.FromMilliseconds(0.2);

    /// <summary>
    /// A rank that has moved messages on so shortly ago goes on with it itself. The service does not even look: to wake costs a
    /// core's own rank several microseconds each time, and a lock that two want costs both a call of the kernel.
    /// </summary>
    private static readonly TimeSpan OwnTurn = TimeSpan.FromMilliseconds(1);

    /// <summary>How long a rank asks for what it waits for alone, before it moves on everything else once.</summary>
    private static readonly long WaitersTick = Stopwatch.Frequency / 2_000;

    /// <summary>How long the service, where it alone may call MPI, waits on behalf of one rank before it looks for other work.</summary>
    private static readonly TimeSpan ServiceTurn = TimeSpan.FromMilliseconds(0.1);

    private readonly object gate = new();
    private readonly Thread service;
    private readonly BlockingCollection<Action> work = new();
    private readonly List<PendingSend> sends = [];
    private readonly Stack<PendingSend> spare = [];
    private bool serviceOnly = true;
    private volatile bool ended;
    private volatile bool sending;
    private long lastMoved;
    private byte* controlBuffer;
    private IntPtr* controlRequest;

    private MpiRuntime(MpiLibrary mpi)
    {
        Mpi = mpi;
        service = new Thread(Serve) { IsBackground = true, Name = "Dho2 MPI" };
        service.Start();
        (Rank, Size, Control) = OnService(Initialise);
        OnService(() => Listen());
    }

    /// <summary>The library.</summary>
    public MpiLibrary Mpi { get; }

    /// <summary>This process's rank.</summary>
    public override int Rank { get; }

    /// <summary>The number of processes.</summary>
    public override int Size { get; }

    /// <summary>The thread level that MPI gave, from 0 (single) to 3 (multiple).</summary>
    public int ThreadLevel { get; private set; }

    public override string Name => Mpi.Version();

    private IntPtr Control { get; }

    /// <summary>Starts MPI.</summary>
    /// <exception cref="CommunicationException">MPI could not be started.</exception>
    public static MpiRuntime Start(MpiLibrary library) => new(library);

    /// <summary>Makes calls of MPI, alone.</summary>
    public T Call<TState, T>(TState state, Func<MpiLibrary, TState, T> call)
    {
        if (serviceOnly && Thread.CurrentThread != service)
        {
            return CallOnService(state, call);
        }

        lock (gate)
        {
            return call(Mpi, state);
        }
    }

    /// <summary>
    /// Asks for requests that somebody waits for, and, now and then, for all else that is under way. Where each question would have to
    /// go to the service it asks for a while.
    /// </summary>
    /// <param name="requests">The requests; null ones are skipped.</param>
    /// <param name="count">Their number.</param>
    /// <param name="done">A bit for each that has completed; those are not asked for again.</param>
    /// <returns>Whether all have completed.</returns>
    public bool Poll(IntPtr* requests, int count, ulong* done)
    {
        if (serviceOnly && Thread.CurrentThread != service)
        {
            return PollOnService(requests, count, done);
        }

        lock (gate)
        {
            return PollOnce(requests, count, done);
        }
    }

    /// <summary>Throws if a call of MPI did not succeed.</summary>
    public static void Check(MpiLibrary mpi, int code, string call)
    {
        if (code != 0)
        {
            throw new CommunicationException($"{call} failed: {mpi.Describe(code)}");
        }
    }

    /// <summary>Whether a request has completed. A completed one is not tested again.</summary>
    public static bool Test(MpiLibrary mpi, IntPtr* request, string call)
    {
        int flag;
        Check(mpi, mpi.Test(request, &flag, (void*)mpi.StatusIgnore), call);
        return flag != 0;
    }

    /// <summary>What a send needs until it has completed. Called within <see cref="Call"/>, and followed by <see cref="Keep"/>.</summary>
    /// <param name="requests">The number of its requests.</param>
    public PendingSend Take(int requests)
    {
        PendingSend send = spare.Count > 0 ? spare.Pop() : new PendingSend();
        send.Reserve(requests);
        return send;
    }

    /// <summary>Takes care of a started send until it has completed. Called within <see cref="Call"/>.</summary>
    /// <param name="send">The send.</param>
    /// <param name="tensor">A tensor to be disposed then.</param>
    public void Keep(PendingSend send, torch.Tensor? tensor)
    {
        send.Keep(tensor);
        if (send.TryComplete(Mpi))
        {
            PutAway(send);
        }
        else
        {
            sends.Add(send);
            sending = true;
        }
    }

    public override HostCommunicator CreateLobby(ProcessWorld world, TimeSpan timeout) => new MpiCommunicator(
        world,
        this,
        FailureOf(0),
        Call(Rank, static (mpi, rank) =>
        {
            IntPtr result = IntPtr.Zero;
            Check(mpi, mpi.CommSplit(mpi.World, 0, rank, &result), "MPI_Comm_split");
            return result;
        }),
        [.. Enumerable.Range(0, Size)],
        Rank,
        timeout);

    /// <summary>Tells all other processes something. Does not wait, and does not fail where a process has died.</summary>
    public override void Announce(ControlKind kind, int group, string text)
    {
        if (ended)
        {
            return;
        }

        Call((Runtime: this, Kind: kind, Group: group, Text: text), static (mpi, s) =>
        {
            MpiRuntime runtime = s.Runtime;
            for (int other = 0; other < runtime.Size; other++)
            {
                if (other == runtime.Rank || runtime.HasGone(other))
                {
                    continue;
                }

                PendingSend send = runtime.Take(1);
                new ControlMessage(s.Kind, s.Group, runtime.Rank, s.Text).Write(new Span<byte>(send.Buffer, ControlMessage.Size));
                if (mpi.Isend(send.Buffer, ControlMessage.Size, mpi.Byte, other, ControlTag, runtime.Control, send.Requests) == 0)
                {
                    runtime.Keep(send, null);
                }
                else
                {
                    runtime.PutAway(send);
                }
            }

            return 0;
        });
    }

    /// <summary>Waits, for a while, until what was announced is on its way.</summary>
    public override void Flush(TimeSpan limit) => MoveOnUntil(runtime => runtime.sends.Count == 0, limit);

    /// <summary>Ends MPI, after all processes have come to an end together.</summary>
    public override void EndTogether()
    {
        // A message that nobody receives any more would hold up its sender's end of MPI.
        MoveOnUntil(
            runtime => runtime.sends.Count == 0 && Enumerable.Range(0, runtime.Size).All(other => other == runtime.Rank || runtime.IsLeaving(other)),
            TimeSpan.FromSeconds(5));

        // The service goes on moving messages for processes that are not here yet.
        bool isOver = HydraConnection.IfNeeded(Mpi.Description(), Environment.GetEnvironmentVariable) is { } hydra
            ? hydra.Leave(FinalizeLimit) : OnService(EndMpi, FinalizeLimit);
        ended = true;
        work.CompleteAdding();
        if (isOver)
        {
            service.Join();
        }
    }

    /// <summary>Ends all processes of the job, this one included, at once.</summary>
    public override void Abort(int status)
    {
        // MPICH asks its launcher and waits for the answer, which does not come where the network to it is cut.
        using var guard = new Watchdog(AbortLimit, () => Libc.ExitNow(status));
        Mpi.Abort(Mpi.World, status);
        Libc.ExitNow(status);
    }

    /// <summary>Stops to listen. MPI is not ended: that would wait for the other processes.</summary>
    public override void Dispose()
    {
        ended = true;
        work.CompleteAdding();
    }

    private void EndMpi()
    {
        lock (gate)
        {
            ended = true;
            int flag = 0;
            Mpi.Cancel(controlRequest);
            for (int turn = 0; turn < 1000 && flag == 0; turn++)
            {
                _ = Mpi.Test(controlRequest, &flag, (void*)Mpi.StatusIgnore);
            }

            Check(Mpi, Mpi.Finalize(), "MPI_Finalize");
        }
    }

    private void MoveOnUntil(Func<MpiRuntime, bool> done, TimeSpan limit)
    {
        long start = Stopwatch.GetTimestamp();
        while (!ended && Stopwatch.GetElapsedTime(start) < limit && !Call((Runtime: this, Done: done), static (mpi, s) =>
        {
            s.Runtime.MoveOn();
            return s.Done(s.Runtime);
        }))
        {
            Thread.Sleep(1);
        }
    }

    private (int Rank, int Size, IntPtr Control) Initialise()
    {
        int provided;
        int wanted = Environment.GetEnvironmentVariable("DHO2_MPI_THREADS") switch
        {
            "funneled" => MpiLibrary.ThreadSerialized - 1,
            "serialized" => MpiLibrary.ThreadSerialized,
            _ => MpiLibrary.ThreadMultiple,
        };
        Check(Mpi, Mpi.InitThread(IntPtr.Zero, IntPtr.Zero, wanted, &provided), "MPI_Init_thread");
        ThreadLevel = provided;
        serviceOnly = provided < MpiLibrary.ThreadSerialized || wanted < MpiLibrary.ThreadSerialized;
        Mpi.CommSetErrhandler(Mpi.World, Mpi.ErrorsReturn);
        int rank, size;
        Check(Mpi, Mpi.CommRank(Mpi.World, &rank), "MPI_Comm_rank");
        Check(Mpi, Mpi.CommSize(Mpi.World, &size), "MPI_Comm_size");
        IntPtr control = IntPtr.Zero;
        Check(Mpi, Mpi.CommSplit(Mpi.World, 0, rank, &control), "MPI_Comm_split");
        Mpi.CommSetErrhandler(control, Mpi.ErrorsReturn);
        return (rank, size, control);
    }

    private void Listen()
    {
        controlBuffer = (byte*)NativeMemory.Alloc(ControlMessage.Size);
        controlRequest = (IntPtr*)NativeMemory.AllocZeroed((nuint)sizeof(IntPtr));
        Mpi.Irecv(controlBuffer, ControlMessage.Size, Mpi.Byte, Mpi.AnySource, ControlTag, Control, controlRequest);
    }

    // Apart from its caller, which would otherwise allocate what this captures whether it comes here or not: a rank that asks and
    // asks would write through its core's cache, where the message is to arrive.
    private T CallOnService<TState, T>(TState state, Func<MpiLibrary, TState, T> call) => OnService(() => call(Mpi, state));

    private bool PollOnService(IntPtr* requests, int count, ulong* done) => OnService(() =>
    {
        long start = Stopwatch.GetTimestamp();
        while (!PollOnce(requests, count, done))
        {
            if (work.Count > 0 || Stopwatch.GetElapsedTime(start) > ServiceTurn)
            {
                return false;
            }

            Thread.SpinWait(10);
        }

        return true;
    });

    private bool PollOnce(IntPtr* requests, int count, ulong* done)
    {
        bool all = true;
        for (int i = 0; i < count; i++)
        {
            ref ulong word = ref done[i / 64];
            ulong bit = 1UL << (i % 64);
            if ((word & bit) == 0)
            {
                if (requests[i] == IntPtr.Zero || Test(Mpi, requests + i, "MPI_Test"))
                {
                    word |= bit;
                }
                else
                {
                    all = false;
                }
            }
        }

        if (!all)
        {
            long now = Stopwatch.GetTimestamp();
            if (now - lastMoved > WaitersTick)
            {
                Volatile.Write(ref lastMoved, now);
                MoveOn();
            }
        }

        return all;
    }

    private T OnService<T>(Func<T> call)
    {
        if (Thread.CurrentThread == service)
        {
            return call();
        }

        T result = default!;
        Exception? thrown = null;
        using var done = new ManualResetEventSlim();
        work.Add(() =>
        {
            try
            {
                result = call();
            }
            catch (Exception e)
            {
                thrown = e;
            }
            finally
            {
                done.Set();
            }
        });
        done.Wait();
        return thrown is null ? result : throw new CommunicationException(thrown.Message, (thrown as CommunicationException)?.InnerException);
    }

    private void OnService(Action call) => OnService(() =>
    {
        call();
        return 0;
    });

    /// <summary>Whether a call was over within a limit; if not, it goes on.</summary>
    private bool OnService(Action call, TimeSpan limit)
    {
        Exception? thrown = null;
        var done = new ManualResetEventSlim();
        work.Add(() =>
        {
            try
            {
                call();
            }
            catch (Exception e)
            {
                thrown = e;
            }
            finally
            {
                done.Set();
            }
        });
        bool isOver = done.Wait(limit);
        return thrown is null ? isOver : throw new CommunicationException(thrown.Message, (thrown as CommunicationException)?.InnerException);
    }

    private void Serve()
    {
        TimeSpan tick = IdleTick;
        while (!work.IsCompleted)
        {
            if (TryTakeWork(tick, out Action? action))
            {
                action();
            }

            if (ended || controlRequest == null)
            {
                continue;
            }

            bool isOurTurn = Stopwatch.GetElapsedTime(Volatile.Read(ref lastMoved)) > OwnTurn;
            if (isOurTurn)
            {
                lock (gate)
                {
                    MoveOn();
                }
            }

            tick = isOurTurn && sending ? SendingTick : IdleTick;
        }
    }

    private bool TryTakeWork(TimeSpan tick, [NotNullWhen(true)] out Action? action)
    {
        if (serviceOnly)
        {
            // Whole milliseconds: none would be no wait at all.
            return work.TryTake(out action, Math.Max(1, (int)tick.TotalMilliseconds));
        }

        if (work.TryTake(out action))
        {
            return true;
        }

        // A wait for work spins before it sleeps, on the core of a rank that has better things to do.
        Libc.SleepMicroseconds((uint)Math.Ceiling(tick.TotalMicroseconds));
        return false;
    }

    // Under the lock: completes sends and takes in what others say.
    private void MoveOn()
    {
        for (int i = sends.Count - 1; i >= 0; i--)
        {
            if (sends[i].TryComplete(Mpi))
            {
                PutAway(sends[i]);
                sends.RemoveAt(i);
            }
        }

        sending = sends.Count > 0;
        int flag;
        while (Mpi.Test(controlRequest, &flag, (void*)Mpi.StatusIgnore) == 0 && flag != 0)
        {
            ControlMessage message = ControlMessage.Read(new ReadOnlySpan<byte>(controlBuffer, ControlMessage.Size));
            Mpi.Irecv(controlBuffer, ControlMessage.Size, Mpi.Byte, Mpi.AnySource, ControlTag, Control, controlRequest);
            Hear(message);
        }
    }

    private void PutAway(PendingSend send)
    {
        if (spare.Count < MostSpare)
        {
            spare.Push(send);
        }
        else
        {
            send.Free();
        }
    }
}
