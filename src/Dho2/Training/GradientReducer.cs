using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Runtime.ExceptionServices;
using System.Threading;
using Dho2.Communication;
using Dho2.Planning;
using TorchSharp;

namespace Dho2;

/// <summary>
/// Adds up a stage's gradients over its replicas, bucket by bucket on a thread of its own, while the backward still works
/// on the rest. All replicas of the stage reduce the same buckets in the same order.
/// </summary>
internal sealed class GradientReducer : IDisposable
{
    private readonly ICommunicator group;
    private readonly torch.Tensor gradients;
    private readonly BlockingCollection<int> ready = [];
    private readonly SemaphoreSlim done = new(0);
    private readonly Thread thread;
    private Exception? failure;
    private int added;
    private int stage;
    private long step;

    /// <summary>Forms a group for the thread. All replicas of the stage do so in step.</summary>
    /// <param name="replicas">The replicas of the stage; stay the caller's.</param>
    /// <param name="gradients">The stage's gradients, shape (n_s); stay the caller's.</param>
    /// <param name="buckets">How they are divided.</param>
    public GradientReducer(ICommunicator replicas, torch.Tensor gradients, IReadOnlyList<GradientBucket> buckets)
    {
        this.gradients = gradients;
        Buckets = buckets;
        group = replicas.Split(0, replicas.Rank);
        thread = new Thread(Reduce) { IsBackground = true, Name = $"Dho2 gradients of replica {replicas.Rank}" };
        thread.Start();
    }

    /// <summary>The buckets, in the order in which they are reduced.</summary>
    public IReadOnlyList<GradientBucket> Buckets { get; }

    /// <summary>Bytes that the thread has sent so far; to be read after <see cref="Complete"/>.</summary>
    public long BytesSent => group.BytesSent;

    /// <summary>Time that reductions have taken so far, waiting for the other replicas included.</summary>
    public TimeSpan Busy { get; private set; }

    /// <summary>Time that the rank has waited for them in <see cref="Complete"/>: what did not overlap with its backward.</summary>
    public TimeSpan Exposed { get; private set; }

    /// <summary>Keeps what the thread does, while it is asked to: between steps, when the thread has nothing to do. Null for nothing of the kind.</summary>
    public ActivityTrace? Trace { get; set; }

    /// <summary>What is added from now on belongs to a step.</summary>
    public void BeginStep(int stage, long step) => (this.stage, this.step) = (stage, step);

    /// <summary>The next bucket's gradients are final on this replica.</summary>
    public void Add() => ready.Add(added++);

    /// <summary>Waits until all buckets of a step are reduced; those that were not added yet are added.</summary>
    public void Complete()
    {
        while (added < Buckets.Count)
        {
            Add();
        }

        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Buckets.Count; i++)
        {
            // The communicator's own timeout ends a reduction that hangs.
            done.Wait();
            if (failure is not null)
            {
                ExceptionDispatchInfo.Throw(failure);
            }
        }

        Exposed += Stopwatch.GetElapsedTime(start);
        added = 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ready.CompleteAdding();
        thread.Join();
        group.Dispose();
    }

    private void Reduce()
    {
        NativeThreads.Limit(1);
        foreach (int index in ready.GetConsumingEnumerable())
        {
            try
            {
                if (failure is null)
                {
                    long start = Stopwatch.GetTimestamp();
                    GradientBucket bucket = Buckets[index];
                    Trace?.Enter(new RankState(TraceNames.GradientReduction, stage, step, -1, DateTime.UtcNow));
                    using torch.Tensor part = gradients.narrow(0, bucket.Start, bucket.Length);
                    group.AllReduce(part);
                    Busy += Stopwatch.GetElapsedTime(start);
                    if (Trace is { IsOn: true })
                    {
                        // Until the next bucket it does nothing that a note would be about.
                        Trace.End();
                        Trace.Begin();
                    }
                }
            }
            catch (Exception e)
            {
                failure = e;
            }
            finally
            {
                done.Release();
            }
        }
    }
}
