using System;
using System.IO;

namespace Dho2;

/// <summary>What a run writes down while it trains, for <c>dho2 report</c>.</summary>
public sealed record RecordOptions
{
    private readonly string folder = "";
    private readonly int every = 1;
    private readonly int traceSteps = 8;

    /// <summary>
    /// The folder; made if it does not exist. Where ranks are processes, all that are to be seen in one report see the same
    /// one. A run that goes on from a checkpoint goes on with the record too; one that begins anew makes void what is there.
    /// </summary>
    /// <exception cref="ArgumentException">Empty.</exception>
    public required string Folder
    {
        get => folder;
        init => folder = string.IsNullOrWhiteSpace(value) ? throw new ArgumentException("Folder must name a folder.", nameof(Folder)) : Path.GetFullPath(value);
    }

    /// <summary>Of so many steps one is written, of about 150 bytes; 1, the default, writes all of them.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 1.</exception>
    public int Every
    {
        get => every;
        init => every = value >= 1 ? value : throw new ArgumentOutOfRangeException(nameof(Every), value, "Every must be at least 1.");
    }

    /// <summary>
    /// So many steps are traced, each instruction with its time: after the process's first two, which warm up native
    /// libraries, and from the first two curvature estimates after that on. 0 traces nothing. A rank keeps at most
    /// 16384 notes.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Not between 0 and 1000.</exception>
    public int TraceSteps
    {
        get => traceSteps;
        init => traceSteps = value is >= 0 and <= 1000 ? value : throw new ArgumentOutOfRangeException(nameof(TraceSteps), value, "TraceSteps must be between 0 and 1000.");
    }
}

/// <summary>The record of a run could not be written any further; training goes on without it.</summary>
/// <param name="Path">The file.</param>
/// <param name="Cause">What the system says.</param>
public sealed record RecordingFailed(string Path, string Cause);
