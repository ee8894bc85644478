using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Xunit.Abstractions;

namespace Dho2.Checkpoints.Tests;

/// <summary>Mutated headers: each is refused with a reason, or describes tensors that cover the data exactly.</summary>
public sealed class SafetensorsFuzzTests(ITestOutputHelper output)
{
    private const int Mutations = 100_000;
    private const long DataBytes = 4096;

    private static readonly string[] Tokens =
    [
        "0", "-1", "1e3", "1.5", "4096", "9223372036854775807", "18446744073709551616", "\"F32\"", "\"F64\"", "\"U8\"", "null", "true", "{}", "[]",
        "[0,4096]", "\"a\"", "\"__metadata__\"", "{\"a\":\"b\"}", ",", ":", "}", "]", "\\u0000", "\"data_offsets\"", "\"shape\"", "\"dtype\"", " ", "\0", "\uFFFD",
    ];

    [Fact]
    public void AMutatedHeaderIsRefusedOrDescribesItsDataExactly()
    {
        byte[][] seeds = [.. Seeds().Select(Encoding.UTF8.GetBytes)];
        Assert.All(seeds, seed => SafetensorsHeader.Parse(seed, DataBytes, "seed"));
        var random = new Random(20250502);
        int accepted = 0;
        long before = GC.GetAllocatedBytesForCurrentThread();
        var causes = new HashSet<string>();
        for (int i = 0; i < Mutations; i++)
        {
            byte[] mutated = Mutate(seeds[random.Next(seeds.Length)], random);
            try
            {
                SafetensorsHeader header = SafetensorsHeader.Parse(mutated, DataBytes, "fuzz");
                CheckInvariants(header);
                accepted++;
            }
            catch (CheckpointException refused)
            {
                causes.Add(new string([.. refused.Cause.Where(char.IsAsciiLetter)])[^10..]);
            }
        }

        long perHeader = (GC.GetAllocatedBytesForCurrentThread() - before) / Mutations;
        output.WriteLine($"{Mutations} mutated headers: {accepted} still described their data, {Mutations - accepted} were refused for {causes.Count} kinds of reasons; {perHeader} bytes allocated for each.");
        Assert.InRange(accepted, 1, Mutations - 1);
        Assert.True(causes.Count > 10, $"only {causes.Count} kinds of reasons were met");
        Assert.InRange(perHeader, 0, 50_000);
    }

    private static void CheckInvariants(SafetensorsHeader header)
    {
        long end = 0;
        foreach (SafetensorsEntry entry in header.Entries)
        {
            Assert.Equal(end, entry.Start);
            Assert.True(entry.Bytes >= 0);
            Assert.Equal((UInt128)entry.Bytes, entry.Shape.Contains(0) ? 0 : entry.Shape.Aggregate((UInt128)entry.Type.Bytes(), (product, size) => product * (UInt128)size));
            end += entry.Bytes;
        }

        Assert.Equal(DataBytes, end);
        Assert.Equal(header.Entries.Count, header.Entries.Select(e => e.Name).Distinct().Count());
    }

    private static IEnumerable<string> Seeds()
    {
        yield return """{"a":{"dtype":"U8","shape":[4096],"data_offsets":[0,4096]}}""";
        yield return """{"__metadata__":{"format":"pt"},"fc.weight":{"dtype":"F32","shape":[16,32],"data_offsets":[0,2048]},"fc.bias":{"dtype":"F64","shape":[256],"data_offsets":[2048,4096]}}        """;
        yield return """{"b":{"dtype":"I64","shape":[],"data_offsets":[4088,4096]},"e":{"dtype":"BF16","shape":[0,7],"data_offsets":[0,0]},"a":{"dtype":"F16","shape":[2,1022],"data_offsets":[0,4088]}}""";
        var many = new StringBuilder("{");
        for (int i = 0; i < 64; i++)
        {
            many.Append(System.Globalization.CultureInfo.InvariantCulture, $"{(i == 0 ? "" : ",")}\"layer{i}\":{{\"dtype\":\"I32\",\"shape\":[4,4],\"data_offsets\":[{i * 64},{(i + 1) * 64}]}}");
        }

        yield return many.Append('}').ToString();
    }

    private static byte[] Mutate(byte[] seed, Random random)
    {
        var bytes = new List<byte>(seed);
        for (int edits = random.Next(1, 5); edits > 0 && bytes.Count > 0; edits--)
        {
            int at = random.Next(bytes.Count);
            int span = random.Next(1, Math.Min(12, bytes.Count - at) + 1);
            switch (random.Next(8))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes.RemoveRange(at, span);
                    break;
                case 2:
                    bytes.InsertRange(at, bytes.GetRange(random.Next(bytes.Count - span + 1), span));
                    break;
                case 3:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(Tokens[random.Next(Tokens.Length)]));
                    break;
                case 5:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                case 6:
                    bytes[at] = (byte)random.Next(256);
                    break;
                default:
                    ReplaceNumber(bytes, at, random);
                    break;
            }
        }

        return [.. bytes];
    }

    // Reaches the checks behind the JSON: the next number becomes another one.
    private static void ReplaceNumber(List<byte> bytes, int at, Random random)
    {
        int start = bytes.FindIndex(at, b => char.IsAsciiDigit((char)b));
        if (start < 0)
        {
            return;
        }

        int end = start;
        while (end < bytes.Count && char.IsAsciiDigit((char)bytes[end]))
        {
            end++;
        }

        bytes.RemoveRange(start, end - start);
        long[] values = [0, 1, 2, 4, 8, 64, 2048, 4088, 4095, 4096, 4097, int.MaxValue, uint.MaxValue, long.MaxValue / 8, long.MaxValue];
        bytes.InsertRange(start, Encoding.ASCII.GetBytes(values[random.Next(values.Length)].ToString(System.Globalization.CultureInfo.InvariantCulture)));
    }
}
