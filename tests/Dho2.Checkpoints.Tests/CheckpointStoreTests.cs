using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;

namespace Dho2.Checkpoints.Tests;

public sealed class CheckpointStoreTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private CheckpointStore Store => new(folder.Path);

    public void Dispose() => folder.Dispose();

    [Fact]
    public void TheNewestIsFoundAndASetNumberIsKept()
    {
        Assert.Null(new CheckpointStore(folder.File("absent")).FindNewest().Found);
        for (long step = 5; step <= 25; step += 5)
        {
            SampleCheckpoint.Save(Store, step, 100);
            Store.Retain(3, step);
        }

        Assert.Equal([25L, 20, 15], Store.Steps);
        (CheckpointFolder? found, IReadOnlyList<CheckpointException> refused) = Store.FindNewest();
        Assert.Empty(refused);
        Assert.Equal(25, found!.Manifest.Step);
        Assert.True(SampleCheckpoint.IsRight(found));
        Assert.Equal(3, Directory.GetFileSystemEntries(folder.Path).Length);
        Assert.Equal(
            ["manifest.json", "state-stage-0.safetensors", "state-stage-1.safetensors", "weights-stage-0.safetensors", "weights-stage-1.safetensors"],
            Directory.GetFiles(found.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void TheManifestComesBackAsItWas()
    {
        string path = SampleCheckpoint.Save(Store, 7, 10);
        CheckpointManifest manifest = CheckpointFolder.Open(path).Manifest;
        CheckpointManifest expected = SampleCheckpoint.Manifest(7, []);
        Assert.Equal(
            (expected.Model, expected.Step, expected.Epoch, expected.Created, expected.Plan),
            (manifest.Model, manifest.Step, manifest.Epoch, manifest.Created, manifest.Plan));
        Assert.Equal(expected.Versions, manifest.Versions);
        Assert.Equal(expected.Configuration, manifest.Configuration);
        Assert.Equal(["layer0.weight", "layer1.weight"], manifest.Parameters.Select(p => p.Name));
        Assert.Equal([10L], manifest.Parameters[1].Shape);
        Assert.Equal(4, manifest.Files.Count);
    }

    [Fact]
    public void LaterStepsOfAnAbandonedRunAreNeitherCountedNorRemoved()
    {
        foreach (long step in new long[] { 10, 20, 90, 30 })
        {
            SampleCheckpoint.Save(Store, step, 10);
            Store.Retain(2, step);
        }

        Assert.Equal([90L, 30, 20], Store.Steps);
    }

    [Fact]
    public void TheSameStepIsReplaced()
    {
        SampleCheckpoint.Save(Store, 10, 10, token: 1);
        SampleCheckpoint.Save(Store, 10, 20, token: 2);
        CheckpointFolder found = Store.FindNewest().Found!;
        Assert.Equal([20L], found.Manifest.Parameters[0].Shape);
        Assert.Single(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void WhatIsHalfWrittenIsNoCheckpointAndIsRemovedByTheNextRun()
    {
        SampleCheckpoint.Save(Store, 10, 10);
        CheckpointDraft draft = Store.Begin(20, 0xBEEF);
        draft.Write("weights-stage-0.safetensors", StoredKind.Weights, 0, 0, [SampleCheckpoint.Tensor("a", 1, 5)]);
        Directory.CreateDirectory(folder.File("step-00000005.removed-12345678"));
        Directory.CreateDirectory(folder.File("step-of-somebody.partial-else"));
        File.WriteAllText(folder.File("notes.txt"), "mine");
        Assert.Equal("step-00000020.partial-0000beef", Path.GetFileName(draft.Path));
        Assert.Equal([10L], Store.Steps);
        Store.RemoveLeftovers();
        Assert.Equal(["notes.txt", "step-00000010", "step-of-somebody.partial-else"], Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("step-10")]
    [InlineData("step-000000010")]
    [InlineData("step-00000010x")]
    [InlineData("step--0000010")]
    [InlineData("Step-00000010")]
    public void OtherNamesAreNoCheckpoints(string name)
    {
        Directory.CreateDirectory(folder.File(name));
        Assert.Empty(Store.Steps);
    }

    [Fact]
    public void AStepBeyondEightDigitsHasItsPlace()
    {
        SampleCheckpoint.Save(Store, 99_999_999, 1);
        SampleCheckpoint.Save(Store, 1_000_000_000, 1);
        Assert.Equal([1_000_000_000L, 99_999_999], Store.Steps);
    }

    [Fact]
    public void TheFirstRankWaitsForTheOthersAndIsToldOfTheirFailures()
    {
        CheckpointDraft draft = Store.Begin(1, 1);
        draft.Leave(0, new RankReceipt([], [], []));
        Assert.Contains("rank 1 has not written its part within 0 s", Assert.Throws<CheckpointException>(() => draft.Collect(2, TimeSpan.Zero)).Message, StringComparison.Ordinal);
        using var cancelled = new CancellationTokenSource(50);
        Assert.Throws<OperationCanceledException>(() => draft.Collect(2, TimeSpan.FromMinutes(1), cancelled.Token));
        draft.Leave(1, new RankReceipt([], [], [], "No space left on device"));
        Assert.Contains("rank 1 could not write its part: No space left", Assert.Throws<CheckpointException>(() => draft.Collect(2, TimeSpan.FromMinutes(1))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AFolderThatCannotBeMadeIsNamed()
    {
        File.WriteAllText(folder.File("file"), "");
        Assert.Contains(folder.File("file"), Assert.Throws<CheckpointException>(() => new CheckpointStore(folder.File("file")).Begin(1, 1)).Message, StringComparison.Ordinal);
    }
}
