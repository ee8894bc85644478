using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2.Checkpoints;

/// <summary>
/// A module's parameters and buffers as safetensors files: to and from PyTorch, and from the checkpoints of split training
/// into the unsplit model.
/// </summary>
public static class ModelWeights
{
    /// <summary>Overwrites a module's parameters and buffers. Element types are converted.</summary>
    /// <param name="module">The module, such as the unsplit model.</param>
    /// <param name="path">A safetensors file, or the folder of a checkpoint or of checkpoints, of which the newest whole one is taken.</param>
    /// <param name="names">The file's name for each of the module's that it calls otherwise, such as <c>["fc.weight"] = "classifier.0.weight"</c>; null for none.</param>
    /// <param name="ignoreUnused">Whether the file may have tensors that the module has not.</param>
    /// <exception cref="CheckpointException">A name is missing, too many, or has another shape; or a file is damaged. The module may have been changed in part.</exception>
    public static void Load(torch.nn.Module module, string path, IReadOnlyDictionary<string, string>? names = null, bool ignoreUnused = false)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var weights = WeightFiles.Open(path);
        var used = new HashSet<string>(StringComparer.Ordinal);
        (string Name, torch.Tensor Tensor)[] all = [.. module.state_dict().Select(s => (s.Key, s.Value))];

        // What has several names in the module is one tensor, and may be stored under any one of them.
        foreach (IGrouping<(IntPtr, long), (string Name, torch.Tensor Tensor)> same in all.GroupBy(t => TensorIdentity.Of(t.Tensor)))
        {
            (string Name, string Stored)[] stored = [.. same.Select(t => (t.Name, names?.GetValueOrDefault(t.Name) ?? t.Name)).Where(t => weights.Names.Contains(t.Item2))];
            weights.Read(stored.Length > 0 ? stored[0].Name : same.First().Name, names, same.First().Tensor);
            used.UnionWith(stored.Select(s => s.Stored));
        }

        string[] unused = [.. weights.Names.Except(used).Order(StringComparer.Ordinal)];
        if (unused.Length > 0 && !ignoreUnused)
        {
            throw new CheckpointException(path, $"the module has no place for {string.Join(", ", unused.Take(20))}{(unused.Length > 20 ? $" and {unused.Length - 20} more" : "")}.");
        }
    }

    /// <summary>Writes a module's parameters and buffers, each tensor once, under its first name.</summary>
    /// <param name="module">The module.</param>
    /// <param name="path">The file; it must not exist.</param>
    /// <param name="names">The file's name for each of the module's that it is to call otherwise; null for none.</param>
    /// <exception cref="CheckpointException">The file exists, or the disk is full or fails.</exception>
    public static void Save(torch.nn.Module module, string path, IReadOnlyDictionary<string, string>? names = null)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        SafetensorsWriter.Write(
            path,
            [
                .. module.state_dict()
                    .DistinctBy(s => TensorIdentity.Of(s.Value))
                    .Select(s => new TensorToWrite(
                        names?.GetValueOrDefault(s.Key) ?? s.Key,
                        TensorMemory.TypeOf(s.Value.dtype),
                        s.Value.shape,
                        sink => TensorMemory.Write(s.Value, sink))),
            ],
            new Dictionary<string, string> { ["format"] = "pt" });
    }
}
