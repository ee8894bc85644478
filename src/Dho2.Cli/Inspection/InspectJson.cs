using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dho2.Checkpoints;

namespace Dho2.Cli.Inspection;

/// <summary>What <c>dho2 inspect --json</c> prints: all that the tables show, for programs.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Checkpoints">Its checkpoints, newest first.</param>
/// <param name="Leftovers">Folders of checkpoints that were never completed.</param>
internal sealed record InspectJson(string Path, IReadOnlyList<CheckpointJson> Checkpoints, IReadOnlyList<string> Leftovers)
{
    /// <summary>Prints what was found in a folder.</summary>
    public static void Write(Inspected inspected, TextWriter output) => Print(
        new InspectJson(
            inspected.Path,
            [
                .. inspected.Checkpoints.Select(c => new CheckpointJson(
                    c.Path,
                    c.Refusals.Count == 0,
                    [.. c.Refusals.Select(r => new RefusalJson(r.Path, r.Cause))],
                    c.Manifest,
                    [.. c.Tensors.Select(TensorJson.Of)])),
            ],
            inspected.Leftovers),
        output);

    /// <summary>Prints the tensors of a file that belongs to no checkpoint.</summary>
    public static void Write(string path, IReadOnlyDictionary<string, string> metadata, IReadOnlyList<StoredEntry> tensors, TextWriter output) =>
        output.WriteLine(JsonSerializer.Serialize(new FileJson(path, metadata, [.. tensors.Select(TensorJson.Of)]), InspectJsonContext.Default.FileJson));

    private static void Print(InspectJson json, TextWriter output) =>
        output.WriteLine(JsonSerializer.Serialize(json, InspectJsonContext.Default.InspectJson));
}

/// <summary>A checkpoint.</summary>
/// <param name="Path">Its folder.</param>
/// <param name="Whole">Whether nothing is wrong with it.</param>
/// <param name="Refusals">What is wrong with it.</param>
/// <param name="Manifest">What it says about itself; null where that cannot be trusted.</param>
/// <param name="Tensors">Its tensors.</param>
internal sealed record CheckpointJson(
    string Path, bool Whole, IReadOnlyList<RefusalJson> Refusals, CheckpointManifest? Manifest, IReadOnlyList<TensorJson> Tensors);

/// <summary>Something that is wrong.</summary>
/// <param name="Path">The file or folder.</param>
/// <param name="Cause">What is wrong with it.</param>
internal sealed record RefusalJson(string Path, string Cause);

/// <summary>A tensor.</summary>
/// <param name="Name">Its name.</param>
/// <param name="File">Its file.</param>
/// <param name="Stage">The stage that wrote it.</param>
/// <param name="Replica">The replica that wrote it.</param>
/// <param name="State">Whether it belongs to the state of training, not to the model.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Bytes">Its length.</param>
internal sealed record TensorJson(string Name, string File, int? Stage, int? Replica, bool State, string Type, IReadOnlyList<long> Shape, long Bytes)
{
    /// <summary>A tensor that was found.</summary>
    public static TensorJson Of(StoredEntry tensor) =>
        new(tensor.Name, tensor.File, tensor.Stage, tensor.Replica, tensor.Kind == StoredEntryKind.State, tensor.Type, tensor.Shape, tensor.Bytes);
}

/// <summary>A file that belongs to no checkpoint.</summary>
/// <param name="Path">The file.</param>
/// <param name="Metadata">Free text by key.</param>
/// <param name="Tensors">Its tensors.</param>
internal sealed record FileJson(string Path, IReadOnlyDictionary<string, string> Metadata, IReadOnlyList<TensorJson> Tensors);

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    WriteIndented = true,
    NewLine = "\n",
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(InspectJson))]
[JsonSerializable(typeof(FileJson))]
internal sealed partial class InspectJsonContext : JsonSerializerContext;
