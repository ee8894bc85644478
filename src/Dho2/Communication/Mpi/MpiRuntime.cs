using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
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
    private static readonly TimeSpan IdleTick = TimeSpan.FromMilliseconds(2);

    /// <summary>How long MPI may take to end once all processes have come to their end: the work is done by then.</summary>
    private static readonly TimeSpan FinalizeLimit = TimeSpan.FromSeconds(5);

    /// <summary>How long the launcher may take to end all processes.</summary>
    private static readonly TimeSpan AbortLimit = TimeSpan.FromSeconds(3);

    /// <summary>Microseconds: a large message goes in pieces, each of which waits for a call.</summary>
    private const uint SendingTick = 200;

    /// <summary>A rank that has called MPI so shortly ago moves its messages on itself.</summary>
    private static readonly TimeSpan OwnTurn = TimeSpan.FromMilliseconds(1);

    /// <summary>How often in a row the service may find a rank within MPI before it waits for it to come out.</summary>
    private const int MostMisses = 10;

    private readonly object gate = new();
    private readonly Thread service;
    private readonly BlockingCollection<Action> work = new();
    private readonly List<PendingSend> sends = [];
    private bool serviceOnly = true;
    private volatile bool ended;
    private long lastCall;
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
            return OnService(() => call(Mpi, state));
        }

        lock (gate)
        {
            Volatile.Write(ref lastCall, Stopwatch.GetTimestamp());
            return call(Mpi, state);
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

    /// <summary>Takes care of a started send until it has completed. Called within <see cref="Call"/>.</summary>
    /// <param name="requests">The requests, in native memory that is freed when all have completed.</param>
    /// <param name="count">Their number.</param>
    /// <param name="buffer">More native memory to be freed then.</param>
    /// <param name="tensor">A tensor to be disposed then.</param>
    public void Keep(IntPtr* requests, int count, void* buffer, torch.Tensor? tensor)
    {
        var send = new PendingSend(requests, count, buffer, tensor);
        if (!send.TryComplete(Mpi))
        {
            sends.Add(send);
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

                byte* buffer = (byte*)NativeMemory.Alloc(ControlMessage.Size);
                IntPtr* request = (IntPtr*)NativeMemory.AllocZeroed((nuint)sizeof(IntPtr));
                new ControlMessage(s.Kind, s.Group, runtime.Rank, s.Text).Write(new Span<byte>(buffer, ControlMessage.Size));
                if (mpi.Isend(buffer, ControlMessage.Size, mpi.Byte, other, ControlTag, runtime.Control, request) == 0)
                {
                    runtime.Keep(request, 1, buffer, null);
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
        bool isSending = false;
        int misses = 0;
        while (!work.IsCompleted)
        {
            if (work.TryTake(out Action? action, isSending ? TimeSpan.Zero : IdleTick))
            {
                action();
            }
            else if (isSending)
            {
                Libc.SleepMicroseconds(SendingTick);
            }

            if (ended || controlRequest == null || (isSending && Stopwatch.GetElapsedTime(Volatile.Read(ref lastCall)) < OwnTurn && ++misses < MostMisses))
            {
                continue;
            }

            // A rank that is in a call moves its messages on itself, and to wait for it would make it call the kernel when it
            // leaves: that is done now and then only.
            bool isIn = misses < MostMisses && Monitor.TryEnter(gate);
            if (!isIn && ++misses > MostMisses)
            {
                Monitor.Enter(gate);
                isIn = true;
            }

            if (isIn)
            {
                misses = 0;
                try
                {
                    MoveOn();
                    isSending = sends.Count > 0;
                }
                finally
                {
                    Monitor.Exit(gate);
                }
            }
        }
    }

    // Under the lock: completes sends and takes in what others say.
    private void MoveOn()
    {
        for (int i = sends.Count - 1; i >= 0; i--)
        {
            if (sends[i].TryComplete(Mpi))
            {
                sends.RemoveAt(i);
            }
        }

        int flag;
        while (Mpi.Test(controlRequest, &flag, (void*)Mpi.StatusIgnore) == 0 && flag != 0)
        {
            ControlMessage message = ControlMessage.Read(new ReadOnlySpan<byte>(controlBuffer, ControlMessage.Size));
            Mpi.Irecv(controlBuffer, ControlMessage.Size, Mpi.Byte, Mpi.AnySource, ControlTag, Control, controlRequest);
            Hear(message);
        }
    }

    /// <summary>A send under way, with what must stay until it has completed.</summary>
    private sealed class PendingSend(IntPtr* requests, int count, void* buffer, torch.Tensor? tensor)
    {
        private readonly IntPtr* requests = requests;
        private readonly void* buffer = buffer;
        private int next;

        public bool TryComplete(MpiLibrary mpi)
        {
            while (next < count)
            {
                // A process that has died takes its messages with it: that is noticed where something is awaited from it.
                int flag;
                if (mpi.Test(requests + next, &flag, (void*)mpi.StatusIgnore) == 0 && flag == 0)
                {
                    return false;
                }

                next++;
            }

            NativeMemory.Free(requests);
            NativeMemory.Free(buffer);
            tensor?.Dispose();
            return true;
        }
    }
}
