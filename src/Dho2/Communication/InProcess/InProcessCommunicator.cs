using System;
using System.Linq;
using System.Threading;
using Dho2.Numerics;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>One rank of an in-process group. Tensors are handed over without copying them.</summary>
internal sealed class InProcessCommunicator(InProcessGroup group, int rank, RankActivity activity, torch.Device device) : ICommunicator
{
    private bool disposed;

    public int Rank => rank;

    public int Size => group.Size;

    public TimeSpan Timeout => group.Timeout;

    public RankActivity Activity => activity;

    public torch.Device Device => device;

    public CancellationToken Aborted => group.Aborted;

    public long BytesSent { get; private set; }

    public void Send(torch.Tensor tensor, int destination)
    {
        CheckPeer(destination, nameof(destination));
        group.Post(rank, destination, tensor);
        BytesSent += BytesOf(tensor);
    }

    public torch.Tensor Receive(int source)
    {
        CheckPeer(source, nameof(source));
        torch.Tensor taken = group.Take(source, rank);
        if (taken.device_type == device.type && (device.type == DeviceType.CPU || taken.device_index == device.index))
        {
            return taken;
        }

        using (taken)
        {
            return taken.to(device);
        }
    }

    public void AllReduce(Span<double> values, Reduction reduction = Reduction.Sum)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        group.Prepare(rank).Set(values);
        Contribution[] brought = group.Meet(rank, new(CallKind.AllReduceNumbers, values.Length, torch.ScalarType.Float64, (int)reduction));
        brought[0].Numbers.AsSpan(0, values.Length).CopyTo(values);
        for (int other = 1; other < brought.Length; other++)
        {
            double[] numbers = brought[other].Numbers;
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = reduction == Reduction.Sum ? values[i] + numbers[i] : Math.Max(values[i], numbers[i]);
            }
        }

        BytesSent += 2 * (Size - 1) * (long)values.Length * sizeof(double) / Size;
    }

    public void AllReduce(torch.Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        Collect(CallKind.AllReduce, tensor, (int)reduction, brought =>
        {
            // Each rank reduces its own segment, in rank order, and hands it to all: no two ranks touch the same element.
            long start = tensor.numel() * rank / Size;
            long length = (tensor.numel() * (rank + 1) / Size) - start;
            torch.Tensor[] segments = [.. brought.Select(b => b.Tensor!.narrow(0, start, length))];
            foreach (torch.Tensor segment in segments.Skip(1))
            {
                if (reduction == Reduction.Sum)
                {
                    segments[0].Increase(segment.to(segments[0].device));
                }
                else
                {
                    segments[0].copy_(torch.maximum(segments[0], segment.to(segments[0].device)));
                }
            }

            foreach (torch.Tensor segment in segments.Skip(1))
            {
                segment.copy_(segments[0]);
            }
        });
        BytesSent += 2 * (Size - 1) * BytesOf(tensor) / Size;
    }

    public void Broadcast(torch.Tensor tensor, int root)
    {
        CheckPeer(root, nameof(root));
        Collect(CallKind.Broadcast, tensor, root, brought =>
        {
            if (rank != root)
            {
                brought[rank].Tensor!.copy_(brought[root].Tensor!);
            }
        });
        BytesSent += rank == root ? (Size - 1) * BytesOf(tensor) : 0;
    }

    public void AllGather(torch.Tensor result, torch.Tensor tensor)
    {
        CheckShare(result, tensor);
        Collect(CallKind.AllGather, tensor, 0, brought =>
        {
            for (int other = 0; other < Size; other++)
            {
                result.narrow(0, other * tensor.numel(), tensor.numel()).copy_(brought[other].Tensor!);
            }
        });
        BytesSent += (Size - 1) * BytesOf(tensor);
    }

    public void ReduceScatter(torch.Tensor result, torch.Tensor tensor)
    {
        CheckShare(tensor, result);
        Collect(CallKind.ReduceScatter, tensor, 0, brought =>
        {
            torch.Tensor Share(int other) => brought[other].Tensor!.narrow(0, rank * result.numel(), result.numel());

            // The sum is kept apart until it is complete: the result may be this rank's share of its own tensor.
            torch.Tensor sum = Share(0).clone();
            for (int other = 1; other < Size; other++)
            {
                sum.Increase(Share(other).to(sum.device));
            }

            result.copy_(sum);
        });
        BytesSent += (Size - 1) * BytesOf(result);
    }

    public void Barrier()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        group.Meet(rank, new(CallKind.Barrier, 0, default, 0));
    }

    public ICommunicator Split(int color, int key)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        group.Prepare(rank).Set([color, key]);
        Contribution[] brought = group.Meet(rank, new(CallKind.Split, 2, torch.ScalarType.Float64, 0));
        int[] members = [.. Enumerable.Range(0, Size)
            .Where(r => brought[r].Numbers[0] == color)
            .OrderBy(r => brought[r].Numbers[1])
            .ThenBy(r => r)];
        if (rank == members[0])
        {
            group.Prepare(rank).Founded = group.Found(members);
        }

        brought = group.Meet(rank, new(CallKind.Finish, 0, default, 0));
        return new InProcessCommunicator(brought[members[0]].Founded!, Array.IndexOf(members, rank), activity, device);
    }

    public void Abort(Exception cause)
    {
        ArgumentNullException.ThrowIfNull(cause);
        group.Fail(cause);
    }

    public void Dispose()
    {
        if (!disposed)
        {
            disposed = true;
            group.Leave();
        }
    }

    private static long BytesOf(torch.Tensor tensor) => tensor.numel() * tensor.element_size();

    private static void CheckShare(torch.Tensor whole, torch.Tensor share, int size)
    {
        if (whole.dim() != 1 || share.dim() != 1 || whole.numel() != share.numel() * size || whole.dtype != share.dtype)
        {
            throw new ArgumentException(
                $"{size} shares of {share.numel()} x {share.dtype} do not make {whole.numel()} x {whole.dtype} (both one-dimensional).");
        }
    }

    private void CheckShare(torch.Tensor whole, torch.Tensor share) => CheckShare(whole, share, Size);

    private void CheckPeer(int peer, string parameter)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (peer < 0 || peer >= Size)
        {
            throw new ArgumentOutOfRangeException(parameter, peer, $"Ranks of this group are 0 to {Size - 1}.");
        }
    }

    /// <summary>Brings a tensor to a meeting, works on what all brought, and waits until all have done so.</summary>
    private void Collect(CallKind kind, torch.Tensor tensor, int detail, Action<Contribution[]> work)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (!tensor.is_contiguous())
        {
            throw new ArgumentException($"{kind} needs a contiguous tensor.", nameof(tensor));
        }

        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        Contribution mine = group.Prepare(rank);
        mine.Tensor = tensor.detach().view(-1).DetachFromDisposeScope();
        Contribution[] brought = group.Meet(rank, new(kind, tensor.numel(), tensor.dtype, detail));
        work(brought);
        group.Meet(rank, new(CallKind.Finish, 0, default, 0));
        mine.Tensor.Dispose();
        mine.Tensor = null;
    }
}
