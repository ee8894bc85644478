using System;
using System.Buffers.Binary;
using System.IO;
using System.IO.Compression;
using System.Linq;
using Dho2.Data;

namespace Dho2.Tests.Data;

public class IdxReaderTests
{
    private static readonly byte[] Images = Idx(0x08, [2, 3, 4], [.. Enumerable.Range(0, 24).Select(i => (byte)i)]);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Reads_plain_and_compressed_files(bool compressed)
    {
        IdxArray array = Read(compressed ? Gzip(Images) : Images);

        Assert.Equal([2, 3, 4], array.Dimensions);
        Assert.Equal(Enumerable.Range(0, 24).Select(i => (byte)i), array.Values);
        Assert.Equal(16, array.HeaderBytes);
    }

    [Fact]
    public void A_file_is_named_by_its_path()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, Images);
            Assert.Equal([2, 3, 4], IdxReader.Read(path, 3).Dimensions);
            File.WriteAllBytes(path, Images[..14]);
            Assert.StartsWith($"{path}, byte 14: it ends here", Assert.Throws<InvalidDataException>(() => IdxReader.Read(path, 3)).Message);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Refuses_a_file_cut_anywhere_at_the_cut()
    {
        for (int length = 0; length < Images.Length; length++)
        {
            // Short of a whole header, the missing bytes are noticed where the file ends; later, from the dimensions.
            string expected = length < 16 ? $"byte {length}: it ends here" : $"byte {LimitingDimension(length - 16)}: dimensions 2 x 3 x 4 need 24 bytes, but {length - 16} bytes follow";
            Refuses(Images[..length], expected);
        }

        static int LimitingDimension(int bytes) => bytes < 2 ? 4 : bytes < 6 ? 8 : 12;
    }

    [Fact]
    public void Refuses_a_compressed_file_cut_anywhere()
    {
        byte[] compressed = Gzip(Images);
        for (int length = 2; length < compressed.Length; length++)
        {
            Refuses(compressed[..length], "the gzip data from here on is damaged, expected a complete gzip file");
        }
    }

    [Fact]
    public void Refuses_compressed_content_cut_anywhere_at_the_cut()
    {
        for (int length = 0; length < Images.Length; length++)
        {
            Refuses(Gzip(Images[..length]), $"byte {length}: it ends here, expected ");
        }
    }

    [Fact]
    public void Refuses_a_damaged_byte_anywhere_in_a_compressed_file()
    {
        byte[] compressed = Gzip(Images);
        // Bytes 3 to 9 hold a hint, time, level and system, which change nothing; nor do the last bits of the data.
        foreach (int at in Enumerable.Range(0, compressed.Length).Where(i => i is < 3 or > 9))
        {
            byte[] damaged = [.. compressed];
            damaged[at] ^= 0x01;
            Refuses(damaged, "idx, byte ");
        }
    }

    [Theory]
    [InlineData(0, 0x01, "byte 0: it begins with 0x0100, expected 0x0000: no IDX file.")]
    [InlineData(1, 0xff, "byte 0: it begins with 0x00ff, expected 0x0000: no IDX file.")]
    [InlineData(2, 0x09, "byte 2: element type 0x09 (signed byte), expected 0x08 (unsigned byte).")]
    [InlineData(2, 0x0b, "byte 2: element type 0x0b (16-bit integer), expected 0x08 (unsigned byte).")]
    [InlineData(2, 0x0d, "byte 2: element type 0x0d (32-bit float), expected 0x08 (unsigned byte).")]
    [InlineData(2, 0x77, "byte 2: element type 0x77 (unknown), expected 0x08 (unsigned byte).")]
    [InlineData(3, 0x01, "byte 3: 1 dimensions, expected 3.")]
    [InlineData(7, 0x00, "byte 4: dimension 0 is 0, expected 1 to 2147483647.")]
    [InlineData(8, 0xff, "byte 8: dimension 1 is 4278190083, expected 1 to 2147483647.")]
    [InlineData(7, 0x01, "byte 28: there is more after the 12 elements of dimensions 1 x 3 x 4, expected the end.")]
    [InlineData(15, 0x05, "byte 12: dimensions 2 x 3 x 5 need 30 bytes, but 24 bytes follow the header.")]
    public void Refuses_a_wrong_header_at_its_byte(int at, byte value, string expected)
    {
        byte[] damaged = [.. Images];
        damaged[at] = value;

        Refuses(damaged, expected);
    }

    [Theory]
    [InlineData(false, "but 24 bytes follow the header.")]
    [InlineData(true, "compressed bytes hold at most ")]
    public void Refuses_absurd_sizes_before_allocating(bool compressed, string expected)
    {
        byte[] absurd = Idx(0x08, [int.MaxValue, int.MaxValue, int.MaxValue], new byte[24]);
        byte[] large = Idx(0x08, [1_000_000, 28, 28], new byte[24]);
        foreach (byte[] content in new[] { absurd, large })
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Refuses(compressed ? Gzip(content) : content, expected);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1_000_000);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Refuses_what_follows_the_last_element(bool compressed)
    {
        byte[] longer = [.. Images, 0];
        Refuses(compressed ? Gzip(longer) : longer, "byte 40: there is more after the 24 elements of dimensions 2 x 3 x 4");
    }

    private static void Refuses(byte[] content, string expected)
    {
        InvalidDataException refusal = Assert.Throws<InvalidDataException>(() => Read(content));
        Assert.StartsWith("idx, byte ", refusal.Message);
        Assert.Contains(expected, refusal.Message);
    }

    private static IdxArray Read(byte[] content) => IdxReader.Read(new MemoryStream(content), "idx", 3);

    internal static byte[] Idx(byte type, int[] dimensions, byte[] values)
    {
        byte[] header = new byte[4 + 4 * dimensions.Length];
        header[2] = type;
        header[3] = (byte)dimensions.Length;
        for (int i = 0; i < dimensions.Length; i++)
        {
            BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4 + 4 * i), dimensions[i]);
        }

        return [.. header, .. values];
    }

    internal static byte[] Gzip(byte[] content)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.SmallestSize))
        {
            gzip.Write(content);
        }

        return compressed.ToArray();
    }
}
