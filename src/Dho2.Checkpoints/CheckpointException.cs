using System;
using System.IO;

namespace Dho2.Checkpoints;

/// <summary>A file or folder of a checkpoint was refused or could not be written; the message names it and the cause.</summary>
public sealed class CheckpointException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="cause">What is wrong with it, and what would be right.</param>
    /// <param name="inner">The exception that this one explains, or null.</param>
    public CheckpointException(string path, string cause, Exception? inner = null)
        : base($"{path}: {cause}", inner)
    {
        Path = path;
        Cause = cause;
    }

    /// <summary>The file or folder.</summary>
    public string Path { get; }

    /// <summary>What is wrong with it, without the path.</summary>
    public string Cause { get; }
}
