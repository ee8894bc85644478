using System;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Dho2.Communication.Mpi;

/// <summary>
/// Messages between two ranks: a header that says what comes, and the elements in a message of their own unless they are few.
/// While bytes are copied from process to process everything else leaves the processor's cache, and what runs next runs slowly.
/// Hence little stands between the end of one copy and the begin of the next: what can be done while others are awaited is done then.
/// </summary>
internal sealed unsafe partial class MpiCommunicator
{
    private const int HeaderTag = 1;
    private const int PayloadTag = 2;

    private readonly Mail?[] mail;

    public override void Send(torch.Tensor tensor, int destination)
    {
        CheckPeer(destination, nameof(destination));
        ThrowIfFailed("Send");
        if (tensor.device_type == DeviceType.CPU && tensor.is_contiguous())
        {
            Start(tensor, destination, isOwn: false);
            return;
        }

        torch.Tensor copy;
        using (DisposeScope scope = torch.NewDisposeScope())
        using (torch.no_grad())
        {
            copy = tensor.detach().cpu().contiguous().DetachFromDisposeScope();
        }

        Start(copy, destination, isOwn: true);
    }

    public override torch.Tensor Receive(int source)
    {
        CheckPeer(source, nameof(source));
        ThrowIfFailed("Receive");
        Mail from = mail[source] ??= new Mail();
        runtime.Call((Header: (IntPtr)from.Header, Request: (IntPtr)from.Request, Source: source, Communicator: communicator), static (mpi, s) =>
        {
            MpiRuntime.Check(
                mpi, mpi.Irecv((void*)s.Header, PendingSend.Size, mpi.Byte, s.Source, HeaderTag, s.Communicator, (IntPtr*)s.Request), "MPI_Irecv");
            return 0;
        });

        // Tensors of one kind follow one another: there is a place for the next before it is announced.
        torch.Tensor? place = from.MakePlace();
        try
        {
            Await(from.Request, 1, CallKind.Receive, source);
        }
        catch (CommunicationException)
        {
            place?.Dispose();
            if (!TryCancel(from.Request, 1))
            {
                // MPI may still write there.
                mail[source] = null;
            }

            throw;
        }

        if (place is null || !from.IsAsExpected)
        {
            place?.Dispose();
            place = from.MakeAnnouncedPlace();
            if (from.Bytes is > 0 and <= PendingSend.MostInline)
            {
                Buffer.MemoryCopy(from.Header + TensorHeader.Size, (void*)from.Address, from.Bytes, from.Bytes);
            }
        }

        if (from.Bytes > PendingSend.MostInline)
        {
            ReceivePayload(place, from, source);
        }

        return place;
    }

    private void Start(torch.Tensor tensor, int destination, bool isOwn)
    {
        byte* header = stackalloc byte[TensorHeader.Size];
        long bytes = TensorHeader.Write(header, tensor);
        runtime.Call(
            (Self: this, Tensor: tensor, Header: (IntPtr)header, Bytes: bytes, Destination: destination, IsOwn: isOwn),
            static (mpi, s) =>
            {
                bool isInline = s.Bytes <= PendingSend.MostInline;
                int pieces = isInline ? 0 : Pieces(s.Bytes);
                PendingSend send = s.Self.runtime.Take(pieces + 1);
                Buffer.MemoryCopy((void*)s.Header, send.Buffer, PendingSend.Size, TensorHeader.Size);
                byte* elements = s.Bytes == 0 ? null : (byte*)DeviceMemory.AddressOf(s.Tensor);
                int length = TensorHeader.Size;
                if (isInline)
                {
                    Buffer.MemoryCopy(elements, send.Buffer + length, PendingSend.MostInline, s.Bytes);
                    length += (int)s.Bytes;
                }

                IntPtr group = s.Self.communicator;
                MpiRuntime.Check(mpi, mpi.Isend(send.Buffer, length, mpi.Byte, s.Destination, HeaderTag, group, send.Requests), "MPI_Isend");
                for (int piece = 0; piece < pieces; piece++)
                {
                    long offset = piece * PieceBytes;
                    int part = (int)Math.Min(PieceBytes, s.Bytes - offset);
                    MpiRuntime.Check(
                        mpi, mpi.Isend(elements + offset, part, mpi.Byte, s.Destination, PayloadTag, group, send.Requests + 1 + piece), "MPI_Isend");
                }

                // The elements must stay when the caller lets go of them. They do so far, and are on their way.
                s.Self.runtime.Keep(send, s.IsOwn ? s.Tensor : isInline ? null : s.Tensor.detach().DetachFromDisposeScope());
                return 0;
            });
        GC.KeepAlive(tensor);
        BytesSent += bytes;
    }

