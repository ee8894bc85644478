using System;
using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.Win32.SafeHandles;

namespace Dho2.Checkpoints;

/// <summary>
/// A safetensors file that is open for reading. Only the header is in memory; elements are read where the caller wants
/// them. Several threads may read at once.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    private readonly SafeFileHandle handle;
    private readonly long dataStart;
    private readonly Dictionary<string, SafetensorsEntry> byName;

    private SafetensorsFile(string path, SafeFileHandle handle, long dataStart, SafetensorsHeader header)
    {
        Path = path;
        this.handle = handle;
        this.dataStart = dataStart;
        Header = header;
        byName = header.Entries.ToDictionary(e => e.Name, StringComparer.Ordinal);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>What is in it.</summary>
    public SafetensorsHeader Header { get; }

    /// <summary>The tensors, in the order of their data.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries => Header.Entries;

    /// <summary>Opens a file and checks its header against its length.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">It cannot be opened, or is no safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path, options: FileOptions.SequentialScan);
            long length = RandomAccess.GetLength(handle);
            Span<byte> prefix = stackalloc byte[sizeof(ulong)];
            if (length < prefix.Length)
            {
                throw new CheckpointException(path, $"it has {length} bytes; a safetensors file begins with the 8 bytes of its header's length.");
            }

            ReadExactly(path, handle, prefix, 0);
            ulong headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
            if (headerBytes > SafetensorsHeader.MaxBytes || (long)headerBytes > length - prefix.Length)
            {
                throw new CheckpointException(
                    path, $"its header claims {headerBytes} bytes; the file has {length - prefix.Length} after the length, and the format allows {SafetensorsHeader.MaxBytes}.");
            }

            byte[] json = ArrayPool<byte>.Shared.Rent((int)headerBytes);
            try
            {
                Span<byte> header = json.AsSpan(0, (int)headerBytes);
                ReadExactly(path, handle, header, prefix.Length);
                long start = prefix.Length + header.Length;
                return new SafetensorsFile(path, handle, start, SafetensorsHeader.Parse(header, length - start, path));
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(json);
            }
        }
        catch (Exception error)
        {
            handle?.Dispose();
            if (error is (IOException or UnauthorizedAccessException) and not CheckpointException)
            {
                throw new CheckpointException(path, $"it cannot be read: {error.Message}", error);
            }

            throw;
        }
    }

    /// <summary>A tensor by its name, or null.</summary>
    public SafetensorsEntry? Find(string name) => byName.GetValueOrDefault(name);

    /// <summary>Reads a part of a tensor.</summary>
    /// <param name="entry">The tensor, one of <see cref="Entries"/>.</param>
    /// <param name="offset">The first byte within the tensor.</param>
    /// <param name="into">Filled with the bytes from there.</param>
    /// <exception cref="ArgumentOutOfRangeException">The tensor has fewer bytes.</exception>
    /// <exception cref="CheckpointException">The file became shorter since it was opened, or cannot be read.</exception>
    public void Read(SafetensorsEntry entry, long offset, Span<byte> into)
    {
        if (offset < 0 || into.Length > entry.Bytes - offset)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"'{entry.Name}' has {entry.Bytes} bytes; {into.Length} are wanted from here.");
        }

        ReadExactly(Path, handle, into, dataStart + entry.Start + offset);
    }

    /// <inheritdoc/>
    public void Dispose() => handle.Dispose();

    private static void ReadExactly(string path, SafeFileHandle handle, Span<byte> into, long offset)
    {
        while (into.Length > 0)
        {
            int read;
            try
            {
                read = RandomAccess.Read(handle, into, offset);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new CheckpointException(path, $"byte {offset} cannot be read: {error.Message}", error);
            }

            if (read == 0)
            {
                throw new CheckpointException(path, $"it ends at byte {offset}; {into.Length} more are missing.");
            }

            into = into[read..];
            offset += read;
        }
    }
}
