using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading;

namespace Dho2.Checkpoints;

/// <summary>
/// A checkpoint that is being written: a folder with a name of its own until it is whole. Ranks, of one process or of
/// several that share the file system, each write their files and leave a receipt; the first waits for all receipts and
/// publishes.
/// </summary>
public sealed class CheckpointDraft
{
    private const string ReceiptPattern = "rank-*.receipt";

    private readonly CheckpointStore store;
    private readonly string path;
    private readonly long step;

    internal CheckpointDraft(CheckpointStore store, long step, string path)
    {
        this.store = store;
        this.step = step;
        this.path = path;
    }

    /// <summary>The folder while the checkpoint is being written.</summary>
    public string Path => path;

    /// <summary>Writes a file and waits until it has reached the disk.</summary>
    /// <param name="name">Its name: letters, digits, hyphens, dots.</param>
    /// <param name="kind">What it is for.</param>
    /// <param name="stage">The stage that it is of.</param>
    /// <param name="replica">The replica that it is of.</param>
    /// <param name="tensors">The tensors.</param>
    /// <exception cref="CheckpointException">The disk is full or fails.</exception>
    public StoredFile Write(string name, StoredKind kind, int stage, int replica, IReadOnlyList<TensorToWrite> tensors)
    {
        // PyTorch's loaders take this key for granted.
        WrittenFile written = SafetensorsWriter.Write(
            System.IO.Path.Combine(path, name), tensors, new Dictionary<string, string> { ["format"] = "pt" });
        return new StoredFile(name, kind, stage, replica, written.Bytes, written.Digest);
    }

    /// <summary>Says that a rank has written all its files.</summary>
    /// <param name="rank">The rank, counted from 0.</param>
    /// <param name="receipt">What it has written.</param>
    /// <exception cref="CheckpointException">The disk is full or fails.</exception>
    public void Leave(int rank, RankReceipt receipt)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"rank-{rank}");
        string target = System.IO.Path.Combine(path, name + ".receipt");
        try
        {
            // Renamed when it is whole, since others look for it.
            string unfinished = System.IO.Path.Combine(path, name + ".unfinished");
            File.WriteAllBytes(unfinished, JsonSerializer.SerializeToUtf8Bytes(receipt, ManifestJson.Default.RankReceipt));
            File.Move(unfinished, target);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(target, $"it cannot be written: {error.Message}", error);
        }
    }

    /// <summary>Waits until all ranks have left their receipts.</summary>
    /// <param name="ranks">The number of ranks.</param>
    /// <param name="timeout">How long.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>The receipts, by rank.</returns>
    /// <exception cref="CheckpointException">A rank could not write its files, or the time is over.</exception>
    /// <exception cref="OperationCanceledException">The wait was ended.</exception>
    public IReadOnlyList<RankReceipt> Collect(int ranks, TimeSpan timeout, CancellationToken cancellation = default)
    {
        var receipts = new RankReceipt?[ranks];
        DateTime end = DateTime.UtcNow + timeout;
        for (int pause = 1; ; pause = Math.Min(2 * pause, 50))
        {
            for (int rank = 0; rank < ranks; rank++)
            {
                receipts[rank] ??= ReceiptOf(rank);
                if (receipts[rank]?.Failure is { } failure)
                {
                    throw new CheckpointException(path, $"rank {rank} could not write its part: {failure}");
                }
            }

            int missing = Array.IndexOf(receipts, null);
            if (missing < 0)
            {
                return receipts!;
            }

            if (DateTime.UtcNow > end)
            {
                throw new CheckpointException(path, $"rank {missing} has not written its part within {timeout.TotalSeconds:0} s.");
            }

            cancellation.WaitHandle.WaitOne(pause);
            cancellation.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Makes the checkpoint whole: writes its manifest and gives it its name, atomically. An earlier checkpoint of the same step is replaced.</summary>
    /// <param name="manifest">The manifest.</param>
    /// <returns>The checkpoint's folder.</returns>
    /// <exception cref="CheckpointException">The disk is full or fails.</exception>
    public string Publish(CheckpointManifest manifest)
    {
        string target = store.PathOf(step);
        try
        {
            foreach (string receipt in Directory.GetFiles(path, ReceiptPattern))
            {
                File.Delete(receipt);
            }

            DurableFiles.Write(System.IO.Path.Combine(path, CheckpointManifest.FileName), ManifestText.Write(manifest));
            DurableFiles.FlushFolder(path);
            store.Remove(step);
            Directory.Move(path, target);
            DurableFiles.FlushFolder(store.Folder);
            return target;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(target, $"the checkpoint cannot be completed: {error.Message}", error);
        }
    }

    /// <summary>Removes what was written, as far as that is possible.</summary>
    public void Discard()
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The next run removes it.
        }
    }

    private RankReceipt? ReceiptOf(int rank)
    {
        string file = System.IO.Path.Combine(path, string.Create(CultureInfo.InvariantCulture, $"rank-{rank}.receipt"));
        try
        {
            return File.Exists(file) ? JsonSerializer.Deserialize(File.ReadAllBytes(file), ManifestJson.Default.RankReceipt) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new CheckpointException(file, $"it cannot be read: {error.Message}", error);
        }
    }
}

/// <summary>What one rank has written.</summary>
/// <param name="Files">Its files.</param>
/// <param name="Parameters">The parameters that it stands for.</param>
/// <param name="Buffers">The buffers that it stands for.</param>
/// <param name="Failure">Why it could not write its files; null if it could.</param>
public sealed record RankReceipt(
    IReadOnlyList<StoredFile> Files, IReadOnlyList<StoredTensor> Parameters, IReadOnlyList<StoredTensor> Buffers, string? Failure = null);
