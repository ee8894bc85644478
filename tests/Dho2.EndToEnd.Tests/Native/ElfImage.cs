using System;
using System.Buffers.Binary;
using System.Linq;

namespace Dho2.EndToEnd.Tests.Native;

/// <summary>A section of a 64-bit ELF file: the offsets of its header and of its bytes, and how many those are.</summary>
internal sealed record ElfSection(int Header, int Start, int Size);

/// <summary>Finds places in a 64-bit ELF file, for tests that change them.</summary>
internal static class ElfImage
{
    private const int HeaderSize = 64;

    /// <summary>The one section of a type, or the one that its link names.</summary>
    public static ElfSection Section(this byte[] image, uint type, bool linked = false)
    {
        int table = (int)BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan(0x28));
        int count = BinaryPrimitives.ReadUInt16LittleEndian(image.AsSpan(0x3c));
        int header = Enumerable.Range(0, count).Select(i => table + (i * HeaderSize)).Single(at => image.U32(at + 4) == type);
        if (linked)
        {
            header = table + ((int)image.U32(header + 40) * HeaderSize);
        }

        return new(
            header,
            (int)BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan(header + 24)),
            (int)BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan(header + 32)));
    }

    public static uint U32(this byte[] image, int at) => BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(at));

    public static void Patch(this byte[] image, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(at), value);
}
