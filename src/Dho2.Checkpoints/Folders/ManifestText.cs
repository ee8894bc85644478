using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dho2.Checkpoints;

/// <summary>Writes and reads manifests. The first line seals the rest with its checksum, so that any change is seen.</summary>
internal static class ManifestText
{
    private const int MaxBytes = 256 << 20;
    private const string Opening = "{\"xxh128\":\"";
    private const string Closing = "\",\n";

    private static readonly int SealBytes = Opening.Length + FileDigest.Digits + Closing.Length;

    public static byte[] Write(CheckpointManifest manifest)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(manifest, ManifestJson.Default.CheckpointManifest);
        ReadOnlySpan<byte> rest = json.AsSpan(1).TrimStart((byte)'\n');
        return [.. Encoding.ASCII.GetBytes(Opening + FileDigest.Of(rest) + Closing), .. rest];
    }

    /// <exception cref="CheckpointException">The file is missing, changed, too large, or not a manifest of this version.</exception>
    public static CheckpointManifest Read(string path)
    {
        byte[] bytes = ReadFile(path);
        ReadOnlySpan<byte> rest = bytes.Length < SealBytes ? [] : bytes.AsSpan(SealBytes);
        if (rest.IsEmpty || !bytes.AsSpan(0, SealBytes).SequenceEqual(Encoding.ASCII.GetBytes(Opening + FileDigest.Of(rest) + Closing)))
        {
            throw new CheckpointException(path, $"its {bytes.Length} bytes are not those that its first line seals: it was cut off or changed after it was written.");
        }

        CheckpointManifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize([(byte)'{', .. rest], ManifestJson.Default.CheckpointManifest);
        }
        catch (JsonException error)
        {
            throw new CheckpointException(path, $"it is no manifest: {error.Message}", error);
        }

        if (manifest is null || manifest.Version != CheckpointManifest.CurrentVersion)
        {
            throw new CheckpointException(path, $"its version is {manifest?.Version}; this library reads version {CheckpointManifest.CurrentVersion}.");
        }

        if (ProblemOf(manifest) is { } problem)
        {
            throw new CheckpointException(path, problem);
        }

        return manifest;
    }

    private static byte[] ReadFile(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            if (stream.Length > MaxBytes)
            {
                throw new CheckpointException(path, $"it has {stream.Length} bytes; a manifest has at most {MaxBytes}.");
            }

            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception error) when (error is (IOException or UnauthorizedAccessException) and not CheckpointException)
        {
            throw new CheckpointException(path, $"it cannot be read: {error.Message}", error);
        }
    }

    private static string? ProblemOf(CheckpointManifest manifest)
    {
        if (manifest.Step < 0 || manifest.Plan.Stages < 1 || manifest.Plan.Replicas < 1)
        {
            return $"step {manifest.Step}, {manifest.Plan.Stages} stages and {manifest.Plan.Replicas} replicas make no checkpoint.";
        }

        foreach (StoredTensor tensor in manifest.Parameters.Concat(manifest.Buffers))
        {
            if (!SafetensorsTypes.TryParse(tensor.Type, out SafetensorsType type)
                || SafetensorsEntry.BytesOf(type, tensor.Shape) is null
                || tensor.Stage < 0 || tensor.Stage >= manifest.Plan.Stages)
            {
                return $"'{tensor.Name}', {tensor.Type} of shape ({string.Join(", ", tensor.Shape)}) on stage {tensor.Stage} of {manifest.Plan.Stages}, cannot be.";
            }
        }

        if (Repeated(manifest.Parameters.Concat(manifest.Buffers).Select(t => t.Name)) is { } twice)
        {
            return $"'{twice}' occurs twice.";
        }

        foreach (StoredFile file in manifest.Files)
        {
            if (!IsPlainName(file.Name))
            {
                return $"the file name '{file.Name}' leaves the folder; files lie beside the manifest.";
            }

            if (file.Bytes < 0 || file.Xxh128.Length != FileDigest.Digits || file.Stage < 0 || file.Replica < 0)
            {
                return $"the file '{file.Name}' has {file.Bytes} bytes, checksum '{file.Xxh128}', stage {file.Stage} and replica {file.Replica}.";
            }
        }

        return Repeated(manifest.Files.Select(f => f.Name)) is { } file2 ? $"the file '{file2}' occurs twice." : null;
    }

    private static string? Repeated(IEnumerable<string> names)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        return names.FirstOrDefault(name => !seen.Add(name));
    }

    // Letters, digits and three marks: nothing that any system takes for a path, a drive or a stream.
    private static bool IsPlainName(string name) =>
        name.Length is > 0 and <= 200 && name[0] != '.' && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
}

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    WriteIndented = true,
    NewLine = "\n",
    UseStringEnumConverter = true,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowDuplicateProperties = false,
    NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(CheckpointManifest))]
[JsonSerializable(typeof(RankReceipt))]
internal sealed partial class ManifestJson : JsonSerializerContext;
