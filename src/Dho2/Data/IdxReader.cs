using System;
using System.Buffers.Binary;
using System.IO;
using System.Linq;
using ICSharpCode.SharpZipLib;
using ICSharpCode.SharpZipLib.GZip;

namespace Dho2.Data;

/// <summary>
/// Reads IDX files, the format of MNIST: two zero bytes, element type, number of dimensions, each dimension as a 32-bit
/// big-endian integer, then the elements.
/// </summary>
/// <remarks>
/// Reading is strict: whatever does not fit is refused with the file, the byte it was noticed at and what was expected
/// there. Offsets count in the uncompressed file. Only unsigned bytes (type 0x08) are read.
/// </remarks>
public static class IdxReader
{
    private const byte UnsignedByte = 0x08;

    // The most that DEFLATE can make of one byte: two codes of one bit stand for 258 bytes, four times over.
    private const long MaximumCompression = 1032;

    /// <summary>Reads a file, plain or compressed with gzip.</summary>
    /// <param name="path">The file; compression is recognised by content, not by name.</param>
    /// <param name="dimensions">The number of dimensions it must have: 1 for labels, 3 for images.</param>
    /// <exception cref="InvalidDataException">The file is damaged or of another kind.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IdxArray Read(string path, int dimensions)
    {
        using FileStream file = File.OpenRead(path);
        return Read(file, path, dimensions);
    }

    /// <summary>Reads a stream from its current position to its end.</summary>
    /// <param name="stream">A stream that can seek, plain or compressed with gzip.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="dimensions">The number of dimensions it must have: 1 for labels, 3 for images.</param>
    /// <exception cref="InvalidDataException">The content is damaged or of another kind.</exception>
    public static IdxArray Read(Stream stream, string name, int dimensions)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(dimensions, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(dimensions, byte.MaxValue);
        long length = stream.Length - stream.Position;
        Span<byte> signature = stackalloc byte[2];
        int read = stream.ReadAtLeast(signature, 2, throwOnEndOfStream: false);
        stream.Position -= read;
        if (read == 2 && signature is [0x1f, 0x8b])
        {
            // The framework's own GZipStream takes a file cut short for a complete one.
            using var content = new GZipInputStream(stream) { IsStreamOwner = false };
            return new Source(content, name, length, Compressed: true).ReadArray(dimensions);
        }

        return new Source(stream, name, length, Compressed: false).ReadArray(dimensions);
    }

    private sealed record Source(Stream Content, string Name, long Length, bool Compressed)
    {
        private long position;

        public IdxArray ReadArray(int dimensions)
        {
            byte[] header = new byte[4 + 4 * dimensions];
            ReadMagic(header.AsSpan(0, 4), dimensions);
            Fill(header.AsSpan(4), $"{dimensions} dimensions of 4 bytes");
            int[] sizes = [.. Enumerable.Range(0, dimensions).Select(i => ReadDimension(header, i))];
            byte[] values = new byte[CheckedCount(sizes, header.Length)];
            Fill(values, $"{values.Length} elements for dimensions {string.Join(" x ", sizes)}");
            if (ReadSome(new byte[1]) != 0)
            {
                throw Refuse(position - 1, $"there is more after the {values.Length} elements of dimensions {string.Join(" x ", sizes)}, expected the end");
            }

            return new IdxArray(sizes, values, header.Length);
        }

        private void ReadMagic(Span<byte> magic, int dimensions)
        {
            Fill(magic, "a magic number of 4 bytes");
            if (magic[0] != 0 || magic[1] != 0)
            {
                throw Refuse(0, $"it begins with 0x{magic[0]:x2}{magic[1]:x2}, expected 0x0000: no IDX file");
            }

            if (magic[2] != UnsignedByte)
            {
                throw Refuse(2, $"element type 0x{magic[2]:x2} ({TypeName(magic[2])}), expected 0x08 (unsigned byte)");
            }

            if (magic[3] != dimensions)
            {
                throw Refuse(3, $"{magic[3]} dimensions, expected {dimensions}");
            }
        }

        private int ReadDimension(byte[] header, int index)
        {
            int at = 4 + 4 * index;
            uint size = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(at));
            return size is > 0 and <= int.MaxValue
                ? (int)size
                : throw Refuse(at, $"dimension {index} is {size}, expected 1 to {int.MaxValue}");
        }

        /// <summary>The number of elements, known to be no more than the file can hold.</summary>
        private int CheckedCount(int[] sizes, int headerBytes)
        {
            long limit = Math.Min(Array.MaxLength, Compressed ? MaximumCompression * Length : Length - headerBytes);
            long count = 1;
            for (int i = 0; i < sizes.Length; i++)
            {
                // No overflow: count is at most Array.MaxLength here and a dimension at most int.MaxValue.
                count *= sizes[i];
                if (count > limit)
                {
                    string held = Compressed ? $"{Length} compressed bytes hold at most {limit}" : $"{limit} bytes follow the header";
                    throw Refuse(4 + 4 * i, $"dimensions {string.Join(" x ", sizes)} need {ElementCount(sizes)} bytes, but {held}");
                }
            }

            return (int)count;
        }

        private static decimal ElementCount(int[] sizes)
            => sizes.Aggregate(1m, (product, size) => product > decimal.MaxValue / size ? decimal.MaxValue : product * size);

        private void Fill(Span<byte> buffer, string expected)
        {
            long start = position;
            while (buffer.Length > 0)
            {
                int read = ReadSome(buffer);
                if (read == 0)
                {
                    throw Refuse(position, $"it ends here, expected {expected} from byte {start} on");
                }

                buffer = buffer[read..];
            }
        }

        private int ReadSome(Span<byte> buffer)
        {
            try
            {
                int read = Content.Read(buffer);
                position += read;
                return read;
            }
            catch (Exception e) when (Compressed && e is SharpZipBaseException or EndOfStreamException)
            {
                throw Refuse(position, $"the gzip data from here on is damaged, expected a complete gzip file ({e.Message})");
            }
        }

        private InvalidDataException Refuse(long at, string reason) => new($"{Name}, byte {at}: {reason}.");

        private static string TypeName(byte type) => type switch
        {
            0x09 => "signed byte",
            0x0b => "16-bit integer",
            0x0c => "32-bit integer",
            0x0d => "32-bit float",
            0x0e => "64-bit float",
            _ => "unknown",
        };
    }
}
