using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dho2.Records;

/// <summary>The version that a manifest states, whatever else is in it.</summary>
/// <param name="Version">The version; null where it states none.</param>
internal sealed record VersionOnly(int? Version);

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    WriteIndented = true,
    NewLine = "\n",
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(RecordManifest))]
[JsonSerializable(typeof(VersionOnly))]
internal sealed partial class RecordManifestJson : JsonSerializerContext;

// Infinite ceilings and losses that are not numbers are what happened: they are written by name.
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(RecordEntry))]
internal sealed partial class RecordEntryJson : JsonSerializerContext;
