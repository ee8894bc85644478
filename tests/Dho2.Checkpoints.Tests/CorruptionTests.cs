using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using Xunit.Abstractions;

namespace Dho2.Checkpoints.Tests;

/// <summary>
/// Damage of every kind to the newest of two checkpoints: it is refused with file and cause, the older one is used. With the
/// environment variable <c>DHO2_FLIP_STRIDE</c> at 1 a bit is flipped in every byte.
/// </summary>
public sealed class CorruptionTests : IDisposable
{
    private const int Older = 10;
    private const int Newer = 20;

    private readonly ITestOutputHelper output;
    private readonly TemporaryFolder folder = new();
    private readonly CheckpointStore store;
    private readonly string newer;

    public CorruptionTests(ITestOutputHelper output)
    {
        this.output = output;
        store = new CheckpointStore(folder.Path);
        SampleCheckpoint.Save(store, Older, 40);
        newer = SampleCheckpoint.Save(store, Newer, 40);
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void AFlippedBitInAnyRegionIsSeen()
    {
        int flips = 0;
        int stride = int.Parse(Environment.GetEnvironmentVariable("DHO2_FLIP_STRIDE") ?? "5", CultureInfo.InvariantCulture);
        foreach (string path in Directory.GetFiles(newer))
        {
            // The bits take turns, so that all eight are flipped in every region.
            byte[] good = File.ReadAllBytes(path);
            for (int at = 0; at < good.Length; at += at < 16 ? 1 : stride)
            {
                byte[] bad = [.. good];
                bad[at] ^= (byte)(1 << (at % 8));
                File.WriteAllBytes(path, bad);
                AssertOlderIsUsed(path);
                flips++;
            }

            File.WriteAllBytes(path, good);
        }

        AssertNewerIsUsed();
        output.WriteLine($"{flips} bits flipped in {Directory.GetFiles(newer).Length} files.");
    }

    [Fact]
    public void EveryTruncationAndEveryAppendedByteIsSeen()
    {
        int lengths = 0;
        foreach (string path in Directory.GetFiles(newer))
        {
            byte[] good = File.ReadAllBytes(path);
            for (int length = 0; length < good.Length; length += length < 16 ? 1 : 13)
            {
                File.WriteAllBytes(path, good[..length]);
                AssertOlderIsUsed(path);
                lengths++;
            }

            File.WriteAllBytes(path, [.. good, 0]);
            AssertOlderIsUsed(path);
            File.WriteAllBytes(path, good);
        }

        AssertNewerIsUsed();
        output.WriteLine($"{lengths} truncations.");
    }

    [Fact]
    public void AMissingFileAndALinkInItsPlaceAreRefused()
    {
        foreach (string path in Directory.GetFiles(newer))
        {
            string aside = folder.File("aside");
            File.Move(path, aside);
            AssertOlderIsUsed(path);
            if (!path.EndsWith("json", StringComparison.Ordinal) && !OperatingSystem.IsWindows())
            {
                File.CreateSymbolicLink(path, aside);
                Assert.Contains("it is a link", AssertOlderIsUsed(path), StringComparison.Ordinal);
                File.Delete(path);
            }

            File.Move(aside, path);
        }

        AssertNewerIsUsed();
    }

    [Theory]
    [InlineData("weights-stage-0.safetensors", "../step-00000010/weights-stage-0.safetensors", "leaves the folder")]
    [InlineData("weights-stage-0.safetensors", "/etc/passwd", "leaves the folder")]
    [InlineData("weights-stage-0.safetensors", "C:\\\\x", "leaves the folder")]
    [InlineData("weights-stage-0.safetensors", "..", "leaves the folder")]
    [InlineData("weights-stage-0.safetensors", "a\\u0000b", "leaves the folder")]
    [InlineData("weights-stage-0.safetensors", "", "leaves the folder")]
    [InlineData("weights-stage-0.safetensors", "weights-stage-1.safetensors", "the file 'weights-stage-1.safetensors' occurs twice")]
    [InlineData("layer1.weight", "layer0.weight", "'layer0.weight' occurs twice")]
    [InlineData("\"version\": 1", "\"version\": 2", "its version is 2; this library reads version 1")]
    [InlineData("\"step\": 20", "\"step\": -20", "step -20")]
    [InlineData("\"step\": 20", "\"step\": 1e99", "no manifest")]
    [InlineData("\"stages\": 2", "\"stages\": 0", "0 stages")]
    [InlineData("\"stages\": 2", "\"stages\": 1", "on stage 1 of 1")]
    [InlineData("\"F64\"", "\"F65\"", "F65 of shape")]
    [InlineData("\"kind\": \"Weights\"", "\"kind\": \"Spoons\"", "no manifest")]
    [InlineData("\"model\": \"Tests.Sample\"", "\"model\": null", "no manifest")]
    [InlineData("\"model\": \"Tests.Sample\",", "", "no manifest")]
    [InlineData("\"epoch\": 1", "\"epoch\": 1, \"epoch\": 2", "no manifest")]
    [InlineData("\"bytes\": ", "\"bytes\": 1", "its manifest says 1")]
    public void AManifestThatSomebodyMadeUpIsRefusedForWhatItSays(string from, string to, string expected)
    {
        string path = Path.Combine(newer, CheckpointManifest.FileName);
        string text = File.ReadAllText(path);
        string rest = text[(text.IndexOf('\n') + 1)..];
        int at = rest.IndexOf(from, StringComparison.Ordinal);
        Assert.True(at >= 0, rest);
        string changed = rest[..at] + to + rest[(at + from.Length)..];

        // A change alone breaks the seal; whoever seals it anew is refused for what it says.
        File.WriteAllText(path, text.Replace(rest, changed, StringComparison.Ordinal));
        Assert.Contains("seals", AssertOlderIsUsed(path), StringComparison.Ordinal);
        File.WriteAllText(path, $"{{\"xxh128\":\"{FileDigest.Of(Encoding.UTF8.GetBytes(changed))}\",\n{changed}");
        Assert.Contains(expected, AssertOlderIsUsed(null), StringComparison.Ordinal);
    }

    [Fact]
    public void WhatTheCallerRefusesIsSkippedAndWithoutAnyWholeOneNothingIsFound()
    {
        (CheckpointFolder? found, IReadOnlyList<CheckpointException> refused) = store.FindNewest(
            f => throw new CheckpointException(f.Path, $"it is of the model {f.Manifest.Model}"));
        Assert.Null(found);
        Assert.Equal(2, refused.Count);
        Assert.Matches("step-00000020: it is of the model Tests.Sample$", refused[0].Message);
    }

    private string AssertOlderIsUsed(string? damaged)
    {
        (CheckpointFolder? found, IReadOnlyList<CheckpointException> refused) = store.FindNewest();
        Assert.Equal(Older, found?.Manifest.Step);
        CheckpointException cause = Assert.Single(refused);
        if (damaged is not null)
        {
            Assert.Equal(damaged, cause.Path);
        }

        Assert.True(Regex.IsMatch(cause.Cause, "[a-z]{3}"), cause.Cause);
        return cause.Message;
    }

    private void AssertNewerIsUsed()
    {
        CheckpointFolder found = store.FindNewest().Found!;
        Assert.Equal(Newer, found.Manifest.Step);
        Assert.True(SampleCheckpoint.IsRight(found));
    }
}
