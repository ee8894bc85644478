using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Dho2.Checkpoints.Tests;
using Dho2.Cli.Reports;

namespace Dho2.Cli.Tests;

/// <summary>Event files of TensorBoard, byte by byte against the published formats.</summary>
public sealed class TensorBoardTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void TheChecksumIsThatOfTheStandard()
    {
        // RFC 3720, appendix B.4, whose bytes stand in the order of transmission; and the check value of CRC catalogues.
        Assert.Equal(0x8a9136aau, TensorBoardFile.Crc32C(new byte[32]));
        Assert.Equal(0x62a8ab43u, TensorBoardFile.Crc32C([.. Enumerable.Repeat((byte)0xff, 32)]));
        Assert.Equal(0x46dd794eu, TensorBoardFile.Crc32C([.. Enumerable.Range(0, 32).Select(i => (byte)i)]));
        Assert.Equal(0xe3069283u, TensorBoardFile.Crc32C("123456789"u8));
    }

    [Fact]
    public void AFileIsWhatTheFormatSays()
    {
        var stream = new MemoryStream();
        using (var file = new TensorBoardFile(stream, DateTimeOffset.UnixEpoch.AddSeconds(2)))
        {
            file.Add(DateTimeOffset.UnixEpoch.AddSeconds(3), 300, ("loss", 1.5));
        }

        // Event { wall_time = 2, file_version = "brain.Event:2" }, Event { wall_time = 3, step = 300, summary { value { tag = "loss", simple_value = 1.5 } } }.
        byte[] version = [0x09, .. BitConverter.GetBytes(2.0), 0x1a, 13, .. "brain.Event:2"u8];
        byte[] value = [0x0a, 4, .. "loss"u8, 0x15, .. BitConverter.GetBytes(1.5f)];
        byte[] step = [0x09, .. BitConverter.GetBytes(3.0), 0x10, 0xac, 0x02, 0x2a, (byte)(value.Length + 2), 0x0a, (byte)value.Length, .. value];
        List<byte[]> records = Records(stream.ToArray());
        Assert.Equal([version, step], records);
    }

    [Fact]
    public void ARecordsNumbersAreInTheFile()
    {
        string run = folder.File("run");
        SampleRecord.Write(run);
        Assert.Equal(0, Tool.Run("report", run, "--tensorboard", folder.File("events")).Status);
        string path = Assert.Single(Directory.GetFiles(folder.File("events")));
        Assert.Equal($"events.out.tfevents.{SampleRecord.Start.ToUnixTimeSeconds():0000000000}.dho2", Path.GetFileName(path));
        string[] texts = [.. Records(File.ReadAllBytes(path)).Select(Encoding.Latin1.GetString)];
        Assert.Equal(SampleRecord.Steps, texts.Count(text => text.Contains("loss/training", StringComparison.Ordinal)));
        Assert.Equal(SampleRecord.Steps / 10, texts.Count(text => text.Contains("admm/primal residual", StringComparison.Ordinal)));
        Assert.Equal(2, texts.Count(text => text.Contains("epoch/test accuracy", StringComparison.Ordinal)));
        Assert.Equal(4, texts.Count(text => text.Contains("curvature/eigenvalue 3", StringComparison.Ordinal)));
    }

    // The TFRecord format: length, masked checksum of the length, data, masked checksum of the data.
    private static List<byte[]> Records(ReadOnlySpan<byte> bytes)
    {
        static uint Masked(ReadOnlySpan<byte> part)
        {
            uint crc = TensorBoardFile.Crc32C(part);
            return unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8);
        }

        var records = new List<byte[]>();
        while (bytes.Length > 0)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            Assert.Equal(Masked(bytes[..8]), BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]));
            ReadOnlySpan<byte> data = bytes.Slice(12, length);
            Assert.Equal(Masked(data), BinaryPrimitives.ReadUInt32LittleEndian(bytes[(12 + length)..]));
            records.Add(data.ToArray());
            bytes = bytes[(16 + length)..];
        }

        return records;
    }
}