    private void ReceivePayload(torch.Tensor place, Mail from, int source)
    {
        int pieces = Pieces(from.Bytes);
        IntPtr* requests = pieces == 1 ? from.Request : (IntPtr*)NativeMemory.AllocZeroed((nuint)(pieces * sizeof(IntPtr)));
        runtime.Call((from.Address, from.Bytes, Requests: (IntPtr)requests, Source: source, Communicator: communicator), static (mpi, s) =>
        {
            int count = 0;
            for (long offset = 0; offset < s.Bytes; offset += PieceBytes)
            {
                int piece = (int)Math.Min(PieceBytes, s.Bytes - offset);
                MpiRuntime.Check(
                    mpi, mpi.Irecv((byte*)s.Address + offset, piece, mpi.Byte, s.Source, PayloadTag, s.Communicator, (IntPtr*)s.Requests + count++), "MPI_Irecv");
            }

            return 0;
        });
        try
        {
            Await(requests, pieces, CallKind.Receive, source, from.Bytes);
        }
        catch (CommunicationException)
        {
            if (!TryCancel(requests, pieces))
            {
                // MPI may still write there: the memory is given up with the run.
                GC.SuppressFinalize(place.DetachFromDisposeScope());
                mail[source] = null;
            }

            throw;
        }

        if (requests != from.Request)
        {
            NativeMemory.Free(requests);
        }
    }

    /// <summary>What is kept of a rank's messages to this one: room for the next header, and what the last one announced.</summary>
    private sealed class Mail
    {
        private readonly byte[] last = new byte[TensorHeader.Size];
        private torch.ScalarType type;
        private long[] shape = [];

        /// <summary>Where the next header goes, and elements with it that are few.</summary>
        public byte* Header { get; } = (byte*)NativeMemory.Alloc(PendingSend.Size);

        /// <summary>The request of what is awaited.</summary>
        public IntPtr* Request { get; } = (IntPtr*)NativeMemory.AllocZeroed((nuint)sizeof(IntPtr));

        /// <summary>Where the elements of the tensor that was made last lie.</summary>
        public IntPtr Address { get; private set; }

        /// <summary>Their bytes.</summary>
        public long Bytes { get; private set; }

        /// <summary>Whether the header announces what the one before it did.</summary>
        public bool IsAsExpected => new ReadOnlySpan<byte>(Header, TensorHeader.Size).SequenceEqual(last);

        /// <summary>A tensor for a message like the last one; null where the last one's elements came with the header.</summary>
        public torch.Tensor? MakePlace() => Bytes > PendingSend.MostInline ? Make() : null;

        /// <summary>A tensor for the message that the header announces.</summary>
        public torch.Tensor MakeAnnouncedPlace()
        {
            new ReadOnlySpan<byte>(Header, TensorHeader.Size).CopyTo(last);
            (type, shape, Bytes) = TensorHeader.Read(Header);
            return Make();
        }

        public void Free()
        {
            NativeMemory.Free(Header);
            NativeMemory.Free(Request);
        }

        private torch.Tensor Make()
        {
            torch.Tensor place = ReceiveMemory.Empty(shape, type, Bytes);
            Address = DeviceMemory.AddressOf(place);
            return place;
        }
    }
}
