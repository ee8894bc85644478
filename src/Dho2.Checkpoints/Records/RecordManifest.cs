using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using Dho2.Checkpoints;

namespace Dho2.Records;

/// <summary>What a run's record says about the run: <c>record.json</c> in its folder.</summary>
public sealed record RecordManifest
{
    /// <summary>The file's name.</summary>
    public const string FileName = "record.json";

    /// <summary>The version that this library writes and reads.</summary>
    public const int CurrentVersion = 1;

    private const int MaxBytes = 64 << 20;

    /// <summary>The version of the record, its other files included.</summary>
    public int Version { get; init; }

    /// <summary>The model's full name.</summary>
    public required string Model { get; init; }

    /// <summary>When the process began that wrote this, the last one to go on with the run.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>Versions of the libraries, by name.</summary>
    public required IReadOnlyDictionary<string, string> Versions { get; init; }

    /// <summary>How the run is split.</summary>
    public required StoredPlan Plan { get; init; }

    /// <summary>The run's numbers, by name.</summary>
    public required IReadOnlyDictionary<string, string> Configuration { get; init; }

    /// <summary>How ranks are connected, for people.</summary>
    public required string Transport { get; init; }

    /// <summary>What the plan says of each stage, by stage.</summary>
    public required IReadOnlyList<RecordedStage> Stages { get; init; }

    /// <summary>The ranks, by number.</summary>
    public required IReadOnlyList<RecordedRank> Ranks { get; init; }

    /// <summary>Writes the file, in place of an earlier one; there is never half of it.</summary>
    /// <param name="folder">The record's folder.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Write(string folder)
    {
        string path = Path.Combine(folder, FileName);
        File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(this with { Version = CurrentVersion }, RecordManifestJson.Default.RecordManifest));
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Reads the file.</summary>
    /// <param name="folder">The record's folder.</param>
    /// <exception cref="RecordException">There is none, or it is damaged or of another version.</exception>
    public static RecordManifest Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!Directory.Exists(folder) || !File.Exists(path))
        {
            throw new RecordException(folder, Directory.Exists(folder)
                ? $"it is no record of a run: it has no {FileName}. TrainingOptions.Record, or a sample's --record, makes one."
                : "there is no such folder.");
        }

        byte[] bytes = ReadBytes(path);
        RecordManifest? manifest;
        try
        {
            // The version first: what else there is may mean something else in another one.
            int? version = JsonSerializer.Deserialize(bytes, RecordManifestJson.Default.VersionOnly)?.Version;
            if (version != CurrentVersion)
            {
                throw new RecordException(path, $"its version is {version?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "not stated"}; this tool reads version {CurrentVersion}.");
            }

            manifest = JsonSerializer.Deserialize(bytes, RecordManifestJson.Default.RecordManifest);
        }
        catch (JsonException error)
        {
            throw new RecordException(path, $"it is damaged: {error.Message}", inner: error);
        }

        return manifest is not null && ProblemOf(manifest) is { } problem ? throw new RecordException(path, problem) : manifest!;
    }

    private static byte[] ReadBytes(string path)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (stream.Length > MaxBytes)
            {
                throw new RecordException(path, $"it has {stream.Length} bytes; a manifest has at most {MaxBytes}.");
            }

            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception error) when (error is (IOException or UnauthorizedAccessException) and not RecordException)
        {
            throw new RecordException(path, $"it cannot be read: {error.Message}", inner: error);
        }
    }

    private static string? ProblemOf(RecordManifest manifest)
    {
        int stages = manifest.Stages.Count;
        return stages == 0 || manifest.Ranks.Count == 0 ? "it has no stages or no ranks."
            : manifest.Stages.Where((stage, i) => stage.Index != i).Any() || manifest.Ranks.Where((rank, i) => rank.Rank != i).Any() ? "its stages or ranks are not numbered from 0."
            : manifest.Ranks.FirstOrDefault(rank => rank.Stages.Any(s => s < 0 || s >= stages)) is { } rank ? $"rank {rank.Rank} has stage {string.Join(" and ", rank.Stages)}; there are stages 0 to {stages - 1}."
            : null;
    }
}

/// <summary>What the plan says of a stage.</summary>
/// <param name="Index">The stage.</param>
/// <param name="Layers">The names of its layers.</param>
/// <param name="Parameters">The number of its parameters' elements; null where unknown.</param>
/// <param name="CurvatureRank">Largest eigenpairs kept for it.</param>
/// <param name="Memory">Bytes by kind.</param>
/// <param name="PeakBytes">The most bytes at one time; null where a term is unknown.</param>
/// <param name="KnownBytes">The same over the known terms.</param>
/// <param name="DeviceBytes">Bytes of its device; null where not stated.</param>
public sealed record RecordedStage(
    int Index,
    IReadOnlyList<string> Layers,
    long? Parameters,
    int CurvatureRank,
    IReadOnlyList<RecordedTerm> Memory,
    long? PeakBytes,
    long KnownBytes,
    long? DeviceBytes);

/// <summary>A term of a stage's planned memory.</summary>
/// <param name="Kind">The planner's name of its kind, such as <c>Activations</c>.</param>
/// <param name="Name">The same for people.</param>
/// <param name="Bytes">Bytes; null where unknown.</param>
/// <param name="InPeak">Whether it counts in the peak.</param>
/// <param name="Lasts">Whether it lasts from step to step: parameters, gradients, and the state of optimizer, curvature and ADMM.</param>
public sealed record RecordedTerm(string Kind, string Name, long? Bytes, bool InPeak, bool Lasts);

/// <summary>A rank of the world.</summary>
/// <param name="Rank">Its number.</param>
/// <param name="Trains">Whether it trains; else it estimates curvature.</param>
/// <param name="Replica">Its replica.</param>
/// <param name="Stages">The stages that it holds.</param>
public sealed record RecordedRank(int Rank, bool Trains, int Replica, IReadOnlyList<int> Stages);
