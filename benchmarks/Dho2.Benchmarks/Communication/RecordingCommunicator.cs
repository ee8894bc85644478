using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Benchmarks.Communication;

/// <summary>What one rank calls of its communicators: how long it is in them, and the calls themselves, to be made again.</summary>
internal sealed class CallRecorder
{
    private readonly List<Action> calls = [];

    /// <summary>Whether calls are kept.</summary>
    public bool IsRecording { get; set; }

    /// <summary>How long the rank has been in calls, waiting for others included.</summary>
    public TimeSpan Inside { get; set; }

    /// <summary>The calls that were kept.</summary>
    public int Calls => calls.Count;

    /// <summary>Makes a call, and keeps one like it.</summary>
    /// <param name="call">The call.</param>
    /// <param name="again">Prepares one that does the same with numbers of its own.</param>
    public void Run(Action call, Func<Action> again)
    {
        if (IsRecording)
        {
            calls.Add(again());
        }

        long start = Stopwatch.GetTimestamp();
        call();
        Inside += Stopwatch.GetElapsedTime(start);
    }

    /// <summary>Makes all kept calls, with nothing between them.</summary>
    public void Repeat() => calls.ForEach(call => call());
}

/// <summary>Times what passes through a rank's communicator, and those split from it.</summary>
internal sealed class RecordingCommunicator(ICommunicator inner, CallRecorder recorder) : ICommunicator
{
    public int Rank => inner.Rank;

    public int Size => inner.Size;

    public TimeSpan Timeout => inner.Timeout;

    public long BytesSent => inner.BytesSent;

    public RankActivity Activity => inner.Activity;

    public torch.Device Device => inner.Device;

    public CancellationToken Aborted => inner.Aborted;

    public void Send(torch.Tensor tensor, int destination) => recorder.Run(() => inner.Send(tensor, destination), () =>
    {
        torch.Tensor like = Like(tensor);
        return () => inner.Send(like, destination);
    });

    public torch.Tensor Receive(int source)
    {
        torch.Tensor? received = null;
        recorder.Run(() => received = inner.Receive(source), () => () => inner.Receive(source).Dispose());
        return received!;
    }

    public void AllReduce(torch.Tensor tensor, Reduction reduction = Reduction.Sum) => recorder.Run(() => inner.AllReduce(tensor, reduction), () =>
    {
        torch.Tensor like = Like(tensor);
        return () => inner.AllReduce(like, reduction);
    });

    public void AllReduce(Span<double> values, Reduction reduction = Reduction.Sum)
    {
        double[] numbers = values.ToArray();
        recorder.Run(() => inner.AllReduce(numbers, reduction), () =>
        {
            double[] like = new double[numbers.Length];
            return () => inner.AllReduce(like, reduction);
        });
        numbers.CopyTo(values);
    }

    public void Broadcast(torch.Tensor tensor, int root) => recorder.Run(() => inner.Broadcast(tensor, root), () =>
    {
        torch.Tensor like = Like(tensor);
        return () => inner.Broadcast(like, root);
    });

    public void AllGather(torch.Tensor result, torch.Tensor tensor) => recorder.Run(() => inner.AllGather(result, tensor), () =>
    {
        torch.Tensor all = Like(result), like = Like(tensor);
        return () => inner.AllGather(all, like);
    });

    public void ReduceScatter(torch.Tensor result, torch.Tensor tensor) => recorder.Run(() => inner.ReduceScatter(result, tensor), () =>
    {
        torch.Tensor share = Like(result), like = Like(tensor);
        return () => inner.ReduceScatter(share, like);
    });

    public void Barrier() => recorder.Run(inner.Barrier, () => inner.Barrier);

    public ICommunicator Split(int color, int key) => new RecordingCommunicator(inner.Split(color, key), recorder);

    public void Abort(Exception cause) => inner.Abort(cause);

    public void Dispose() => inner.Dispose();

    private static torch.Tensor Like(torch.Tensor tensor) => torch.zeros(tensor.shape, tensor.dtype, tensor.device).DetachFromDisposeScope();
}

/// <summary>A world whose ranks' calls are recorded.</summary>
internal sealed class RecordingWorld(World inner) : World(inner.Timeout)
{
    public override int? Size => inner.Size;

    public override bool IsLeader => inner.IsLeader;

    public override string Transport => inner.Transport;

    /// <summary>The ranks that live in this process, in their order.</summary>
    public IReadOnlyList<(ICommunicator Rank, CallRecorder Recorder)> Ranks { get; private set; } = [];

    public override IReadOnlyList<ICommunicator> Open(int size)
    {
        Ranks = [.. inner.Open(size).Select(rank => (rank, new CallRecorder()))];
        return [.. Ranks.Select(rank => new RecordingCommunicator(rank.Rank, rank.Recorder))];
    }
}
