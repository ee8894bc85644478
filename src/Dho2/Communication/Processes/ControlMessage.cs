using System;
using System.Buffers.Binary;
using System.Text;

namespace Dho2.Communication;

/// <summary>What processes tell each other beside their work.</summary>
internal enum ControlKind
{
    /// <summary>A group was aborted.</summary>
    Abort = 1,

    /// <summary>The failure was reported: those whom it ended may go.</summary>
    Reported,

    /// <summary>The process is about to end after a failure.</summary>
    Gone,

    /// <summary>The process has done its work and leaves the world.</summary>
    Leaving,
}

/// <summary>A message of fixed size.</summary>
/// <param name="Kind">What it says.</param>
/// <param name="Group">The opened group that it is about.</param>
/// <param name="Origin">The rank that sends it.</param>
/// <param name="Text">Words for people.</param>
internal readonly record struct ControlMessage(ControlKind Kind, int Group, int Origin, string Text)
{
    public const int Size = 2048;
    private const int HeadSize = 16;

    public void Write(Span<byte> bytes)
    {
        bytes.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(bytes, (int)Kind);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[4..], Group);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[8..], Origin);
        Encoding.UTF8.GetEncoder().Convert(Text, bytes[HeadSize..], flush: true, out _, out int length, out _);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[12..], length);
    }

    public static ControlMessage Read(ReadOnlySpan<byte> bytes) => new(
        (ControlKind)BinaryPrimitives.ReadInt32LittleEndian(bytes),
        BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]),
        BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]),
        Encoding.UTF8.GetString(bytes.Slice(HeadSize, Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]), 0, Size - HeadSize))));
}
