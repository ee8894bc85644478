using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using TorchSharp;

namespace Dho2;

/// <summary>
/// The ranks of this process that estimate curvature beside training, each on a thread of its own. A call of the trainer
/// does not wait for them: an estimate goes on over as many calls as it takes. Where a process has no other ranks, they
/// know what a call came to.
/// </summary>
internal sealed class CurvatureRanks
{
    private readonly IReadOnlyList<ICommunicator> communicators;
    private readonly CurvatureRank?[] ranks;
    private readonly BlockingCollection<Action>[] work;
    private readonly Thread[] threads;
    private readonly BlockingCollection<double[]> results = [];
    private readonly CancellationTokenSource failed = new();
    private Exception? failure;

    /// <summary>Starts the threads, and on them builds the ranks, in step with the workers'.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="communicators">The ranks' places in the world; each its rank's own from now on.</param>
    /// <param name="nativeThreads">Native threads that each rank may use within an operation.</param>
    public CurvatureRanks(TrainingSetup setup, IReadOnlyList<ICommunicator> communicators, int nativeThreads)
    {
        this.communicators = communicators;
        ranks = new CurvatureRank?[communicators.Count];
        work = [.. communicators.Select(_ => new BlockingCollection<Action>())];
        threads =
        [
            .. communicators.Select((communicator, i) => new Thread(() => Work(i))
            {
                IsBackground = true,
                Name = $"Dho2 rank {communicator.Rank}",
            }),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Post(i =>
        {
            NativeThreads.Limit(nativeThreads);
            ranks[i] = new CurvatureRank(setup, communicators[i]);
        });
    }

    /// <summary>What ended the ranks, unless they were ended by others; null while there is nothing.</summary>
    public Exception? Failure => failure is { } cause && !RankThreads.WasEndedByAnother(cause) ? cause : null;

    /// <summary>The ranks' numbers in the world.</summary>
    public IEnumerable<int> WorldRanks => communicators.Select(communicator => communicator.Rank);

    /// <summary>Lets the ranks keep what they do in their next estimates.</summary>
    /// <param name="create">Makes what keeps it, for a rank of the world; null for nothing of the kind.</param>
    /// <param name="estimates">So many estimates.</param>
    public void Trace(Func<int, ActivityTrace?> create, int estimates)
    {
        ActivityTrace?[] traces = [.. WorldRanks.Select(create)];
        Post(i => ranks[i]!.Trace(traces[i], estimates));
    }

    /// <summary>Lets the ranks serve a call of the trainer.</summary>
    public void BeginCall() => Post(i =>
    {
        double[] numbers = ranks[i]!.Serve();
        if (i == 0)
        {
            results.Add(numbers);
        }
    });

    /// <summary>What the call came to that has not been asked about for longest; waits for its end.</summary>
    /// <exception cref="InvalidOperationException">A rank failed.</exception>
    public double[] Result()
    {
        try
        {
            return results.Take(failed.Token);
        }
        catch (OperationCanceledException)
        {
            throw new InvalidOperationException($"The run has ended with a failure: {failure!.Message}", failure);
        }
    }

    /// <summary>Forgets what the call came to, which another rank of this process knows.</summary>
    public void DropResults()
    {
        while (results.TryTake(out _))
        {
        }
    }

    /// <summary>Ends the threads, after estimates that are under way.</summary>
    public void End()
    {
        Array.ForEach(work, queue => queue.CompleteAdding());
        Array.ForEach(threads, thread => thread.Join());
        foreach (CurvatureRank? rank in ranks)
        {
            rank?.Dispose();
        }
    }

    private void Post(Action<int> action)
    {
        for (int i = 0; i < work.Length; i++)
        {
            int rank = i;
            work[i].Add(() => action(rank));
        }
    }

    private void Work(int rank)
    {
        foreach (Action action in work[rank].GetConsumingEnumerable())
        {
            if (failure is not null)
            {
                continue;
            }

            try
            {
                action();
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, e, null);
                communicators[rank].Abort(e);
                failed.Cancel();
            }
        }
    }
}
