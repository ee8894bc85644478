using System;
using System.Threading;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>
/// One rank's way to the other ranks of a group. Point-to-point messages between two ranks arrive in the order they
/// were sent; collectives are called by all ranks of the group in the same order. Everything obeys
/// <see cref="Timeout"/> and <see cref="Abort"/>.
/// </summary>
public interface ICommunicator : IDisposable
{
    /// <summary>This rank, counted from 0 within the group.</summary>
    int Rank { get; }

    /// <summary>The number of ranks in the group.</summary>
    int Size { get; }

    /// <summary>How long a call may wait for its peers.</summary>
    TimeSpan Timeout { get; }

    /// <summary>Bytes that this rank has sent so far: point-to-point payloads, and its share of collectives.</summary>
    long BytesSent { get; }

    /// <summary>What this rank is at, for the messages of failures; shared by all groups that the rank is in.</summary>
    RankActivity Activity => Unrecorded;

    /// <summary>Where this rank's tensors live: what is received is put there.</summary>
    torch.Device Device => torch.CPU;

    /// <summary>Cancelled when the group was aborted, by whichever rank.</summary>
    CancellationToken Aborted => CancellationToken.None;

    private static RankActivity Unrecorded { get; } = new();

    /// <summary>
    /// Hands a tensor to another rank. The tensor must not be changed afterwards; the caller keeps its own handle and may
    /// dispose it. Does not wait for the receiver.
    /// </summary>
    /// <exception cref="CommunicationException">The group was aborted or timed out.</exception>
    void Send(torch.Tensor tensor, int destination);

    /// <summary>
    /// Waits for a tensor from another rank. The result belongs to the caller, has no history, and belongs to no
    /// <see cref="DisposeScope"/> but the caller's current one.
    /// </summary>
    /// <exception cref="CommunicationException">The group was aborted or timed out.</exception>
    torch.Tensor Receive(int source);

    /// <summary>Replaces the tensor's elements on every rank by their reduction over all ranks, in an order that does not vary between runs.</summary>
    void AllReduce(torch.Tensor tensor, Reduction reduction = Reduction.Sum);

    /// <summary>Replaces each number on every rank by its reduction over all ranks.</summary>
    void AllReduce(Span<double> values, Reduction reduction = Reduction.Sum);

    /// <summary>Replaces the tensor's elements on every rank by the root's.</summary>
    void Broadcast(torch.Tensor tensor, int root);

    /// <summary>Concatenates the ranks' equally long one-dimensional tensors, in rank order, into <paramref name="result"/>.</summary>
    void AllGather(torch.Tensor result, torch.Tensor tensor);

    /// <summary>Adds up the ranks' tensors and leaves this rank's equal share, in rank order, in <paramref name="result"/>.</summary>
    void ReduceScatter(torch.Tensor result, torch.Tensor tensor);

    /// <summary>Waits until all ranks have come here.</summary>
    void Barrier();

    /// <summary>Splits the group: ranks with the same colour form a new group, ordered by key and then by rank.</summary>
    ICommunicator Split(int color, int key);

    /// <summary>Frees all ranks from whatever they wait for; their calls, now and later, throw with this cause.</summary>
    void Abort(Exception cause);
}

/// <summary>How the elements of several ranks become one.</summary>
public enum Reduction
{
    /// <summary>Their sum.</summary>
    Sum,

    /// <summary>The largest.</summary>
    Max,
}
