using System.Collections.Generic;
using System.Linq;
using Dho2.Checkpoints;

namespace Dho2.Cli.Inspection;

/// <summary>What a stored tensor is.</summary>
internal enum StoredEntryKind
{
    /// <summary>A parameter or buffer of the model, by its name in the unsplit model.</summary>
    Weights,

    /// <summary>A part of the state of training.</summary>
    State,
}

/// <summary>A tensor of a checkpoint.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Stage">The stage that wrote it; null in a file that belongs to no checkpoint.</param>
/// <param name="Replica">The replica that wrote it; null in a file that belongs to no checkpoint.</param>
/// <param name="File">Its file's name.</param>
/// <param name="Type">Its element type, as safetensors name it.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Bytes">Its length.</param>
internal sealed record StoredEntry(
    string Name, StoredEntryKind Kind, int? Stage, int? Replica, string File, string Type, IReadOnlyList<long> Shape, long Bytes)
{
    /// <summary>The part of the state that it belongs to, such as <c>optimizer.base.momentum</c>; a tensor of the model is its own.</summary>
    public string Component => Kind == StoredEntryKind.State ? StateKey.Parse(Name).Path.Split('/')[0] : Name;

    /// <summary>The tensors of a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="stored">What the checkpoint says about it; null for a file that belongs to none.</param>
    public static IReadOnlyList<StoredEntry> Of(SafetensorsFile file, StoredFile? stored) =>
    [
        .. file.Entries.Select(entry => new StoredEntry(
            entry.Name,
            stored is { Kind: StoredKind.State } ? StoredEntryKind.State : StoredEntryKind.Weights,
            stored?.Stage,
            stored?.Replica,
            stored?.Name ?? System.IO.Path.GetFileName(file.Path),
            entry.Type.Name(),
            entry.Shape,
            entry.Bytes)),
    ];
}
