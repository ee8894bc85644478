using System;
using System.IO;
using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;

namespace Dho2.Checkpoints;

/// <summary>Checksums of files: XXH128, which finds every accidental change and is faster than any disk.</summary>
public static class FileDigest
{
    /// <summary>The number of hexadecimal digits of a digest.</summary>
    public const int Digits = 32;

    private const int Chunk = 1 << 20;

    /// <summary>The digest of some bytes: 32 hexadecimal digits in lower case.</summary>
    public static string Of(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(XxHash128.Hash(bytes));

    /// <summary>The digest of a file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">It cannot be read.</exception>
    public static string OfFile(string path)
    {
        try
        {
            using SafeFileHandle handle = File.OpenHandle(path, options: FileOptions.SequentialScan);
            byte[] buffer = new byte[Chunk];
            var hash = new XxHash128();
            for (long position = 0; RandomAccess.Read(handle, buffer, position) is > 0 and int read; position += read)
            {
                hash.Append(buffer.AsSpan(0, read));
            }

            return Format(hash);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(path, $"it cannot be read: {error.Message}", error);
        }
    }

    internal static string Format(XxHash128 hash) => Convert.ToHexStringLower(hash.GetCurrentHash());
}
