using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Checkpoints;

/// <summary>
/// One rank's part in saving. Its methods run on the rank's own thread, on all ranks in step; files are written on
/// another, which uses no communicator: what ranks have to tell each other then is told by files.
/// </summary>
internal sealed class CheckpointSaver : IDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    private readonly CheckpointStore store;
    private readonly CheckpointOptions options;
    private readonly ICommunicator ranks;
    private readonly CancellationTokenSource disposed = new();
    private readonly Dictionary<string, torch.Tensor> copies = [];
    private Task<CheckpointSaved>? writing;
    private CheckpointException? lastFailure;

    /// <summary>Creates a rank's part.</summary>
    /// <param name="options">Where to, and how many.</param>
    /// <param name="ranks">All ranks that save; stays the caller's.</param>
    public CheckpointSaver(CheckpointOptions options, ICommunicator ranks)
    {
        this.options = options;
        this.ranks = ranks;
        store = new CheckpointStore(options.Folder);
    }

    /// <summary>Called, on the first rank's thread, with what became of each checkpoint.</summary>
    public Action<CheckpointSaved>? Saved { get; init; }

    /// <summary>The step of the last checkpoint begun; -1 before the first.</summary>
    public long LastStep { get; set; } = -1;

    /// <summary>Begins a checkpoint, unless a rank is still writing the one before; then it changes nothing.</summary>
    /// <param name="step">The step.</param>
    /// <param name="describe">Gives this rank's tensors.</param>
    /// <param name="complete">On the first rank: makes the manifest from all ranks' receipts. Runs on another thread.</param>
    /// <returns>Whether it was begun; the same on every rank.</returns>
    /// <exception cref="CheckpointException">The checkpoint before could not be written.</exception>
    public bool TryBegin(long step, Func<RankContent> describe, Func<IReadOnlyList<RankReceipt>, CheckpointManifest> complete)
    {
        if (!Agree(out uint token))
        {
            return false;
        }

        // What is made for the checkpoint alone lives until it is copied, or written.
        using DisposeScope scope = torch.NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        RankContent content = describe();
        if (options.Asynchronous)
        {
            content.Weights.Detach(copies, "weights:");
            content.State.Detach(copies, "state:");
        }

        TimeSpan held = Stopwatch.GetElapsedTime(start);
        LastStep = step;
        writing = Task.Factory.StartNew(
            () => Write(step, token, content, complete, start, held), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        if (!options.Asynchronous)
        {
            Finish();
        }

        return true;
    }

    /// <summary>Reports a checkpoint that is complete.</summary>
    public void Poll()
    {
        if (writing is { IsCompleted: true })
        {
            Report();
        }
    }

    /// <summary>Waits until all ranks have written what they began.</summary>
    /// <exception cref="CheckpointException">It could not be written.</exception>
    public void Finish()
    {
        // Asks again and again, rather than once at the end, so that no rank's patience ends before a slow disk's.
        while (!Agree(out _))
        {
            Thread.Sleep(5);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // A run that ends early still completes what it began, if the other ranks do; the copies are read until then.
        if (writing is not null && !writing.Wait(options.Timeout < Grace ? options.Timeout : Grace))
        {
            disposed.Cancel();
            writing.Wait();
        }

        foreach (torch.Tensor copy in copies.Values)
        {
            copy.Dispose();
        }

        disposed.Dispose();
    }

    // Whether no rank is writing; then a failure of any is thrown on all, and all have the same token for the next.
    private bool Agree(out uint token)
    {
        Poll();
        CheckpointException? failure = lastFailure;
        Span<double> flags = [writing is null ? 0 : 1, failure is null ? 0 : 1, ranks.Rank == 0 ? (uint)Random.Shared.NextInt64(uint.MaxValue) : 0];
        ranks.AllReduce(flags, Reduction.Max);
        token = (uint)flags[2];
        lastFailure = null;
        if (flags[1] > 0 && options.StopOnFailure)
        {
            if (failure is null)
            {
                // The rank that failed ends all others, and they name its cause.
                ranks.Barrier();
            }

            throw failure!;
        }

        return flags[0] == 0;
    }

    private void Report()
    {
        CheckpointSaved saved = writing!.GetAwaiter().GetResult();
        writing = null;
        lastFailure = saved.Failure;
        if (ranks.Rank == 0)
        {
            Saved?.Invoke(saved);
        }
    }

    private CheckpointSaved Write(
        long step, uint token, RankContent content, Func<IReadOnlyList<RankReceipt>, CheckpointManifest> complete, long start, TimeSpan held)
    {
        CheckpointDraft? draft = null;
        CheckpointSaved Result(string? path, long bytes, CheckpointException? failure) =>
            new(path, step, bytes, options.Asynchronous ? held : Stopwatch.GetElapsedTime(start), Stopwatch.GetElapsedTime(start), failure);
        try
        {
            draft = store.Begin(step, token);
            CheckpointException? failure = WriteOwn(draft, content);
            if (ranks.Rank != 0)
            {
                return Result(null, 0, failure);
            }

            IReadOnlyList<RankReceipt> receipts = draft.Collect(ranks.Size, options.Timeout, disposed.Token);
            CheckpointManifest manifest = complete(receipts);
            string path = draft.Publish(manifest);
            store.Retain(options.Keep, step);
            return Result(path, manifest.Files.Sum(f => f.Bytes), null);
        }
        catch (Exception error)
        {
            if (ranks.Rank == 0)
            {
                draft?.Discard();
            }

            return Result(null, 0, error as CheckpointException ?? new CheckpointException(store.PathOf(step), error.Message, error));
        }
    }

    private CheckpointException? WriteOwn(CheckpointDraft draft, RankContent content)
    {
        RankReceipt receipt;
        CheckpointException? failure = null;
        try
        {
            var files = new List<StoredFile>();
            foreach ((string name, StoredKind kind, StateWriter writer) in content.Files)
            {
                if (writer.ToTensors() is { Count: > 0 } tensors)
                {
                    files.Add(draft.Write(name, kind, content.Stage, content.Replica, tensors));
                }
            }

            receipt = new RankReceipt(files, content.Parameters, content.Buffers);
        }
        catch (Exception error)
        {
            failure = error as CheckpointException ?? new CheckpointException(draft.Path, error.Message, error);
            receipt = new RankReceipt([], [], [], failure.Message);
        }

        draft.Leave(ranks.Rank, receipt);
        return failure;
    }
}

/// <summary>What one rank has to save.</summary>
/// <param name="Stage">Its stage.</param>
/// <param name="Replica">Its replica.</param>
/// <param name="Weights">The model's weights; nothing on replicas other than the first.</param>
/// <param name="State">The state of training.</param>
/// <param name="Parameters">The parameters that it stands for.</param>
/// <param name="Buffers">The buffers that it stands for.</param>
internal sealed record RankContent(
    int Stage, int Replica, StateWriter Weights, StateWriter State, IReadOnlyList<StoredTensor> Parameters, IReadOnlyList<StoredTensor> Buffers)
{
    /// <summary>The rank's files.</summary>
    public IEnumerable<(string Name, StoredKind Kind, StateWriter Writer)> Files =>
    [
        ($"weights-stage-{Stage}.safetensors", StoredKind.Weights, Weights),
        (Replica == 0 ? $"state-stage-{Stage}.safetensors" : $"state-stage-{Stage}-replica-{Replica}.safetensors", StoredKind.State, State),
    ];
}
