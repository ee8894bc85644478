using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;
using Dho2.Pipelines;
using Dho2.Tests.Communication;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Checkpoints;

/// <summary>Several ranks that save together, and one of them cannot.</summary>
public sealed class CheckpointSaverTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void AFailureOfOneRankEndsAllAndNamesItsCause()
    {
        Exception?[] failures = Ranks.RunAll(3, rank =>
        {
            using CheckpointSaver saver = Create(rank, stops: true);
            Assert.True(saver.TryBegin(1, () => Content(rank.Rank), Manifest));
            saver.Finish();
            Assert.True(saver.TryBegin(2, () => Content(rank.Rank, broken: rank.Rank == 1), Manifest));
            saver.Finish();
        });

        Assert.All(failures, failure => Assert.Contains("no place in a safetensors file", Chain(failure), StringComparison.Ordinal));

        // What the others had begun may lie there, but under no checkpoint's name.
        Assert.Equal(
            ["step-00000001"],
            Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName).Where(name => !name!.Contains(".partial", StringComparison.Ordinal)));
    }

    [Fact]
    public void WithoutStoppingTheFailureIsReportedAndTheNextCheckpointIsWhole()
    {
        var saved = new List<CheckpointSaved>();
        Exception?[] failures = Ranks.RunAll(3, rank =>
        {
            using CheckpointSaver saver = Create(rank, stops: false, saved.Add);
            for (int step = 1; step <= 3; step++)
            {
                Assert.True(saver.TryBegin(step, () => Content(rank.Rank, broken: step == 2 && rank.Rank == 1), Manifest));
                saver.Finish();
            }
        });

        Assert.All(failures, Assert.Null);
        Assert.Equal([true, false, true], saved.Select(s => s.Failure is null));
        Assert.Contains("rank 1 could not write its part", saved[1].Failure!.Message, StringComparison.Ordinal);
        Assert.Equal([3L, 1], new CheckpointStore(folder.Path).Steps);
    }

    [Fact]
    public void TrainingGoesOnWhileARankWritesAndTheNextCheckpointWaitsForIt()
    {
        using var gate = new ManualResetEventSlim();
        var begun = new List<bool>[2];
        Exception?[] failures = Ranks.RunAll(2, rank =>
        {
            using CheckpointSaver saver = Create(rank, stops: true, asynchronous: true);
            var own = begun[rank.Rank] = [];
            CheckpointManifest Slow(IReadOnlyList<RankReceipt> receipts)
            {
                gate.Wait();
                return Manifest(receipts);
            }

            using Tensor live = tensor(new double[] { 1, 2 });
            own.Add(saver.TryBegin(1, () => Content(rank.Rank, values: live), Slow));

            // What is written is what was there then.
            live.fill_(9);
            own.Add(saver.TryBegin(2, () => Content(rank.Rank), Manifest));
            rank.Barrier();
            gate.Set();
            saver.Finish();
            own.Add(saver.TryBegin(3, () => Content(rank.Rank), Manifest));
            saver.Finish();
        });

        Assert.All(failures, Assert.Null);
        Assert.All(begun, own => Assert.Equal([true, false, true], own));
        CheckpointFolder first = CheckpointFolder.Open(new CheckpointStore(folder.Path).PathOf(1));
        using SafetensorsFile file = SafetensorsFile.Open(first.PathOf(first.Manifest.Files[0]));
        double[] values = new double[2];
        file.Read(file.Find("layer0")!, 0, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
        Assert.Equal([1.0, 2], values);
    }

    private static string Chain(Exception? error)
    {
        string text = "";
        for (; error is not null; error = error.InnerException)
        {
            text += error.Message + "\n";
        }

        return text;
    }

    private static RankContent Content(int rank, bool broken = false, Tensor? values = null)
    {
        string name = $"layer{rank}";
        StateWriter NewWriter() => new([new FlatSegment(name, 0, 2, [2])], rank, 0);
        StateWriter weights = NewWriter();
        StateWriter state = NewWriter();
        weights.Weights(values ?? zeros(2, float64));
        state.Tensor("extra", broken ? zeros(2, complex64) : zeros(2), StateScope.PerStage);
        return new RankContent(rank, 0, weights, state, [new StoredTensor(name, rank, "F64", [2])], []);
    }

    private static CheckpointManifest Manifest(IReadOnlyList<RankReceipt> receipts) => new()
    {
        Model = "Tests.Saver",
        Step = 1,
        Epoch = 1,
        Created = DateTimeOffset.UnixEpoch,
        Versions = new Dictionary<string, string>(),
        Plan = new StoredPlan("", 3, 1, ""),
        Configuration = new Dictionary<string, string>(),
        Parameters = [.. receipts.SelectMany(r => r.Parameters)],
        Buffers = [],
        Files = [.. receipts.SelectMany(r => r.Files)],
    };

    private CheckpointSaver Create(Dho2.Communication.ICommunicator rank, bool stops, Action<CheckpointSaved>? saved = null, bool asynchronous = false) =>
        new(new CheckpointOptions { Folder = folder.Path, StopOnFailure = stops, Asynchronous = asynchronous }, rank) { Saved = saved };
}
