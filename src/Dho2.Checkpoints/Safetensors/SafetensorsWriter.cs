using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Hashing;
using System.Linq;
using Microsoft.Win32.SafeHandles;

namespace Dho2.Checkpoints;

/// <summary>A tensor to be written, whose elements are asked for when their turn has come.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Write">Gives all its bytes to the sink, in row-major order and little-endian.</param>
public sealed record TensorToWrite(string Name, SafetensorsType Type, IReadOnlyList<long> Shape, Action<TensorSink> Write);

/// <summary>What a written file came to.</summary>
/// <param name="Bytes">Its length.</param>
/// <param name="Digest">The XXH128 of its bytes, 32 hexadecimal digits in lower case.</param>
public readonly record struct WrittenFile(long Bytes, string Digest);

/// <summary>Writes safetensors files: one pass over each tensor's memory, no copy of it.</summary>
public static class SafetensorsWriter
{
    /// <summary>Writes a new file and waits until it has reached the disk.</summary>
    /// <param name="path">The file; it must not exist.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="metadata">Free text by key; null for none.</param>
    /// <exception cref="CheckpointException">The file exists, or the disk is full or fails.</exception>
    /// <exception cref="ArgumentException">Two tensors have the same name.</exception>
    public static WrittenFile Write(string path, IReadOnlyList<TensorToWrite> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        SafetensorsHeader header = SafetensorsHeader.Of(tensors.Select(t => (t.Name, t.Type, t.Shape)), metadata);
        Dictionary<string, TensorToWrite> byName = tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
        byte[] start = header.ToBytes();
        try
        {
            // Reserves the room at once: a full disk is known before anything is written.
            using SafeFileHandle handle = File.OpenHandle(
                path, FileMode.CreateNew, FileAccess.Write, FileShare.None, FileOptions.None, start.Length + header.DataBytes);
            var sink = new TensorSink(handle);
            sink.Write(start);
            foreach (SafetensorsEntry entry in header.Entries)
            {
                long before = sink.Position;
                byName[entry.Name].Write(sink);
                if (sink.Position - before != entry.Bytes)
                {
                    throw new InvalidOperationException($"'{entry.Name}' has {entry.Bytes} bytes, but {sink.Position - before} were written.");
                }
            }

            RandomAccess.FlushToDisk(handle);
            return new WrittenFile(sink.Position, sink.Digest());
        }
        catch (Exception error) when (error is (IOException or UnauthorizedAccessException) and not CheckpointException)
        {
            throw new CheckpointException(path, $"it cannot be written ({start.Length + header.DataBytes} bytes): {error.Message}", error);
        }
    }
}

/// <summary>Takes the bytes of the tensors of one file, in order.</summary>
public sealed class TensorSink
{
    // What has just been read for the digest is still in the cache when it is written.
    private const int Chunk = 1 << 20;

    private readonly SafeFileHandle handle;
    private readonly XxHash128 hash = new();

    internal TensorSink(SafeFileHandle handle) => this.handle = handle;

    /// <summary>Bytes taken so far.</summary>
    public long Position { get; private set; }

    /// <summary>Takes the next bytes.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            ReadOnlySpan<byte> chunk = bytes[..Math.Min(Chunk, bytes.Length)];
            hash.Append(chunk);
            WriteTo(handle, chunk, Position);
            Position += chunk.Length;
            bytes = bytes[chunk.Length..];
        }
    }

    private static void WriteTo(SafeFileHandle handle, ReadOnlySpan<byte> bytes, long position)
    {
        try
        {
            RandomAccess.Write(handle, bytes, position);
        }
        catch (ArgumentOutOfRangeException error)
        {
            // The framework's word for a file that is longer than the file system, or a limit, allows.
            throw new IOException(error.Message, error);
        }
    }

    internal string Digest() => FileDigest.Format(hash);
}
