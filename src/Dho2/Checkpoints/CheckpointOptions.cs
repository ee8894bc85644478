using System;
using System.IO;

namespace Dho2.Checkpoints;

/// <summary>Where, and how often, a run saves; it goes on from the newest checkpoint that it finds there.</summary>
public sealed record CheckpointOptions
{
    private readonly string folder = "";
    private readonly int every;
    private readonly int keep = 3;
    private readonly TimeSpan timeout = TimeSpan.FromMinutes(10);

    /// <summary>The folder of the run's checkpoints; all processes of the run see the same one. Made if it does not exist.</summary>
    /// <exception cref="ArgumentException">Empty.</exception>
    public required string Folder
    {
        get => folder;
        init => folder = string.IsNullOrWhiteSpace(value) ? throw new ArgumentException("Folder must name a folder.", nameof(Folder)) : Path.GetFullPath(value);
    }

    /// <summary>Steps between two checkpoints; 0, the default, saves after every epoch. The end of <c>Fit</c> is saved in either case.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    public int Every
    {
        get => every;
        init => every = value >= 0 ? value : throw new ArgumentOutOfRangeException(nameof(Every), value, "Every must be at least 0.");
    }

    /// <summary>How many checkpoints stay; at least 1. Beyond one they guard against damage that is found late.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Keep
    {
        get => keep;
        init => keep = value >= 1 ? value : throw new ArgumentOutOfRangeException(nameof(Keep), value, "Keep must be at least 1.");
    }

    /// <summary>
    /// Whether training goes on while a checkpoint is written. A copy of the state is then kept in host memory; without,
    /// training waits and there is no copy.
    /// </summary>
    public bool Asynchronous { get; init; } = true;

    /// <summary>Whether a checkpoint that cannot be written ends the run; else it is reported by the trainer's event alone.</summary>
    public bool StopOnFailure { get; init; } = true;

    /// <summary>How long the first rank waits for the others' files.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not positive.</exception>
    public TimeSpan Timeout
    {
        get => timeout;
        init => timeout = value > TimeSpan.Zero ? value : throw new ArgumentOutOfRangeException(nameof(Timeout), value, "Timeout must be positive.");
    }
}
