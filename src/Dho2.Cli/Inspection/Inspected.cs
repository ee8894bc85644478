using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Checkpoints;

namespace Dho2.Cli.Inspection;

/// <summary>What was found in a folder: one checkpoint, or those of a run.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Checkpoints">All of a run's, newest first; the one alone where the folder is a checkpoint.</param>
/// <param name="Leftovers">Folders of checkpoints that were never completed.</param>
/// <param name="IsRun">Whether the folder is a run's.</param>
internal sealed record Inspected(string Path, IReadOnlyList<InspectedCheckpoint> Checkpoints, IReadOnlyList<string> Leftovers, bool IsRun)
{
    /// <summary>What is wrong, newest first.</summary>
    public IReadOnlyList<CheckpointException> Refusals => [.. Checkpoints.SelectMany(c => c.Refusals)];

    /// <summary>The newest that is whole; null if none is.</summary>
    public InspectedCheckpoint? Newest => Checkpoints.FirstOrDefault(c => c.Refusals.Count == 0);

    /// <summary>Looks at a folder.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="verifies">Whether checksums are compared.</param>
    /// <exception cref="CheckpointException">It has no checkpoint.</exception>
    public static Inspected Of(string path, bool verifies)
    {
        if (File.Exists(System.IO.Path.Combine(path, CheckpointManifest.FileName)))
        {
            return new Inspected(path, [InspectedCheckpoint.Of(path, verifies)], [], IsRun: false);
        }

        var store = new CheckpointStore(path);
        InspectedCheckpoint[] checkpoints = [.. store.Steps.Select(step => InspectedCheckpoint.Of(store.PathOf(step), verifies))];
        return checkpoints.Length > 0
            ? new Inspected(path, checkpoints, store.Leftovers, IsRun: true)
            : throw new CheckpointException(
                path, $"it is no checkpoint (it has no {CheckpointManifest.FileName}), and has none (no folder is called step-00000000 or the like).");
    }
}

/// <summary>A checkpoint that was looked at.</summary>
/// <param name="Path">Its folder.</param>
/// <param name="Manifest">What it says about itself; null where that cannot be trusted.</param>
/// <param name="Tensors">The tensors of all its files; empty where it is damaged.</param>
/// <param name="Refusals">What is wrong with it.</param>
internal sealed record InspectedCheckpoint(
    string Path, CheckpointManifest? Manifest, IReadOnlyList<StoredEntry> Tensors, IReadOnlyList<CheckpointException> Refusals)
{
    /// <summary>Bytes of all its files, as its manifest has them.</summary>
    public long? Bytes => Manifest?.Files.Sum(f => f.Bytes);

    /// <summary>Looks at a checkpoint.</summary>
    /// <param name="path">Its folder.</param>
    /// <param name="verifies">Whether checksums are compared.</param>
    public static InspectedCheckpoint Of(string path, bool verifies)
    {
        CheckpointFolder folder;
        try
        {
            folder = CheckpointFolder.Open(path);
        }
        catch (CheckpointException refusal)
        {
            return new InspectedCheckpoint(path, null, [], [refusal]);
        }

        var tensors = new List<StoredEntry>();
        var refusals = new List<CheckpointException>();
        foreach (StoredFile stored in folder.Manifest.Files)
        {
            try
            {
                if (verifies)
                {
                    folder.Verify(stored);
                }

                using SafetensorsFile file = SafetensorsFile.Open(folder.PathOf(stored));
                tensors.AddRange(StoredEntry.Of(file, stored));
            }
            catch (CheckpointException refusal)
            {
                refusals.Add(refusal);
            }
        }

        if (refusals.Count == 0)
        {
            refusals.AddRange(Missing(folder, tensors));
        }

        return new InspectedCheckpoint(folder.Path, folder.Manifest, tensors, refusals);
    }

    // A sealed manifest whose files are as it says, but not of the tensors that it lists.
    private static IEnumerable<CheckpointException> Missing(CheckpointFolder folder, List<StoredEntry> tensors)
    {
        Dictionary<string, StoredEntry> weights = tensors.Where(t => t.Kind != StoredEntryKind.State).ToDictionary(t => t.Name);
        foreach (StoredTensor listed in folder.Manifest.Parameters.Concat(folder.Manifest.Buffers))
        {
            if (!weights.TryGetValue(listed.Name, out StoredEntry? found))
            {
                yield return new CheckpointException(folder.Path, $"the model's '{listed.Name}' is in none of its files.");
            }
            else if (found.Type != listed.Type || !found.Shape.SequenceEqual(listed.Shape))
            {
                yield return new CheckpointException(
                    System.IO.Path.Combine(folder.Path, found.File),
                    $"'{listed.Name}' is {found.Type} of shape ({string.Join(", ", found.Shape)}); the manifest says {listed.Type} of shape ({string.Join(", ", listed.Shape)}).");
            }
        }
    }
}
