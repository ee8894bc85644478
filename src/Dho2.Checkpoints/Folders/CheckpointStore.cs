using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Dho2.Checkpoints;

/// <summary>
/// A folder of checkpoints, <c>step-00001234</c> each. A name like that is given by one atomic renaming, after all files
/// have reached the disk: whoever is killed, at whatever moment, leaves the earlier ones untouched and at most a folder of
/// another name, which the next run removes.
/// </summary>
public sealed class CheckpointStore
{
    private const string Prefix = "step-";
    private const string Partial = ".partial-";
    private const string Removed = ".removed-";
    private const string LockName = ".lock";

    /// <summary>Names a folder, which need not exist yet.</summary>
    /// <param name="folder">The folder.</param>
    public CheckpointStore(string folder) => Folder = Path.GetFullPath(folder);

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>The checkpoints' steps, newest first. Nothing is opened.</summary>
    public IReadOnlyList<long> Steps => !Directory.Exists(Folder) ? [] :
    [
        .. Directory.EnumerateDirectories(Folder)
            .Select(path => StepOf(Path.GetFileName(path)))
            .OfType<long>()
            .OrderDescending(),
    ];

    /// <summary>Where the checkpoint of a step lies.</summary>
    public string PathOf(long step) => Path.Combine(Folder, NameOf(step));

    /// <summary>Makes the folder and keeps other runs out of it, until the result is disposed or the process ends.</summary>
    /// <exception cref="CheckpointException">Another run is using it, or it cannot be made.</exception>
    public IDisposable Hold()
    {
        string path = Path.Combine(Folder, LockName);
        try
        {
            Directory.CreateDirectory(Folder);
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(path, $"it cannot be had for this run alone; is another run saving to this folder? {error.Message}", error);
        }
    }

    /// <summary>Finds the newest checkpoint that is whole.</summary>
    /// <param name="check">What else it has to meet: throws a <see cref="CheckpointException"/> if it does not. Null for its checksums.</param>
    /// <returns>The checkpoint, or null if there is none; and why newer ones were refused.</returns>
    public (CheckpointFolder? Found, IReadOnlyList<CheckpointException> Refused) FindNewest(Action<CheckpointFolder>? check = null)
    {
        var refused = new List<CheckpointException>();
        foreach (long step in Steps)
        {
            try
            {
                CheckpointFolder folder = CheckpointFolder.Open(PathOf(step));
                (check ?? (f => f.VerifyAll()))(folder);
                return (folder, refused);
            }
            catch (CheckpointException error)
            {
                refused.Add(error);
            }
        }

        return (null, refused);
    }

    /// <summary>Begins to write a checkpoint. Every process that takes part does so, with the same numbers.</summary>
    /// <param name="step">The step.</param>
    /// <param name="token">A number that no other attempt has.</param>
    /// <exception cref="CheckpointException">The folder cannot be made.</exception>
    public CheckpointDraft Begin(long step, uint token)
    {
        string path = PathOf(step) + string.Create(CultureInfo.InvariantCulture, $"{Partial}{token:x8}");
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(path, $"the folder cannot be made: {error.Message}", error);
        }

        return new CheckpointDraft(this, step, path);
    }

    /// <summary>What runs that were killed have left: folders of half-written and half-removed checkpoints.</summary>
    public IReadOnlyList<string> Leftovers => !Directory.Exists(Folder) ? [] :
    [
        .. Directory.GetDirectories(Folder, Prefix + "*").Where(path =>
        {
            string name = Path.GetFileName(path);
            int end = Math.Max(name.IndexOf(Partial, StringComparison.Ordinal), name.IndexOf(Removed, StringComparison.Ordinal));
            return end > 0 && StepOf(name[..end]) is not null;
        }),
    ];

    /// <summary>Removes the <see cref="Leftovers"/>. No other run may be using the folder.</summary>
    public void RemoveLeftovers()
    {
        foreach (string path in Leftovers)
        {
            Directory.Delete(path, recursive: true);
        }
    }

    /// <summary>Removes the oldest of the checkpoints up to a step, but for a number of them. Later steps, which a run left that went back, stay.</summary>
    /// <param name="keep">How many stay; at least 1.</param>
    /// <param name="newest">The step of the newest one.</param>
    public void Retain(int keep, long newest)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(keep, 1);
        foreach (long step in Steps.Where(step => step <= newest).Skip(keep))
        {
            Remove(step);
        }
    }

    /// <summary>Removes the checkpoint of a step, if there is one. It first loses its name, so that it is never taken for whole.</summary>
    internal void Remove(long step)
    {
        string path = PathOf(step);
        if (Directory.Exists(path))
        {
            string removed = path + Removed + Guid.NewGuid().ToString("N")[..8];
            Directory.Move(path, removed);
            Directory.Delete(removed, recursive: true);
        }
    }

    private static string NameOf(long step) => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step:00000000}");

    private static long? StepOf(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal)
        && long.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long step)
        && name == NameOf(step)
            ? step
            : null;
}
