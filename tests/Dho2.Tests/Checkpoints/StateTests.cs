using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Checkpoints.Tests;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Checkpoints;

/// <summary>State by names and ranges: what several ranks wrote, one reads, and the other way round.</summary>
public sealed class StateTests : IDisposable
{
    private static readonly FlatSegment A = new("a", 0, 6, [2, 3]);
    private static readonly FlatSegment B = new("b", 6, 4, [4]);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("optimizer.momentum/conv1.weight", null, null, null)]
    [InlineData("optimizer.sigma", 2, null, null)]
    [InlineData("admm.dual/fc.weight", null, 11, null)]
    [InlineData("x/a[0]", 1, 0, 5L)]
    [InlineData("stages/a", null, null, 0L)]
    public void ANameIsReadAsItWasWritten(string path, int? stage, int? replica, long? start)
    {
        var key = new StateKey(path, stage, replica, start, start + 7);
        Assert.Equal(key, StateKey.Parse(key.ToString()));
    }

    [Fact]
    public void SharesOfReplicasBecomeOneVectorAndAnyOtherShares()
    {
        // Rows of ten columns: two ranks hold five each, cut within the second parameter.
        Tensor whole = arange(20, float64).view(2, 10);
        CheckpointFolder written = Write(2, (rank, state) => state.Vector(
            "rows", whole.narrow(1, rank == 0 ? 0 : 7, rank == 0 ? 7 : 3).clone(), StateScope.Run, Segments(rank == 0 ? 0 : 7, rank == 0 ? 7 : 3)));

        using var index = new StateIndex(written);
        StateReader reader = new(index, [A, B], 0, 0, 1);
        Tensor read = zeros(2, 10, float64);
        reader.Vector("rows", read);
        Assert.True(read.equal(whole).all().item<bool>());

        foreach ((int start, int count) in new[] { (0, 10), (3, 5), (5, 2), (9, 1), (6, 4) })
        {
            Tensor part = zeros(2, count, float32);
            reader.Vector("rows", part, StateScope.Run, Segments(start, count));
            Assert.True(part.equal(whole.narrow(1, start, count).to(float32)).all().item<bool>());
        }
    }

    [Fact]
    public void WhatIsMissingIsNamedWithItsElements()
    {
        CheckpointFolder written = Write(1, (_, state) => state.Vector("v", zeros(5, float64), StateScope.Run, Segments(0, 5)));
        using var index = new StateIndex(written);
        StateReader reader = new(index, [A, B], 0, 0, 1);
        string message = Assert.Throws<CheckpointException>(() => reader.Vector("v", zeros(10, float64))).Message;
        Assert.Contains("of 'v/a' the elements from 5 to 6", message, StringComparison.Ordinal);
        Assert.Contains("no 'w/a'", Assert.Throws<CheckpointException>(() => reader.Vector("w", zeros(10, float64))).Message, StringComparison.Ordinal);
        Assert.Contains("no 'n'", Assert.Throws<CheckpointException>(() => reader.Numbers("n")).Message, StringComparison.Ordinal);
        Assert.Contains("2 rows of 5", Assert.Throws<CheckpointException>(() => reader.Vector("v", zeros(2, 10, float64))).Message, StringComparison.Ordinal);
        Assert.False(reader.TryVector("w", zeros(10, float64)));
    }

    [Fact]
    public void NumbersKeepEveryBitAndReplicasHaveTheirOwn()
    {
        double[] odd = [double.NaN, double.NegativeInfinity, -0.0, double.Epsilon, 1.0 / 3];
        CheckpointFolder written = Write(2, (rank, state) =>
        {
            state.Numbers("odd", odd);
            state.Number("own", 10 * (rank + 1), StateScope.PerReplica);
            state.Tensor("bytes", tensor(new byte[] { (byte)rank, 7 }), StateScope.PerReplica);
        });
        using var index = new StateIndex(written);
        StateReader Reader(int replica, int replicas) => new(index, [A, B], 0, replica, replicas);
        Assert.Equal(odd.Select(BitConverter.DoubleToInt64Bits), Reader(1, 2).Numbers("odd").Select(BitConverter.DoubleToInt64Bits));
        Assert.Equal([10, 20], Enumerable.Range(0, 2).Select(r => Reader(r, 2).Number("own", StateScope.PerReplica)));
        Assert.Equal([10, 10, 20, 20], Enumerable.Range(0, 4).Select(r => Reader(r, 4).Number("own", StateScope.PerReplica)));
        Assert.Equal(15, Reader(0, 1).Number("own", StateScope.PerReplica), 1e-14);
        Assert.Equal([10, 15, 20], Enumerable.Range(0, 3).Select(r => Math.Round(Reader(r, 3).Number("own", StateScope.PerReplica), 12)));
        Assert.Equal([1, 7], Reader(1, 2).FindTensor("bytes", StateScope.PerReplica)!.data<byte>().ToArray());
        Assert.Null(Reader(3, 4).FindTensor("bytes", StateScope.PerReplica));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Bool)]
    [InlineData(ScalarType.Byte)]
    public void TensorsWithGapsAndOfEveryTypeComeBack(ScalarType type)
    {
        Tensor values = arange(12, float32).view(3, 4).remainder(2).to(type).t();
        CheckpointFolder written = Write(1, (_, state) =>
        {
            state.Tensor("gaps", values);
            state.Tensor("none", zeros([0, 3], type));
            state.Tensor("one", zeros([], type));
        });
        using var index = new StateIndex(written);
        StateReader reader = new(index, [A, B], 0, 0, 1);
        Tensor read = reader.FindTensor("gaps")!;
        Assert.Equal(type, read.dtype);
        Assert.True(read.equal(values).all().item<bool>());
        Assert.Equal([0L, 3], reader.FindTensor("none")!.shape);
        Assert.Empty(reader.FindTensor("one")!.shape);
    }

    // The parts of the two parameters that columns of a flat vector hold.
    private static List<ParameterSegment> Segments(long start, long count)
    {
        var segments = new List<ParameterSegment>();
        foreach (FlatSegment p in new[] { A, B })
        {
            long from = Math.Max(start, p.Offset);
            long to = Math.Min(start + count, p.Offset + p.Length);
            if (to > from)
            {
                segments.Add(new ParameterSegment(p.Name, from - start, to - from, from - p.Offset));
            }
        }

        return segments;
    }

    private CheckpointFolder Write(int replicas, Action<int, StateWriter> save)
    {
        var store = new CheckpointStore(folder.Path);
        CheckpointDraft draft = store.Begin(1, 1);
        var files = new List<StoredFile>();
        for (int rank = 0; rank < replicas; rank++)
        {
            var state = new StateWriter([A, B], 0, rank);
            save(rank, state);
            files.Add(draft.Write($"state-{rank}.safetensors", StoredKind.State, 0, rank, state.ToTensors()));
        }

        return CheckpointFolder.Open(draft.Publish(new CheckpointManifest
        {
            Model = "Tests.State",
            Step = 1,
            Epoch = 1,
            Created = DateTimeOffset.UnixEpoch,
            Versions = new Dictionary<string, string>(),
            Plan = new StoredPlan("", 1, replicas, ""),
            Configuration = new Dictionary<string, string>(),
            Parameters = [],
            Buffers = [],
            Files = files,
        }));
    }
}
