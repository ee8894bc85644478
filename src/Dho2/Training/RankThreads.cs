using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.ExceptionServices;
using System.Threading;
using Dho2.Communication;
using TorchSharp;

namespace Dho2;

/// <summary>
/// The threads of this process's ranks. They live as long as the trainer: native libraries keep buffers and thread pools
/// for each thread that calls them. A rank without others can do short work on the thread that made the trainer: handing it
/// over and back takes a hundredth of a short step, and hides it from whoever steps through the code.
/// </summary>
internal sealed class RankThreads
{
    private readonly IReadOnlyList<ICommunicator> ranks;
    private readonly int nativeThreads;
    private readonly Thread? owner;
    private readonly Lock oneCall = new();
    private readonly BlockingCollection<Action>[] work;
    private readonly Thread[] threads;
    private Exception? failure;
    private bool abandoned;
    private bool ownerWorks;

    /// <summary>Starts one thread for each rank.</summary>
    /// <param name="ranks">The communicators of this process's ranks; they stay the caller's.</param>
    /// <param name="nativeThreads">Native threads that each rank may use within an operation.</param>
    public RankThreads(IReadOnlyList<ICommunicator> ranks, int nativeThreads)
    {
        this.ranks = ranks;
        this.nativeThreads = nativeThreads;
        owner = ranks is [{ Size: 1 }] ? Thread.CurrentThread : null;
        work = [.. ranks.Select(_ => new BlockingCollection<Action>())];
        threads =
        [
            .. ranks.Select((rank, i) => new Thread(() =>
            {
                foreach (Action action in work[i].GetConsumingEnumerable())
                {
                    action();
                }
            })
            {
                IsBackground = true,
                Name = $"Dho2 rank {rank.Rank}",
            }),
        ];
        Array.ForEach(threads, thread => thread.Start());

        // The setting is a thread's own, but also what new threads start from: this thread's is put back afterwards.
        int before = torch.get_num_threads();
        RunOnThreads(_ => NativeThreads.Limit(nativeThreads));
        torch.set_num_threads(before);
    }

    /// <summary>Runs the work on every rank, with the index of its communicator, and waits for all of them.</summary>
    /// <param name="action">The work.</param>
    /// <param name="mayRunHere">Whether a rank without others may do it on the calling thread: it leaves no tensors to that thread's dispose scopes.</param>
    /// <exception cref="InvalidOperationException">An earlier call failed, or this is one of the ranks' own threads.</exception>
    /// <remarks>
    /// Where ranks fail, rethrows the failure that ended the others. A rank that hangs outside of all communication
    /// cannot be ended: it is given the communicators' timeout, and then left behind.
    /// </remarks>
    public void Run(Action<int> action, bool mayRunHere = false)
    {
        if (failure is not null)
        {
            throw new InvalidOperationException($"The run has ended with a failure before: {failure.Message}", failure);
        }

        if (threads.Contains(Thread.CurrentThread) || (ownerWorks && Thread.CurrentThread == owner))
        {
            throw new InvalidOperationException("A rank cannot start work on all ranks; in an event handler, leave it to the thread that started the run.");
        }

        if (owner is null)
        {
            RunOnThreads(action);
            return;
        }

        lock (oneCall)
        {
            if (mayRunHere && Thread.CurrentThread == owner && SuitsRank())
            {
                RunOnOwner(action);
            }
            else
            {
                RunOnThreads(action);
            }
        }
    }

    // A rank's thread has the number of native threads that it was given, and nothing of the caller's switched off.
    private bool SuitsRank() =>
        torch.get_num_threads() == nativeThreads && torch.is_grad_enabled() && !torch.is_inference_mode_enabled();

    private void RunOnOwner(Action<int> action)
    {
        ownerWorks = true;
        try
        {
            action(0);
        }
        catch (Exception e)
        {
            failure = e;
            ranks[0].Abort(e);
            throw;
        }
        finally
        {
            ownerWorks = false;
        }
    }

    private void RunOnThreads(Action<int> action)
    {
        if (ranks.Count == 0)
        {
            return;
        }

        var failures = new ConcurrentQueue<Exception>();

        // Not disposed where a rank is left behind, which may still come to them. A rank of another process can fail, too.
        var failed = CancellationTokenSource.CreateLinkedTokenSource([.. ranks.Select(rank => rank.Aborted)]);
        var done = new CountdownEvent(ranks.Count);
        for (int i = 0; i < ranks.Count; i++)
        {
            int rank = i;
            work[i].Add(() =>
            {
                try
                {
                    action(rank);
                }
                catch (Exception e)
                {
                    failures.Enqueue(e);
                    ranks[rank].Abort(e);
                    failed.Cancel();
                }
                finally
                {
                    done.Signal();
                }
            });
        }

        try
        {
            done.Wait(failed.Token);
        }
        catch (OperationCanceledException)
        {
            abandoned = !done.Wait(ranks[0].Timeout);
        }

        if (!abandoned)
        {
            failed.Dispose();
        }

        failure = failures.FirstOrDefault(e => !WasEndedByAnother(e)) ?? failures.FirstOrDefault() ?? (abandoned ? HangingRank() : null);
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    /// <summary>Ends the threads.</summary>
    /// <returns>Whether all have ended, so that what they used can be released.</returns>
    public bool End()
    {
        Array.ForEach(work, queue => queue.CompleteAdding());
        if (!abandoned)
        {
            Array.ForEach(threads, thread => thread.Join());
        }

        return !abandoned;
    }

    private CommunicationException HangingRank() => new(
        $"The group was aborted, and {string.Join(", ", ranks.Select(r => $"rank {r.Rank} has gone on since{(r.Activity.Current is { } state ? $", in {state}" : "")}"))}: it hangs outside of all communication and is left behind.");

    internal static bool WasEndedByAnother(Exception e)
    {
        for (Exception? link = e; link is not null; link = link.InnerException)
        {
            if (link is CommunicationException { InnerException: not null })
            {
                return true;
            }
        }

        return false;
    }
}
