using System;
using System.IO;

namespace Dho2.Records;

/// <summary>A run's record was refused or could not be written; the message names the file, the line where there is one, and the cause.</summary>
public sealed class RecordException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="cause">What is wrong with it, and what would be right.</param>
    /// <param name="line">The line, counted from 1; 0 where the file as a whole is meant.</param>
    /// <param name="inner">The exception that this one explains, or null.</param>
    public RecordException(string path, string cause, int line = 0, Exception? inner = null)
        : base(line > 0 ? $"{path}:{line}: {cause}" : $"{path}: {cause}", inner)
    {
        Path = path;
        Line = line;
        Cause = cause;
    }

    /// <summary>The file or folder.</summary>
    public string Path { get; }

    /// <summary>The line, counted from 1; 0 where the file as a whole is meant.</summary>
    public int Line { get; }

    /// <summary>What is wrong, without the place.</summary>
    public string Cause { get; }
}
