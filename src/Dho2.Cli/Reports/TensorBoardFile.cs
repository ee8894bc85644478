using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Numerics;
using System.Text;

namespace Dho2.Cli.Reports;

/// <summary>
/// Writes an event file of TensorBoard: records of the TFRecord format (length, its masked CRC-32C, data, their masked CRC-32C),
/// each a protocol buffer <c>Event</c> of <c>tensorflow/core/util/event.proto</c>, of whose fields the few are written that scalars
/// need.
/// </summary>
internal sealed class TensorBoardFile : IDisposable
{
    private const uint MaskDelta = 0xa282ead8;

    // Field numbers and wire types of event.proto and summary.proto.
    private const byte EventTime = (1 << 3) | Fixed64;
    private const byte EventStep = (2 << 3) | Varint;
    private const byte EventFileVersion = (3 << 3) | Bytes;
    private const byte EventSummary = (5 << 3) | Bytes;
    private const byte SummaryValue = (1 << 3) | Bytes;
    private const byte ValueTag = (1 << 3) | Bytes;
    private const byte ValueSimple = (2 << 3) | Fixed32;
    private const byte Varint = 0;
    private const byte Fixed64 = 1;
    private const byte Bytes = 2;
    private const byte Fixed32 = 5;

    private readonly Stream stream;

    /// <summary>Begins a file.</summary>
    /// <param name="stream">Where it goes; closed with the file.</param>
    /// <param name="started">The time that its first event has.</param>
    public TensorBoardFile(Stream stream, DateTimeOffset started)
    {
        this.stream = stream;
        var version = new List<byte>();
        Time(version, started);
        Field(version, EventFileVersion, Encoding.UTF8.GetBytes("brain.Event:2"));
        Record(version);
    }

    /// <summary>The name of a file, which TensorBoard knows by the part in its midst.</summary>
    /// <param name="started">When the run began.</param>
    public static string NameOf(DateTimeOffset started) => FormattableString.Invariant($"events.out.tfevents.{started.ToUnixTimeSeconds():0000000000}.dho2");

    /// <summary>Adds values of one step.</summary>
    /// <param name="time">When.</param>
    /// <param name="step">The step.</param>
    /// <param name="values">Names and values.</param>
    public void Add(DateTimeOffset time, long step, params IEnumerable<(string Tag, double Value)> values)
    {
        var summary = new List<byte>();
        foreach ((string tag, double value) in values)
        {
            var one = new List<byte>();
            Field(one, ValueTag, Encoding.UTF8.GetBytes(tag));
            one.Add(ValueSimple);
            one.AddRange(BitConverter.GetBytes((float)value));
            Field(summary, SummaryValue, [.. one]);
        }

        var happened = new List<byte>();
        Time(happened, time);
        happened.Add(EventStep);
        Number(happened, (ulong)step);
        Field(happened, EventSummary, [.. summary]);
        Record(happened);
    }

    /// <summary>The checksum of Castagnoli, as in RFC 3720, appendix B.4.</summary>
    public static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte one in bytes)
        {
            crc = BitOperations.Crc32C(crc, one);
        }

        return ~crc;
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    private static uint Masked(ReadOnlySpan<byte> bytes)
    {
        uint crc = Crc32C(bytes);
        return unchecked(((crc >> 15) | (crc << 17)) + MaskDelta);
    }

    private static void Time(List<byte> message, DateTimeOffset time)
    {
        Span<byte> seconds = stackalloc byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(seconds, (time - DateTimeOffset.UnixEpoch).TotalSeconds);
        message.Add(EventTime);
        message.AddRange(seconds);
    }

    private static void Field(List<byte> message, byte key, byte[] content)
    {
        message.Add(key);
        Number(message, (ulong)content.Length);
        message.AddRange(content);
    }

    private static void Number(List<byte> message, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            message.Add((byte)(value | 0x80));
        }

        message.Add((byte)value);
    }

    private void Record(List<byte> message)
    {
        byte[] data = [.. message];
        Span<byte> length = stackalloc byte[8];
        Span<byte> crc = stackalloc byte[4];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)data.Length);
        stream.Write(length);
        BinaryPrimitives.WriteUInt32LittleEndian(crc, Masked(length));
        stream.Write(crc);
        stream.Write(data);
        BinaryPrimitives.WriteUInt32LittleEndian(crc, Masked(data));
        stream.Write(crc);
    }
}
