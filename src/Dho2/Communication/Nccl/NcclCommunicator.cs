using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using Dho2.Numerics;
using TorchSharp;

namespace Dho2.Communication.Nccl;

/// <summary>
/// One rank of a group whose tensors live on GPUs. Elements move over NCCL; what goes before them (identities, types and
/// sizes, meetings, single numbers, the news of a failure) over a group of the host. No wait is left to NCCL: a
/// stream is asked until it is done, so that timeout, abort and asynchronous errors end it.
/// </summary>
/// <remarks>
/// Each ordered pair of ranks that exchanges messages has a communicator, a stream and a sending thread of its own: a send
/// waits for nobody but its receiver, and ranks that both send first cannot lock up.
/// </remarks>
internal sealed class NcclCommunicator : ICommunicator
{
    private readonly ICommunicator host;
    private readonly NcclLibrary nccl;
    private readonly torch.Device device;
    private readonly bool deterministic;
    private readonly Dictionary<int, Outbox> outboxes = [];
    private readonly Dictionary<int, Lane> inbound = [];
    private readonly ConcurrentBag<IntPtr> alive = [];
    private IntPtr collectives;
    private IntPtr stream;
    private bool disposed;

    /// <summary>Adds NCCL to a group of the host.</summary>
    /// <param name="host">The group; this one's own from now on.</param>
    /// <param name="nccl">The library.</param>
    /// <param name="device">Where this rank's tensors live.</param>
    /// <param name="deterministic">Whether sums are taken in the order of ranks.</param>
    public NcclCommunicator(ICommunicator host, NcclLibrary nccl, torch.Device device, bool deterministic)
    {
        this.host = host;
        this.nccl = nccl;
        this.device = device;
        this.deterministic = deterministic;
        host.Aborted.Register(AbortAll);
    }

    public int Rank => host.Rank;

    public int Size => host.Size;

    public TimeSpan Timeout => host.Timeout;

    public RankActivity Activity => host.Activity;

    public CancellationToken Aborted => host.Aborted;

    public torch.Device Device => device;

    public long BytesSent { get; private set; }

    public void Send(torch.Tensor tensor, int destination)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        torch.Tensor kept = tensor.detach().to(device).contiguous();
        long bytes = kept.numel() * kept.element_size();
        bool direct = destination != Rank && bytes > 0 && NcclLibrary.TypeOf(kept.dtype) is not null;
        host.Send(torch.tensor((long[])[direct ? 1 : 0, (long)kept.dtype, .. kept.shape]), destination);
        BytesSent += bytes;
        if (!direct)
        {
            host.Send(kept.cpu(), destination);
            return;
        }

        if (!outboxes.TryGetValue(destination, out Outbox? outbox))
        {
            NcclUniqueId id = nccl.NewId();
            host.Send(ToTensor(id), destination);
            outboxes[destination] = outbox = new Outbox(this, id);
        }

