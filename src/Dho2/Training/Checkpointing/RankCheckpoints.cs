using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Communication;

namespace Dho2;

/// <summary>One rank's part in a run's checkpoints: when they are begun, and how the run goes on from one. Runs on the rank's own thread, on all ranks in step.</summary>
internal sealed class RankCheckpoints : IDisposable
{
    private const int LongestCause = 2000;

    private readonly TrainingSetup setup;
    private readonly TrainingRank rank;
    private readonly CheckpointOptions options;
    private readonly CheckpointStore store;
    private readonly CheckpointSaver saver;
    private readonly IReadOnlyList<IStateful> components;
    private readonly IDisposable? held;
    private readonly int modelParameters;
    private bool due;

    /// <summary>Creates a rank's part.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="rank">The rank; stays the caller's.</param>
    /// <param name="options">Where, and how often.</param>
    /// <param name="components">What else has a state, on every rank in the same order.</param>
    /// <param name="writes">Whether it saves too, so that no other run may use the folder.</param>
    /// <param name="saved">Called, on the first rank's thread, with what became of each checkpoint.</param>
    /// <exception cref="CheckpointException">Another run uses the folder, or it cannot be made.</exception>
    public RankCheckpoints(
        TrainingSetup setup,
        TrainingRank rank,
        CheckpointOptions options,
        IReadOnlyList<IStateful> components,
        bool writes = true,
        Action<CheckpointSaved>? saved = null)
    {
        this.setup = setup;
        this.rank = rank;
        this.options = options;
        this.components = components;
        store = new CheckpointStore(options.Folder);
        Span<double> count = [rank.Replica == 0 ? rank.Flat.Segments.Count : 0];
        rank.Workers.AllReduce(count);
        modelParameters = (int)count[0];
        held = IsFirst && writes ? store.Hold() : null;
        saver = new CheckpointSaver(options, rank.Workers) { Saved = saved };
    }

    private bool IsFirst => rank.Workers.Rank == 0;

    /// <summary>Goes on from the newest checkpoint that is whole and of this model.</summary>
    /// <returns>Which it is, with refusals of newer ones; null if the folder has none.</returns>
    /// <exception cref="CheckpointException">There are checkpoints, but none can be used; the message says why.</exception>
    public CheckpointResumed? Resume()
    {
        if (held is not null)
        {
            store.RemoveLeftovers();
        }

        Queue<long> candidates = new(IsFirst ? store.Steps : []);
        var refused = new List<CheckpointException>();
        while (true)
        {
            Span<double> next = [candidates.TryDequeue(out long step) ? step : -1];
            rank.Workers.AllReduce(next, Reduction.Max);
            if (next[0] < 0)
            {
                return refused.Count == 0
                    ? null
                    : throw new CheckpointException(
                        store.Folder, $"none of its {refused.Count} checkpoints can be used. {string.Join(" ", refused.Select(r => r.Message))}", refused[0]);
            }

            if (TryLoad(store.PathOf((long)next[0])) is { } refusal)
            {
                refused.Add(refusal);
                continue;
            }

            saver.LastStep = rank.Steps;
            return new CheckpointResumed(store.PathOf(rank.Steps), rank.Steps, refused);
        }
    }

    /// <summary>Goes on from one checkpoint.</summary>
    /// <param name="path">Its folder.</param>
    /// <exception cref="CheckpointException">It cannot be used.</exception>
    public void Load(string path)
    {
        if (TryLoad(path) is { } refusal)
        {
            throw refusal;
        }
    }

    /// <summary>Begins a checkpoint if one is due after a step.</summary>
    public void AfterStep()
    {
        saver.Poll();
        due |= options.Every > 0 && rank.Steps % options.Every == 0;
        if (due && saver.LastStep != rank.Steps)
        {
            // Where a rank is still writing the one before, the next step tries again.
            due = !Begin();
        }
    }

    /// <summary>Begins a checkpoint after an epoch, if that is when they are due.</summary>
    public void AfterEpoch()
    {
        if (options.Every == 0)
        {
            Save();
        }
    }

    /// <summary>Saves what is not saved yet, and waits until it is whole.</summary>
    public void AfterFit()
    {
        if (saver.LastStep != rank.Steps)
        {
            Save();
        }

        saver.Finish();
    }

    /// <summary>Begins a checkpoint of the present step, as soon as the one before is written.</summary>
    public void Save()
    {
        saver.Finish();
        Begin();
    }

    /// <summary>Saves the present step, and waits until that is whole.</summary>
    public void SaveNow()
    {
        Save();
        saver.Finish();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        saver.Dispose();
        held?.Dispose();
    }

    private bool Begin()
    {
        long step = rank.Steps;
        int epoch = rank.Epochs;
        return saver.TryBegin(step, () => rank.Describe(components), receipts => RunManifest.Of(setup, step, epoch, receipts));
    }

    // Each rank checks the manifest and its share of the files; all hear of the first refusal.
    private CheckpointException? TryLoad(string path)
    {
        CheckpointFolder? folder = null;
        CheckpointException? own = null;
        try
        {
            folder = CheckpointFolder.Open(path);
            RunManifest.Check(setup, folder, rank.Stage, rank.Flat.Segments, modelParameters);
            if (store.PathOf(folder.Manifest.Step) != Path.TrimEndingDirectorySeparator(folder.Path) && folder.Path.StartsWith(store.Folder, StringComparison.Ordinal))
            {
                throw new CheckpointException(folder.Path, $"its manifest is of step {folder.Manifest.Step}: the folder was renamed.");
            }

            for (int i = rank.Workers.Rank; i < folder.Manifest.Files.Count; i += rank.Workers.Size)
            {
                folder.Verify(folder.Manifest.Files[i]);
            }
        }
        catch (CheckpointException error)
        {
            own = error;
        }

        if (Share(own) is { } refusal)
        {
            return refusal;
        }

        using var index = new StateIndex(folder!);
        var reader = new StateReader(index, rank.Flat.Segments, rank.Stage, rank.Replica, setup.Replicas);
        rank.Load(reader);
        foreach (IStateful component in components)
        {
            component.Load(reader);
        }

        return null;
    }

    // Text travels as numbers, which every communicator can add up.
    private CheckpointException? Share(CheckpointException? own)
    {
        Span<double> first = [own is null ? double.NegativeInfinity : -rank.Workers.Rank];
        rank.Workers.AllReduce(first, Reduction.Max);
        if (double.IsNegativeInfinity(first[0]))
        {
            return null;
        }

        double[] letters = new double[2 * LongestCause];
        if (own is not null && rank.Workers.Rank == -(int)first[0])
        {
            for (int i = 0; i < LongestCause; i++)
            {
                letters[i] = i < own.Path.Length ? own.Path[i] : 0;
                letters[LongestCause + i] = i < own.Cause.Length ? own.Cause[i] : 0;
            }
        }

        rank.Workers.AllReduce(letters);
        string Text(int start) => new([.. letters.Skip(start).Take(LongestCause).TakeWhile(l => l > 0).Select(l => (char)l)]);
        return new CheckpointException(Text(0), Text(LongestCause), own);
    }
}
