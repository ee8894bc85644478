using System;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Dho2.Communication.Mpi;

/// <summary>
/// Messages that MPI has not finished sending, with what must stay until it has. Used again and again. Not thread-safe: MPI's
/// calls are made one at a time.
/// </summary>
internal sealed unsafe class PendingSend
{
    /// <summary>The most bytes of elements that travel with their header.</summary>
    public const int MostInline = 4096;

    /// <summary>The bytes of <see cref="Buffer"/>.</summary>
    public const int Size = TensorHeader.Size + MostInline;

    private int capacity;
    private int count;
    private int next;
    private torch.Tensor? tensor;

    /// <summary>Room for a header and few elements.</summary>
    public byte* Buffer { get; } = (byte*)NativeMemory.Alloc(Size);

    /// <summary>The requests.</summary>
    public IntPtr* Requests { get; private set; }

    /// <summary>Makes room for requests.</summary>
    public void Reserve(int requests)
    {
        if (requests > capacity)
        {
            Requests = (IntPtr*)NativeMemory.Realloc(Requests, (nuint)(requests * sizeof(IntPtr)));
            capacity = requests;
        }

        new Span<IntPtr>(Requests, requests).Clear();
        (count, next) = (requests, 0);
    }

    /// <summary>Keeps a tensor until all has been sent.</summary>
    public void Keep(torch.Tensor? elements) => tensor = elements;

    /// <summary>Whether all has been sent; then nothing of it is kept any more.</summary>
    public bool TryComplete(MpiLibrary mpi)
    {
        while (next < count)
        {
            // A process that has died takes its messages with it: that is noticed where something is awaited from it.
            int flag;
            if (mpi.Test(Requests + next, &flag, (void*)mpi.StatusIgnore) == 0 && flag == 0)
            {
                return false;
            }

            next++;
        }

        tensor?.Dispose();
        tensor = null;
        return true;
    }

    /// <summary>Frees its memory.</summary>
    public void Free()
    {
        NativeMemory.Free(Buffer);
        NativeMemory.Free(Requests);
    }
}