        // What is computed on the default stream must be there before another stream reads it.
        WaitFor(IntPtr.Zero, IntPtr.Zero, "Send");
        outbox.Add(kept.DetachFromDisposeScope());
    }

    public torch.Tensor Receive(int source)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        long[] header;
        using (torch.Tensor received = host.Receive(source))
        {
            header = received.data<long>().ToArray();
        }

        if (header[0] == 0)
        {
            using torch.Tensor received = host.Receive(source);
            return received.to(device, copy: true);
        }

        if (!inbound.TryGetValue(source, out Lane? lane))
        {
            using torch.Tensor id = host.Receive(source);
            inbound[source] = lane = OpenLane(FromTensor(id), 1);
        }

        var type = (torch.ScalarType)header[1];
        torch.Tensor result = torch.empty(header[2..], type, device);
        WaitFor(IntPtr.Zero, IntPtr.Zero, "Receive");
        nccl.Group(() => nccl.Receive(DeviceMemory.AddressOf(result), result.numel(), NcclLibrary.TypeOf(type)!.Value, 0, lane.Communicator, lane.Stream));
        WaitFor(lane.Communicator, lane.Stream, $"Receive from rank {source}");
        return result;
    }

    public void AllReduce(Span<double> values, Reduction reduction = Reduction.Sum) => host.AllReduce(values, reduction);

    public void AllReduce(torch.Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        if (!TryBegin(CallKind.AllReduce, tensor, (int)reduction, out torch.Tensor flat, out int type))
        {
            host.AllReduce(tensor, reduction);
        }
        else if (deterministic)
        {
            torch.Tensor rows = torch.empty([Size, flat.numel()], flat.dtype, device);
            Run("AllReduce", () => nccl.AllGather(DeviceMemory.AddressOf(flat), DeviceMemory.AddressOf(rows), flat.numel(), type, collectives, stream));
            torch.Tensor sum = rows.select(0, 0);
            for (int other = 1; other < Size; other++)
            {
                _ = reduction == Reduction.Sum ? sum.Increase(rows.select(0, other)) : sum.copy_(torch.maximum(sum, rows.select(0, other)));
            }

            flat.copy_(sum);
        }
        else
        {
            int operation = reduction == Reduction.Sum ? NcclLibrary.Sum : NcclLibrary.Max;
            Run("AllReduce", () => nccl.AllReduce(DeviceMemory.AddressOf(flat), flat.numel(), type, operation, collectives, stream));
        }

        BytesSent += 2 * (Size - 1) * tensor.numel() * tensor.element_size() / Size;
    }

    public void Broadcast(torch.Tensor tensor, int root)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        if (!TryBegin(CallKind.Broadcast, tensor, root, out torch.Tensor flat, out int type))
        {
            host.Broadcast(tensor, root);
        }
        else
        {
            ArgumentOutOfRangeException.ThrowIfNegative(root);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(root, Size);
            Run("Broadcast", () => nccl.Broadcast(DeviceMemory.AddressOf(flat), flat.numel(), type, root, collectives, stream));
        }

        BytesSent += Rank == root ? (Size - 1) * tensor.numel() * tensor.element_size() : 0;
    }

    public void AllGather(torch.Tensor result, torch.Tensor tensor)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        CheckShare(result, tensor);
        if (!TryBegin(CallKind.AllGather, tensor, 0, out torch.Tensor flat, out int type) || !result.is_contiguous() || result.device_type != device.type)
        {
            host.AllGather(result, tensor);
        }
        else
        {
            Run("AllGather", () => nccl.AllGather(DeviceMemory.AddressOf(flat), DeviceMemory.AddressOf(result), flat.numel(), type, collectives, stream));
        }

        BytesSent += (Size - 1) * tensor.numel() * tensor.element_size();
    }

    public void ReduceScatter(torch.Tensor result, torch.Tensor tensor)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        CheckShare(tensor, result);
        if (!TryBegin(CallKind.ReduceScatter, tensor, 0, out torch.Tensor flat, out int type))
        {
            host.ReduceScatter(result, tensor);
        }
        else if (deterministic)
        {
            torch.Tensor whole = flat.clone();
            torch.Tensor rows = torch.empty([Size, flat.numel()], flat.dtype, device);
            Run("ReduceScatter", () => nccl.AllGather(DeviceMemory.AddressOf(whole), DeviceMemory.AddressOf(rows), flat.numel(), type, collectives, stream));
            torch.Tensor sum = rows.select(0, 0);
            for (int other = 1; other < Size; other++)
            {
                sum.Increase(rows.select(0, other));
            }

            result.copy_(sum.narrow(0, Rank * result.numel(), result.numel()));
        }
        else
        {
            torch.Tensor sum = torch.empty_like(result);
            Run("ReduceScatter", () => nccl.ReduceScatter(DeviceMemory.AddressOf(flat), DeviceMemory.AddressOf(sum), sum.numel(), type, collectives, stream));
            result.copy_(sum);
        }

        BytesSent += (Size - 1) * result.numel() * result.element_size();
    }

    public void Barrier() => host.Barrier();

    public ICommunicator Split(int color, int key) => new NcclCommunicator(host.Split(color, key), nccl, device, deterministic);

    public void Abort(Exception cause) => host.Abort(cause);

    public void Dispose()
    {
        if (disposed)
        {
            return;
        }

        disposed = true;
        foreach (Outbox outbox in outboxes.Values)
        {
            outbox.Close();
        }

        if (!host.Aborted.IsCancellationRequested)
        {
            foreach (IntPtr communicator in alive)
            {
                nccl.Destroy(communicator);
            }

            foreach (IntPtr used in inbound.Values.Select(lane => lane.Stream).Append(stream).Where(s => s != IntPtr.Zero))
            {
                nccl.DestroyStream(used);
            }
        }

        host.Dispose();
    }

    private static torch.Tensor ToTensor(NcclUniqueId id)
    {
        byte[] bytes = new byte[NcclUniqueId.Size];
        unsafe
        {
            new ReadOnlySpan<byte>(id.Bytes, NcclUniqueId.Size).CopyTo(bytes);
        }

        return torch.tensor(bytes);
    }

    private static NcclUniqueId FromTensor(torch.Tensor tensor)
    {
        NcclUniqueId id;
        unsafe
        {
            tensor.data<byte>().ToArray().CopyTo(new Span<byte>(id.Bytes, NcclUniqueId.Size));
        }

        return id;
    }

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("F1", CultureInfo.InvariantCulture);

    private void CheckShare(torch.Tensor whole, torch.Tensor share)
    {
        if (whole.dim() != 1 || share.dim() != 1 || whole.numel() != share.numel() * Size || whole.dtype != share.dtype)
        {
            throw new ArgumentException(
                $"{Size} shares of {share.numel()} x {share.dtype} do not make {whole.numel()} x {whole.dtype} (both one-dimensional).");
        }
    }

    /// <summary>Meets the other ranks for a collective; false where NCCL has nothing to do, which all ranks find alike.</summary>
    private bool TryBegin(CallKind kind, torch.Tensor tensor, int detail, out torch.Tensor flat, out int type)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (!tensor.is_contiguous())
        {
            throw new ArgumentException($"{kind} needs a contiguous tensor.", nameof(tensor));
        }

        flat = tensor.detach().view(-1);
        type = NcclLibrary.TypeOf(tensor.dtype) ?? -1;
        if (type < 0 || Size == 1 || tensor.numel() == 0 || tensor.device_type != device.type)
        {
            return false;
        }

        // Whoever does not come is named here, and different calls are refused, before anything waits on a device.
        double[] signature = [(double)kind, tensor.numel(), (double)tensor.dtype, detail];
        double[] extremes = [.. signature, .. signature.Select(value => -value)];
        host.AllReduce(extremes, Reduction.Max);
        if (!extremes.AsSpan(0, 4).SequenceEqual(signature) || !extremes.AsSpan(4).SequenceEqual([.. signature.Select(value => -value)]))
        {
            var most = new CallSignature((CallKind)extremes[0], (long)extremes[1], (torch.ScalarType)extremes[2], (int)extremes[3]);
            var least = new CallSignature((CallKind)(-extremes[4]), (long)-extremes[5], (torch.ScalarType)(-extremes[6]), (int)-extremes[7]);
            var mismatch = new CommunicationException(
                $"Rank {Rank} calls {new CallSignature(kind, tensor.numel(), tensor.dtype, detail)}, the ranks between {least} and {most}: all ranks of a group must make the same collective calls in the same order.");
            host.Abort(mismatch);
            throw mismatch;
        }

        if (collectives == IntPtr.Zero)
        {
            NcclUniqueId id = Rank == 0 ? nccl.NewId() : default;
            using torch.Tensor shared = ToTensor(id);
            host.Broadcast(shared, 0);
            (collectives, stream) = (Join(FromTensor(shared), Size, Rank), NewStream());
        }

        return true;
    }

    private void Run(string call, Action start)
    {
        WaitFor(IntPtr.Zero, IntPtr.Zero, call);
        nccl.Group(start);
        WaitFor(collectives, stream, call);
    }

    private Lane OpenLane(NcclUniqueId id, int rank) => new(Join(id, 2, rank), NewStream());

    private IntPtr Join(NcclUniqueId id, int size, int rank)
    {
        UseDevice();
        IntPtr joined = nccl.Join(id, size, rank);
        alive.Add(joined);
        return joined;
    }

    private IntPtr NewStream()
    {
        UseDevice();
        return nccl.NewStream();
    }

    private void UseDevice()
    {
        if (device.type == DeviceType.CUDA)
        {
            nccl.UseDevice(Math.Max(0, device.index));
        }
    }

    /// <summary>Waits until a stream is done, and no longer than allowed.</summary>
    private void WaitFor(IntPtr communicator, IntPtr waited, string call)
    {
        UseDevice();
        long start = Stopwatch.GetTimestamp();
        for (int polls = 0; !nccl.IsDone(waited); polls++)
        {
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            if (host.Aborted.IsCancellationRequested)
            {
                host.Barrier();
            }

            string? error = communicator == IntPtr.Zero ? null : nccl.AsyncError(communicator);
            if (error is not null || elapsed > Timeout)
            {
                var failure = new CommunicationException(error is not null
                    ? $"Rank {Rank} was ended in {call} by NCCL after {Seconds(elapsed)} s: {error}"
                    : $"Rank {Rank} waited {Seconds(elapsed)} s in {call}, which did not end on the device within the timeout of {Timeout.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture)} s.");
                host.Abort(failure);
                throw failure;
            }

            if (polls < 100)
            {
                Thread.SpinWait(10);
            }
            else
            {
                Thread.Sleep(elapsed < TimeSpan.FromMilliseconds(20) ? 0 : 1);
            }
        }
    }

    private void AbortAll()
    {
        foreach (IntPtr communicator in alive)
        {
            nccl.Abort(communicator);
        }
    }

    /// <summary>One direction between two ranks.</summary>
    private sealed record Lane(IntPtr Communicator, IntPtr Stream);

    /// <summary>Sends what was handed to it, in order, on a thread of its own.</summary>
    private sealed class Outbox
    {
        private readonly BlockingCollection<torch.Tensor> waiting = [];
        private readonly Thread thread;

        public Outbox(NcclCommunicator owner, NcclUniqueId id)
        {
            thread = new Thread(() =>
            {
                Lane? lane = null;
                foreach (torch.Tensor tensor in waiting.GetConsumingEnumerable())
                {
                    using (tensor)
                    {
                        try
                        {
                            lane ??= owner.OpenLane(id, 0);
                            owner.nccl.Group(() => owner.nccl.Send(
                                DeviceMemory.AddressOf(tensor), tensor.numel(), NcclLibrary.TypeOf(tensor.dtype)!.Value, 1, lane.Communicator, lane.Stream));
                            Finish(owner, lane);
                        }
                        catch (CommunicationException e)
                        {
                            owner.host.Abort(e);
                        }
                    }
                }

                if (lane is not null && !owner.Aborted.IsCancellationRequested)
                {
                    owner.nccl.DestroyStream(lane.Stream);
                }
            })
            {
                IsBackground = true,
                Name = "Dho2 NCCL sends",
            };
            thread.Start();
        }

        public void Add(torch.Tensor tensor) => waiting.Add(tensor);

        public void Close()
        {
            waiting.CompleteAdding();
            thread.Join(TimeSpan.FromSeconds(1));
        }

        // A receiver may come as late as it likes: only what it then waits for has a timeout.
        private static void Finish(NcclCommunicator owner, Lane lane)
        {
            while (!owner.Aborted.IsCancellationRequested && !owner.nccl.IsDone(lane.Stream))
            {
                Thread.Sleep(owner.nccl.AsyncError(lane.Communicator) is { } error ? throw new CommunicationException($"A send of rank {owner.Rank} failed: {error}") : 0);
            }
        }
    }
}
