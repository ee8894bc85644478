using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Checkpoints;

/// <summary>Where every piece of a checkpoint's state lies: over all its files, by name.</summary>
internal sealed class StateIndex : IDisposable
{
    private readonly List<SafetensorsFile> files = [];
    private readonly Dictionary<string, List<Piece>> pieces = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Piece> weights = new(StringComparer.Ordinal);

    /// <summary>Opens a checkpoint's files. Nothing but their headers is read.</summary>
    /// <exception cref="CheckpointException">A file is damaged.</exception>
    public StateIndex(CheckpointFolder folder)
    {
        Folder = folder;
        try
        {
            foreach (StoredFile stored in folder.Manifest.Files)
            {
                SafetensorsFile file = SafetensorsFile.Open(folder.PathOf(stored));
                files.Add(file);
                foreach (SafetensorsEntry entry in file.Entries)
                {
                    Add(stored, file, entry);
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The checkpoint.</summary>
    public CheckpointFolder Folder { get; }

    /// <summary>The pieces of one name: of all stages and replicas, and of all parts of the parameter.</summary>
    public IReadOnlyList<Piece> Find(string path) => pieces.TryGetValue(path, out List<Piece>? found) ? found : [];

    /// <summary>A parameter or buffer of the model itself, or null.</summary>
    public Piece? FindWeight(string name) => weights.TryGetValue(name, out Piece? piece) ? piece : null;

    public void Dispose() => files.ForEach(file => file.Dispose());

    private void Add(StoredFile stored, SafetensorsFile file, SafetensorsEntry entry)
    {
        if (stored.Kind == StoredKind.Weights)
        {
            if (!weights.TryAdd(entry.Name, new Piece(file, entry, new StateKey(entry.Name, null, null))))
            {
                throw new CheckpointException(file.Path, $"'{entry.Name}' is in another file of the checkpoint too.");
            }

            return;
        }

        var key = StateKey.Parse(entry.Name);
        if (!pieces.TryGetValue(key.Path, out List<Piece>? list))
        {
            pieces[key.Path] = list = [];
        }

        if (list.Any(piece => piece.Key == key))
        {
            throw new CheckpointException(file.Path, $"'{entry.Name}' is in another file of the checkpoint too.");
        }

        list.Add(new Piece(file, entry, key));
    }
}

/// <summary>A stored tensor.</summary>
/// <param name="File">Its file.</param>
/// <param name="Entry">Its place there.</param>
/// <param name="Key">What it is.</param>
internal sealed record Piece(SafetensorsFile File, SafetensorsEntry Entry, StateKey Key);
