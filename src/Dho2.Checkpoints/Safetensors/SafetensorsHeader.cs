using System;
using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;

namespace Dho2.Checkpoints;

/// <summary>
/// The header of a safetensors file (https://github.com/huggingface/safetensors, "Format"): JSON that names every tensor's
/// element type, sizes and place in the data that follow. Parsing is strict: the tensors must cover the data without gap
/// or overlap, and every name occurs once.
/// </summary>
public sealed class SafetensorsHeader
{
    /// <summary>The most bytes that a header may have; the format's own limit.</summary>
    public const int MaxBytes = 100_000_000;

    // libtorch has as many.
    private const int MaxDimensions = 64;

    private const string MetadataName = "__metadata__";

    private SafetensorsHeader(IReadOnlyList<SafetensorsEntry> entries, IReadOnlyDictionary<string, string> metadata)
    {
        Entries = entries;
        Metadata = metadata;
    }

    /// <summary>The tensors, in the order of their data.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>Free text by key.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Bytes of all tensors.</summary>
    public long DataBytes => Entries.Count == 0 ? 0 : Entries[^1].Start + Entries[^1].Bytes;

    /// <summary>Lays tensors out one after the other, those with the largest elements first, so that each is aligned.</summary>
    /// <param name="tensors">Names, element types and sizes.</param>
    /// <param name="metadata">Free text by key; null for none.</param>
    /// <exception cref="ArgumentException">A name occurs twice or is reserved, or a tensor's size is beyond 2^63 bytes.</exception>
    public static SafetensorsHeader Of(
        IEnumerable<(string Name, SafetensorsType Type, IReadOnlyList<long> Shape)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var entries = new List<SafetensorsEntry>();
        var names = new HashSet<string>(StringComparer.Ordinal) { MetadataName };
        long start = 0;
        foreach ((string name, SafetensorsType type, IReadOnlyList<long> shape) in tensors.OrderByDescending(t => t.Type.Bytes()))
        {
            if (!names.Add(name))
            {
                throw new ArgumentException($"The name '{name}' occurs twice or is reserved.", nameof(tensors));
            }

            if (SafetensorsEntry.BytesOf(type, shape) is not { } bytes || bytes > long.MaxValue - start)
            {
                throw new ArgumentException($"'{name}' of shape ({string.Join(", ", shape)}) has no size that fits a file.", nameof(tensors));
            }

            entries.Add(new(name, type, [.. shape], start, bytes));
            start += bytes;
        }

        return new(entries, metadata ?? new Dictionary<string, string>());
    }

    /// <summary>Reads the JSON of a header.</summary>
    /// <param name="json">Its bytes, without the length before them.</param>
    /// <param name="dataBytes">Bytes of the file after the header.</param>
    /// <param name="file">The file's name, for messages.</param>
    /// <exception cref="CheckpointException">The header breaks a rule of the format, or does not describe so many bytes.</exception>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long dataBytes, string file)
    {
        try
        {
            if (json.IsEmpty || json[0] != (byte)'{')
            {
                throw new CheckpointException(file, "the header does not begin with '{'.");
            }

            return new Parser(file).Run(json, dataBytes);
        }
        catch (JsonException error)
        {
            throw new CheckpointException(file, $"the header is no valid JSON: {error.Message}", error);
        }
        catch (InvalidOperationException error)
        {
            // The reader's way to say that text is not valid UTF-8 or UTF-16.
            throw new CheckpointException(file, $"the header has text that cannot be decoded: {error.Message}", error);
        }
    }

