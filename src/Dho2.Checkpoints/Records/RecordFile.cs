using System;
using System.Buffers;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;
using System.Text.Json;

namespace Dho2.Records;

/// <summary>
/// A rank's lines, <c>rank-0.jsonl</c> and its like: a JSON object each, appended as training goes on. A process that is
/// killed loses what it had not flushed, and may leave half a line at the end, which readers pass over and the next process
/// removes.
/// </summary>
public sealed class RecordFile : IDisposable
{
    private const int MaxBytes = 1 << 30;

    private readonly FileStream stream;
    private readonly ArrayBufferWriter<byte> lines = new();
    private readonly Utf8JsonWriter json;

    private RecordFile(FileStream stream)
    {
        this.stream = stream;
        json = new Utf8JsonWriter(lines);
    }

    /// <summary>The name of a rank's file.</summary>
    public static string NameOf(int rank) => string.Create(CultureInfo.InvariantCulture, $"rank-{rank}.jsonl");

    /// <summary>Opens a file to go on with it; makes it if it does not exist.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public static RecordFile Append(string path)
    {
        FileStream stream = new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        try
        {
            if (stream.CanSeek)
            {
                CutHalfALine(stream);
            }

            return new RecordFile(stream);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Adds a line, which reaches the file with the next <see cref="Flush"/>.</summary>
    public void Add(RecordEntry entry)
    {
        JsonSerializer.Serialize(json, entry, RecordEntryJson.Default.RecordEntry);
        json.Reset();
        lines.Write("\n"u8);
    }

    /// <summary>Hands all lines over to the operating system.</summary>
    /// <exception cref="IOException">They cannot be written.</exception>
    public void Flush()
    {
        stream.Write(lines.WrittenSpan);
        lines.ResetWrittenCount();
    }

    /// <summary>Reads a file's lines. What was void because a later process went on from before it is left out.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="RecordException">It cannot be read, or a line in it is damaged.</exception>
    public static IReadOnlyList<RecordEntry> Read(string path)
    {
        ReadOnlySpan<byte> left = ReadBytes(path);
        var entries = new List<RecordEntry>();
        for (int line = 1, end = left.IndexOf((byte)'\n'); end >= 0; line++, end = left.IndexOf((byte)'\n'))
        {
            RecordEntry entry = Parse(path, line, left[..end]);
            if (entry is StartEntry start)
            {
                entries.RemoveAll(earlier => earlier.Step > start.Step && earlier is not (StartEntry or EndEntry));
            }
            else if (entries.Count == 0)
            {
                throw new RecordException(path, "it does not begin with the start of a process.", line);
            }

            entries.Add(entry);
            left = left[(end + 1)..];
        }

        return entries;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        json.Dispose();
        stream.Dispose();
    }

    private static RecordEntry Parse(string path, int line, ReadOnlySpan<byte> text)
    {
        try
        {
            RecordEntry? entry = JsonSerializer.Deserialize(text, RecordEntryJson.Default.RecordEntry);
            return entry switch
            {
                null => throw new RecordException(path, "it is damaged: nothing is there.", line),
                { Step: < 0 } => throw new RecordException(path, $"it is damaged: there is no step {entry.Step}.", line),
                EstimateEntry { ResidualBounds.Count: > 0 } e when e.ResidualBounds.Count != e.Eigenvalues.Count =>
                    throw new RecordException(path, $"it is damaged: {e.Eigenvalues.Count} eigenvalues have {e.ResidualBounds.Count} residual bounds.", line),
                _ => entry,
            };
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            string shown = Encoding.UTF8.GetString(text[..Math.Min(text.Length, 40)]);
            throw new RecordException(path, $"it is damaged: '{shown}{(text.Length > 40 ? "..." : "")}' is no line of a record.", line, error);
        }
    }

    private static byte[] ReadBytes(string path)
    {
        try
        {
            // Of a run that goes on, what is there now.
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (file.Length > MaxBytes)
            {
                throw new RecordException(path, $"it has {file.Length} bytes; at most {MaxBytes} are read.");
            }

            byte[] bytes = new byte[file.Length];
            int read = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return read == bytes.Length ? bytes : bytes[..read];
        }
        catch (Exception error) when (error is (IOException or UnauthorizedAccessException) and not RecordException)
        {
            throw new RecordException(path, $"it cannot be read: {error.Message}", inner: error);
        }
    }

    private static void CutHalfALine(FileStream stream)
    {
        Span<byte> block = stackalloc byte[4096];
        long end = stream.Length;
        while (end > 0)
        {
            int size = (int)Math.Min(block.Length, end);
            stream.Position = end - size;
            stream.ReadExactly(block[..size]);
            int last = block[..size].LastIndexOf((byte)'\n');
            if (last >= 0)
            {
                end = end - size + last + 1;
                break;
            }

            end -= size;
        }

        if (end < stream.Length)
        {
            stream.SetLength(end);
        }

        stream.Position = end;
    }
}
