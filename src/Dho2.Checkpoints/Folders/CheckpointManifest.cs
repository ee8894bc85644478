using System;
using System.Collections.Generic;

namespace Dho2.Checkpoints;

/// <summary>What a checkpoint says about itself: <c>manifest.json</c> in its folder.</summary>
public sealed record CheckpointManifest
{
    /// <summary>The file's name.</summary>
    public const string FileName = "manifest.json";

    /// <summary>The version that this library writes and reads.</summary>
    public const int CurrentVersion = 1;

    /// <summary>The version of the layout.</summary>
    public int Version { get; init; } = CurrentVersion;

    /// <summary>The model's full name.</summary>
    public required string Model { get; init; }

    /// <summary>Training steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Passes over the training data begun.</summary>
    public required int Epoch { get; init; }

    /// <summary>When it was written.</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>Versions of the libraries that wrote it, by name.</summary>
    public required IReadOnlyDictionary<string, string> Versions { get; init; }

    /// <summary>How the run was split.</summary>
    public required StoredPlan Plan { get; init; }

    /// <summary>The run's numbers, by name: for reading, and to tell what has changed.</summary>
    public required IReadOnlyDictionary<string, string> Configuration { get; init; }

    /// <summary>The model's parameters: stage by stage, in the order of the stage's flat vector.</summary>
    public required IReadOnlyList<StoredTensor> Parameters { get; init; }

    /// <summary>The model's buffers, such as running statistics.</summary>
    public required IReadOnlyList<StoredTensor> Buffers { get; init; }

    /// <summary>The files beside the manifest.</summary>
    public required IReadOnlyList<StoredFile> Files { get; init; }
}

/// <summary>How a run was split when its checkpoint was written.</summary>
/// <param name="Hash">The plan's hash.</param>
/// <param name="Stages">Stages (S).</param>
/// <param name="Replicas">Replicas (R).</param>
/// <param name="Text">The canonical text of the model's description with the numbers in force, from which the plan follows.</param>
public sealed record StoredPlan(string Hash, int Stages, int Replicas, string Text);

/// <summary>A parameter or buffer of the model.</summary>
/// <param name="Name">Its name in the unsplit model.</param>
/// <param name="Stage">The stage that holds it.</param>
/// <param name="Type">Its element type, as safetensors name it.</param>
/// <param name="Shape">Its sizes.</param>
public sealed record StoredTensor(string Name, int Stage, string Type, IReadOnlyList<long> Shape);

/// <summary>A file of a checkpoint.</summary>
/// <param name="Name">Its name within the folder.</param>
/// <param name="Kind">Whether it holds the model's weights or the state of training.</param>
/// <param name="Stage">The stage that wrote it.</param>
/// <param name="Replica">The replica that wrote it.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Xxh128">Its checksum, 32 hexadecimal digits in lower case.</param>
public sealed record StoredFile(string Name, StoredKind Kind, int Stage, int Replica, long Bytes, string Xxh128);

/// <summary>What a file of a checkpoint is for.</summary>
public enum StoredKind
{
    /// <summary>Parameters and buffers by the names of the unsplit model: all that is needed to use it.</summary>
    Weights,

    /// <summary>What else training needs to go on.</summary>
    State,
}
