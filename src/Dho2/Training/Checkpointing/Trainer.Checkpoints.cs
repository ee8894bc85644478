using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>Saving and going on.</summary>
public sealed partial class Trainer
{
    private FitProgress[] progress = [];
    private IStateful[][] components = [];
    private RankCheckpoints?[] checkpoints = [];

    /// <summary>
    /// Raised when a checkpoint of <c>Fit</c> is whole, or could not be written: on the thread of rank 0, at the
    /// end of the step in which that was noticed.
    /// </summary>
    public event Action<CheckpointSaved>? CheckpointSaved;

    /// <summary>The checkpoint that the trainer began from; null if it began anew.</summary>
    public CheckpointResumed? Resumed { get; private set; }

    /// <summary>Saves the whole state of training, and waits until it has reached the disk.</summary>
    /// <param name="folder">A folder of checkpoints; made if it does not exist. The new one becomes <c>step-00001234</c> in it; none is removed.</param>
    /// <returns>The checkpoint's folder.</returns>
    /// <exception cref="CheckpointException">It could not be written; earlier ones are untouched.</exception>
    public string Save(string folder)
    {
        string path = new CheckpointStore(folder).PathOf(Steps);
        if (Options.Checkpoints?.Folder == Path.GetFullPath(folder))
        {
            Each(i => checkpoints[i]!.SaveNow());
            return path;
        }

        CheckpointSaved? saved = null;
        WithCheckpoints(folder, writes: true, (_, own) => own.SaveNow(), done => saved = done);
        return saved?.Path ?? path;
    }

    /// <summary>Goes on from a checkpoint, whatever stages and replicas wrote it. What was trained so far is forgotten.</summary>
    /// <param name="path">A checkpoint, or a folder of them, of which the newest whole one is taken.</param>
    /// <returns>The checkpoint.</returns>
    /// <exception cref="CheckpointException">It is damaged, or of another model, seed or base; or there is none.</exception>
    public CheckpointResumed Load(string path)
    {
        bool one = File.Exists(Path.Combine(path, CheckpointManifest.FileName));
        CheckpointResumed? resumed = null;
        WithCheckpoints(one ? Path.GetDirectoryName(Path.GetFullPath(path))! : path, writes: false, (i, own) =>
        {
            if (one)
            {
                own.Load(path);
            }
            else if (own.Resume() is { } found && i == 0)
            {
                resumed = found;
            }
        });
        resumed ??= one ? new CheckpointResumed(Path.GetFullPath(path), Steps, []) : throw new CheckpointException(path, "it has no checkpoint.");
        Resumed = resumed;
        return resumed;
    }

    /// <summary>
    /// Takes the model's parameters and buffers from a file, such as one that PyTorch wrote, or from a checkpoint, and
    /// nothing else: training begins with them. Element types are converted.
    /// </summary>
    /// <param name="path">A safetensors file, or the folder of a checkpoint or of checkpoints.</param>
    /// <param name="names">The file's name for each of the model's that it calls otherwise; null for none.</param>
    /// <exception cref="CheckpointException">A name is missing or has another shape, or a file is damaged.</exception>
    public void LoadWeights(string path, IReadOnlyDictionary<string, string>? names = null) => Each(i =>
    {
        using var weights = WeightFiles.Open(path);
        ranks[i].LoadWeights(weights, names);
    });

    private void OpenCheckpoints()
    {
        progress = [.. ranks.Select(_ => new FitProgress())];
        components = [.. ranks.Select((_, i) => i == 0 ? new IStateful[] { progress[i], new RandomState() } : [progress[i]])];
        checkpoints = new RankCheckpoints?[ranks.Length];
        if (Options.Checkpoints is { } options)
        {
            Each(i =>
            {
                checkpoints[i] = new RankCheckpoints(setup, ranks[i], options, components[i], saved: saved => CheckpointSaved?.Invoke(saved));
                CheckpointResumed? resumed = checkpoints[i]!.Resume();
                if (i == 0)
                {
                    Resumed = resumed;
                }
            });
        }
    }

    private void Each(Action<int> work) => Call(i =>
    {
        work(i);
        return [];
    });

    private void CloseCheckpoints() => Array.ForEach(checkpoints, own => own?.Dispose());

    // A folder of its own, for one call.
    private void WithCheckpoints(string folder, bool writes, Action<int, RankCheckpoints> action, Action<CheckpointSaved>? saved = null)
    {
        var options = new CheckpointOptions { Folder = folder, Asynchronous = false, Keep = int.MaxValue };
        Each(i =>
        {
            using var own = new RankCheckpoints(setup, ranks[i], options, components[i], writes, saved);
            action(i, own);
        });
    }
}
