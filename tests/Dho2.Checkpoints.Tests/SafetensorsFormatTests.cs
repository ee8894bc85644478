using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Dho2.Checkpoints.Tests;

/// <summary>Files as the format's description has them, written and read without our own reader and writer.</summary>
public sealed class SafetensorsFormatTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void AFileWrittenByHandFromTheFormatIsRead()
    {
        // As PyTorch's library writes it: header padded with spaces, tensors in an order of its own.
        const string header = """{"__metadata__":{"format":"pt"},"fc.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"empty":{"dtype":"BF16","shape":[0,3],"data_offsets":[24,24]},"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[24,27]}}     """;
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        byte[] data = [0x2A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40, 1, 0, 1];
        File.WriteAllBytes(folder.File("hand.safetensors"), [.. length, .. json, .. data]);

        using SafetensorsFile file = SafetensorsFile.Open(folder.File("hand.safetensors"));

        Assert.Equal(["n", "empty", "fc.weight", "mask"], file.Entries.Select(e => e.Name).Order(Comparer<string>.Create((a, b) => Order(a) - Order(b))));
        Assert.Equal("pt", file.Header.Metadata["format"]);
        SafetensorsEntry weight = file.Find("fc.weight")!;
        Assert.Equal((SafetensorsType.Float32, 4L), (weight.Type, weight.Count));
        Assert.Equal([2L, 2], weight.Shape);
        float[] values = new float[4];
        file.Read(weight, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        Assert.Equal([1f, 2, 3, 4], values);
        float[] last = new float[2];
        file.Read(weight, 8, MemoryMarshal.AsBytes(last.AsSpan()));
        Assert.Equal([3f, 4], last);
        long[] n = new long[1];
        file.Read(file.Find("n")!, 0, MemoryMarshal.AsBytes(n.AsSpan()));
        Assert.Equal(42, n[0]);
        Assert.Equal([0L, 3], file.Find("empty")!.Shape);
        Assert.Null(file.Find("absent"));

        static int Order(string name) => Array.IndexOf(["n", "empty", "fc.weight", "mask"], name);
    }

    [Fact]
    public void WhatWeWriteIsWhatTheFormatSays()
    {
        float[] weight = [1.5f, -2, 3.25f];
        long[] counter = [7];
        byte[] mask = [1, 0, 1, 1, 0];
        string path = folder.File("ours.safetensors");
        WrittenFile written = SafetensorsWriter.Write(
            path,
            [
                new("mask", SafetensorsType.Bool, [5], sink => sink.Write(mask)),
                new("weight \"é\"", SafetensorsType.Float32, [3, 1], sink =>
                {
                    sink.Write(MemoryMarshal.AsBytes(weight.AsSpan(0, 1)));
                    sink.Write(MemoryMarshal.AsBytes(weight.AsSpan(1)));
                }),
                new("counter", SafetensorsType.Int64, [], sink => sink.Write(MemoryMarshal.AsBytes(counter.AsSpan()))),
            ],
            new Dictionary<string, string> { ["format"] = "pt" });

        // A reader of its own, from the format's description alone.
        byte[] bytes = File.ReadAllBytes(path);
        Assert.Equal(bytes.Length, written.Bytes);
        int header = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        Assert.Equal(0, header % 8);
        Assert.Equal((byte)'{', bytes[8]);
        using JsonDocument json = JsonDocument.Parse(bytes.AsMemory(8, header));
        Dictionary<string, (string Type, long[] Shape, byte[] Data)> tensors = json.RootElement.EnumerateObject()
            .Where(p => p.Name != "__metadata__")
            .ToDictionary(p => p.Name, p =>
            {
                int[] offsets = [.. p.Value.GetProperty("data_offsets").EnumerateArray().Select(e => e.GetInt32())];
                return (
                    p.Value.GetProperty("dtype").GetString()!,
                    (long[])[.. p.Value.GetProperty("shape").EnumerateArray().Select(e => e.GetInt64())],
                    bytes[(8 + header + offsets[0])..(8 + header + offsets[1])]);
            });

        Assert.Equal("pt", json.RootElement.GetProperty("__metadata__").GetProperty("format").GetString());
        Assert.Equal(3, tensors.Count);
        Assert.Equal("F32", tensors["weight \"é\""].Type);
        Assert.Equal([3L, 1], tensors["weight \"é\""].Shape);
        Assert.Equal(weight, MemoryMarshal.Cast<byte, float>(tensors["weight \"é\""].Data).ToArray());
        Assert.Equal(("I64", 0), (tensors["counter"].Type, tensors["counter"].Shape.Length));
        Assert.Equal(7, BitConverter.ToInt64(tensors["counter"].Data));
        Assert.Equal(mask, tensors["mask"].Data);
        Assert.Equal(8 + header + 8 + 12 + 5, bytes.Length);
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}""", "'a' occurs twice")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "two properties 'dtype'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}""", "unknown property 'x'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "F32 of shape (3), but has the bytes from 0 to 8")]
    [InlineData("""{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}""", "'F31'; known are BOOL, U8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "take 4 bytes; after the header it has 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "take 16 bytes; after the header it has 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "begins at byte 0 of the data; the tensor before it ends at 4")]
    [InlineData("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "'b' begins at byte 4 of the data; the tensor before it ends at 2")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "from 8 to 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "no list of whole numbers from 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}""", "no list of whole numbers from 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}""", "F32 of shape (4294967296, 4294967296)")]
    [InlineData("""{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}""", "no list of whole numbers from 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}""", "more than 2 numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2]}}""", "lacks dtype, shape or its two data_offsets")]
    [InlineData("""{"a":[]}""", "'a' is StartArray")]
    [InlineData("""{"__metadata__":{"k":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "'k' of __metadata__ is Number")]
    [InlineData("""{"__metadata__":{"k":"1","k":"2"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "'k' occurs twice")]
    [InlineData("""[]""", "does not begin with '{'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}""", "no valid JSON")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} x""", "no valid JSON")]
    [InlineData("""{"a":{"dtype":"F32","shape":[[[[[2]]]]],"data_offsets":[0,8]}}""", "shape of 'a'")]
    [InlineData("""{"\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "cannot be decoded")]
    public void AHeaderThatBreaksARuleIsRefusedWithTheRule(string header, string expected)
    {
        var refused = Assert.Throws<CheckpointException>(() => SafetensorsHeader.Parse(Encoding.UTF8.GetBytes(header), 8, "some.safetensors"));
        Assert.Equal("some.safetensors", refused.Path);
        Assert.StartsWith("some.safetensors: ", refused.Message, StringComparison.Ordinal);
        Assert.Contains(expected, refused.Cause, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1UL << 63)]
    [InlineData(100_000_001UL)]
    [InlineData(99_999_999UL)]
    [InlineData(201UL)]
    public void AbsurdLengthsOfTheHeaderAreRefusedWithoutRoomForThem(ulong claimed)
    {
        byte[] bytes = new byte[208];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, claimed);
        File.WriteAllBytes(folder.File("absurd.safetensors"), bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        string message = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(folder.File("absurd.safetensors"))).Message;
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Contains($"claims {claimed} bytes; the file has 200", message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnEmptyFileAndAMissingOneAreNamed()
    {
        File.WriteAllBytes(folder.File("empty.safetensors"), [1, 2, 3]);
        Assert.Contains("it has 3 bytes", Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(folder.File("empty.safetensors"))).Message, StringComparison.Ordinal);
        Assert.Contains(folder.File("absent"), Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(folder.File("absent"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AWriterThatGivesTooFewBytesOrAnExistingFileIsRefused()
    {
        string path = folder.File("short.safetensors");
        Assert.Contains("8 bytes, but 4 were written", Assert.Throws<InvalidOperationException>(
            () => SafetensorsWriter.Write(path, [new("a", SafetensorsType.Float32, [2], sink => sink.Write(new byte[4]))])).Message, StringComparison.Ordinal);
        Assert.Throws<CheckpointException>(() => SafetensorsWriter.Write(path, [SampleCheckpoint.Tensor("a", 1, 1)]));
        Assert.Throws<ArgumentException>(
            () => SafetensorsWriter.Write(folder.File("twice"), [SampleCheckpoint.Tensor("a", 1, 1), SampleCheckpoint.Tensor("a", 1, 1)]));
    }

    [Fact]
    public void AFileThatShrinksWhileItIsOpenIsNoticed()
    {
        string path = folder.File("shrinks.safetensors");
        SafetensorsWriter.Write(path, [SampleCheckpoint.Tensor("a", 1, 100)]);
        using SafetensorsFile file = SafetensorsFile.Open(path);
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.SetLength(stream.Length - 1);
        }

        Assert.Contains("1 more are missing", Assert.Throws<CheckpointException>(() => file.Read(file.Entries[0], 0, new byte[800])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(file.Entries[0], 792, new byte[16]));
    }
}