    /// <summary>The bytes that a file begins with: the length of the JSON, and the JSON, padded to a multiple of 8 bytes.</summary>
    public byte[] ToBytes()
    {
        var buffer = new ArrayBufferWriter<byte>();
        buffer.Write(new byte[sizeof(ulong)]);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            if (Metadata.Count > 0)
            {
                writer.WriteStartObject(MetadataName);
                foreach ((string key, string value) in Metadata)
                {
                    writer.WriteString(key, value);
                }

                writer.WriteEndObject();
            }

            foreach (SafetensorsEntry entry in Entries)
            {
                writer.WriteStartObject(entry.Name);
                writer.WriteString("dtype", entry.Type.Name());
                WriteArray(writer, "shape", entry.Shape);
                WriteArray(writer, "data_offsets", [entry.Start, entry.Start + entry.Bytes]);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        byte[] bytes = new byte[(buffer.WrittenCount + 7) / 8 * 8];
        buffer.WrittenSpan.CopyTo(bytes);
        bytes.AsSpan(buffer.WrittenCount).Fill((byte)' ');
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)(bytes.Length - sizeof(ulong)));
        return bytes;
    }

    private static void WriteArray(Utf8JsonWriter writer, string name, IReadOnlyList<long> values)
    {
        writer.WriteStartArray(name);
        foreach (long value in values)
        {
            writer.WriteNumberValue(value);
        }

        writer.WriteEndArray();
    }

    private sealed class Parser(string file)
    {
        private readonly List<SafetensorsEntry> entries = [];
        private readonly Dictionary<string, string> metadata = new(StringComparer.Ordinal);
        private readonly HashSet<string> names = new(StringComparer.Ordinal);

        public SafetensorsHeader Run(ReadOnlySpan<byte> json, long dataBytes)
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 4 });
            reader.Read();
            while (Next(ref reader) == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                if (!names.Add(name))
                {
                    throw Refuse($"'{name}' occurs twice in the header.");
                }

                Expect(ref reader, JsonTokenType.StartObject, $"'{name}'");
                if (name == MetadataName)
                {
                    ReadMetadata(ref reader);
                }
                else
                {
                    ReadTensor(ref reader, name);
                }
            }

            // The rest can only be white space: anything else is invalid JSON to the reader.
            reader.Read();
            entries.Sort((left, right) => (left.Start, left.Bytes).CompareTo((right.Start, right.Bytes)));
            long end = 0;
            foreach (SafetensorsEntry entry in entries)
            {
                if (entry.Start != end)
                {
                    throw Refuse($"'{entry.Name}' begins at byte {entry.Start} of the data; the tensor before it ends at {end}.");
                }

                end += entry.Bytes;
            }

            return end == dataBytes
                ? new SafetensorsHeader(entries, metadata)
                : throw Refuse($"its tensors take {end} bytes; after the header it has {dataBytes}.");
        }

        private void ReadMetadata(ref Utf8JsonReader reader)
        {
            while (Next(ref reader) == JsonTokenType.PropertyName)
            {
                string key = reader.GetString()!;
                Expect(ref reader, JsonTokenType.String, $"'{key}' of {MetadataName}");
                if (!metadata.TryAdd(key, reader.GetString()!))
                {
                    throw Refuse($"'{key}' occurs twice in {MetadataName}.");
                }
            }
        }

        private void ReadTensor(ref Utf8JsonReader reader, string name)
        {
            string? typeName = null;
            List<long>? shape = null;
            List<long>? offsets = null;
            while (Next(ref reader) == JsonTokenType.PropertyName)
            {
                string property = reader.GetString()!;
                bool repeated = property switch
                {
                    "dtype" => typeName is not null,
                    "shape" => shape is not null,
                    "data_offsets" => offsets is not null,
                    _ => throw Refuse($"'{name}' has an unknown property '{property}'."),
                };
                if (repeated)
                {
                    throw Refuse($"'{name}' has two properties '{property}'.");
                }

                if (property == "dtype")
                {
                    Expect(ref reader, JsonTokenType.String, $"dtype of '{name}'");
                    typeName = reader.GetString();
                }
                else
                {
                    bool isShape = property == "shape";
                    List<long> values = ReadIntegers(ref reader, $"{property} of '{name}'", isShape ? MaxDimensions : 2);
                    (shape, offsets) = isShape ? (values, offsets) : (shape, values);
                }
            }

            if (typeName is null || shape is null || offsets is not [long start, long end])
            {
                throw Refuse($"'{name}' lacks dtype, shape or its two data_offsets.");
            }

            if (!SafetensorsTypes.TryParse(typeName, out SafetensorsType type))
            {
                throw Refuse($"'{name}' has the dtype '{typeName}'; known are {SafetensorsTypes.Names}.");
            }

            if (SafetensorsEntry.BytesOf(type, shape) is not { } bytes || end < start || end - start != bytes)
            {
                throw Refuse($"'{name}' is {typeName} of shape ({string.Join(", ", shape)}), but has the bytes from {start} to {end}.");
            }

            entries.Add(new(name, type, shape, start, bytes));
        }

        private List<long> ReadIntegers(ref Utf8JsonReader reader, string what, int most)
        {
            Expect(ref reader, JsonTokenType.StartArray, what);
            var values = new List<long>();
            while (Next(ref reader) != JsonTokenType.EndArray)
            {
                if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long value) || value < 0)
                {
                    throw Refuse($"{what} is no list of whole numbers from 0 to {long.MaxValue}.");
                }

                if (values.Count == most)
                {
                    throw Refuse($"{what} has more than {most} numbers.");
                }

                values.Add(value);
            }

            return values;
        }

        private static JsonTokenType Next(ref Utf8JsonReader reader)
        {
            reader.Read();
            return reader.TokenType;
        }

        private void Expect(ref Utf8JsonReader reader, JsonTokenType type, string what)
        {
            if (Next(ref reader) != type)
            {
                throw Refuse($"{what} is {reader.TokenType} where {type} is expected.");
            }
        }

        private CheckpointException Refuse(string cause) => new(file, cause);
    }
}
