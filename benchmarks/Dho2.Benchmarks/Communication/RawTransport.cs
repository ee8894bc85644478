using System;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Benchmarks.Communication;

/// <summary>What lies under the ranks' communicators, called as a C program would: blocking calls on the tensor's memory.</summary>
internal abstract class RawTransport : IDisposable
{
    /// <summary>What lies under two ranks; null where that is this process's own memory.</summary>
    /// <param name="rank">One of the two, which both call this in step.</param>
    public static RawTransport? Open(ICommunicator rank) => (RawTransport?)RawMpi.TryLoad() ?? RawTcp.TryConnect(rank);

    /// <summary>Whether the transport adds up by itself.</summary>
    public abstract bool CanReduce { get; }

    /// <summary>Sends a tensor's elements there, and receives as many into another's.</summary>
    public abstract void PingPong(torch.Tensor tensor, torch.Tensor received, int other);

    /// <summary>Adds up the tensors of both ranks in place.</summary>
    public abstract void AllReduce(torch.Tensor tensor);

    public virtual void Dispose()
    {
    }
}
