using System;
using Dho2.Communication;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>Passes everything on and keeps the largest of each kind of message.</summary>
internal sealed class CountingCommunicator(ICommunicator inner) : ICommunicator
{
    /// <summary>Numbers in the longest reduction of numbers.</summary>
    public int LongestReduction { get; private set; }

    /// <summary>Elements of the largest tensor sent.</summary>
    public long LargestMessage { get; private set; }

    /// <summary>Collectives on tensors.</summary>
    public int Collectives { get; private set; }

    public int Rank => inner.Rank;

    public int Size => inner.Size;

    public TimeSpan Timeout => inner.Timeout;

    public long BytesSent => inner.BytesSent;

    public void Send(Tensor tensor, int destination)
    {
        LargestMessage = Math.Max(LargestMessage, tensor.numel());
        inner.Send(tensor, destination);
    }

    public Tensor Receive(int source)
    {
        Tensor tensor = inner.Receive(source);
        LargestMessage = Math.Max(LargestMessage, tensor.numel());
        return tensor;
    }

    public void AllReduce(Span<double> values, Reduction reduction = Reduction.Sum)
    {
        LongestReduction = Math.Max(LongestReduction, values.Length);
        inner.AllReduce(values, reduction);
    }

    public void AllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        Collectives++;
        inner.AllReduce(tensor, reduction);
    }

    public void Broadcast(Tensor tensor, int root)
    {
        Collectives++;
        inner.Broadcast(tensor, root);
    }

    public void AllGather(Tensor result, Tensor tensor)
    {
        Collectives++;
        inner.AllGather(result, tensor);
    }

    public void ReduceScatter(Tensor result, Tensor tensor)
    {
        Collectives++;
        inner.ReduceScatter(result, tensor);
    }

    public void Barrier() => inner.Barrier();

    public ICommunicator Split(int color, int key) => inner.Split(color, key);

    public void Abort(Exception cause) => inner.Abort(cause);

    public void Dispose() => inner.Dispose();
}
