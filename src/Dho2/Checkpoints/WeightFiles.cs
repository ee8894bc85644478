using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using TorchSharp;

namespace Dho2.Checkpoints;

/// <summary>A model's weights on disk: one safetensors file, whoever wrote it, or a checkpoint's.</summary>
internal sealed class WeightFiles : IDisposable
{
    private readonly string path;
    private readonly List<SafetensorsFile> files = [];
    private readonly Dictionary<string, (SafetensorsFile File, SafetensorsEntry Entry)> tensors = new(StringComparer.Ordinal);

    private WeightFiles(string path) => this.path = path;

    /// <summary>The names of all tensors.</summary>
    public IEnumerable<string> Names => tensors.Keys;

    /// <summary>Opens the files. A checkpoint's are verified against its manifest.</summary>
    /// <param name="path">A safetensors file, or the folder of a checkpoint or of checkpoints.</param>
    /// <exception cref="CheckpointException">There is none, or one is damaged.</exception>
    public static WeightFiles Open(string path)
    {
        var weights = new WeightFiles(path);
        try
        {
            weights.OpenAll();
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>Reads a tensor in place.</summary>
    /// <param name="name">Its name in the model.</param>
    /// <param name="names">The file's name for each of the model's that it calls otherwise; null for none.</param>
    /// <param name="into">Overwritten, converted if the types differ.</param>
    /// <exception cref="CheckpointException">It is missing or has another shape.</exception>
    public void Read(string name, IReadOnlyDictionary<string, string>? names, torch.Tensor into)
    {
        using IDisposable noGrad = torch.no_grad();
        string stored = names?.GetValueOrDefault(name) ?? name;
        if (!tensors.TryGetValue(stored, out (SafetensorsFile File, SafetensorsEntry Entry) found))
        {
            throw new CheckpointException(path, $"it has no '{stored}'{(stored == name ? "" : $", which is to be the model's '{name}'")}; it has {Listed(tensors.Keys)}.");
        }

        if (!found.Entry.Shape.SequenceEqual(into.shape))
        {
            throw new CheckpointException(
                found.File.Path, $"'{stored}' is of shape ({string.Join(", ", found.Entry.Shape)}), the model's '{name}' of shape ({string.Join(", ", into.shape)}).");
        }

        using torch.Tensor detached = into.detach();
        using torch.Tensor target = detached.contiguous();
        using torch.Tensor flat = target.view(-1);
        TensorMemory.Read(found.File, found.Entry, 0, flat, 0, flat.NumberOfElements);
        if (!into.is_contiguous())
        {
            detached.copy_(target);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => files.ForEach(file => file.Dispose());

    private static string Listed(IEnumerable<string> names)
    {
        string[] all = [.. names.Order(StringComparer.Ordinal)];
        return all.Length <= 20 ? string.Join(", ", all) : $"{string.Join(", ", all.Take(20))} and {all.Length - 20} more";
    }

    private void OpenAll()
    {
        foreach (string file in Paths())
        {
            SafetensorsFile opened = SafetensorsFile.Open(file);
            files.Add(opened);
            foreach (SafetensorsEntry entry in opened.Entries)
            {
                if (!tensors.TryAdd(entry.Name, (opened, entry)))
                {
                    throw new CheckpointException(file, $"'{entry.Name}' is in another file too.");
                }
            }
        }
    }

    private IEnumerable<string> Paths()
    {
        if (!Directory.Exists(path))
        {
            return [path];
        }

        CheckpointFolder folder;
        if (File.Exists(Path.Combine(path, CheckpointManifest.FileName)))
        {
            folder = CheckpointFolder.Open(path);
            folder.VerifyAll();
        }
        else
        {
            (CheckpointFolder? newest, IReadOnlyList<CheckpointException> refused) = new CheckpointStore(path).FindNewest();
            folder = newest ?? throw (refused.Count > 0 ? refused[0] : new CheckpointException(path, "it has no checkpoint."));
        }

        return [.. folder.Manifest.Files.Where(f => f.Kind == StoredKind.Weights).Select(folder.PathOf)];
    }
}
