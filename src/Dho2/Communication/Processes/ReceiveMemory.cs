using System;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>
/// Memory for what is received, used again and again: the system hands out large blocks page by page as they are first
/// written to, which costs as much as moving their bytes between two processes.
/// </summary>
internal static unsafe partial class ReceiveMemory
{
    /// <summary>Below, the system's own allocator keeps blocks by itself.</summary>
    private const long LeastBytes = 1 << 16;

    /// <summary>Blocks beyond this many bytes go back to the system when they are let go of.</summary>
    private const long MostKeptBytes = 1L << 29;

    /// <summary>A page: what the kernel copies between processes goes slowly where both ends lie a little apart within theirs.</summary>
    private const int Alignment = 4096;
    private static readonly ConcurrentDictionary<long, ConcurrentBag<IntPtr>> Kept = new();
    private static long keptBytes;

    /// <summary>Bytes that are kept and not in use.</summary>
    public static long KeptBytes => Volatile.Read(ref keptBytes);

    /// <summary>A tensor whose elements are yet to be written.</summary>
    /// <param name="shape">Its sizes.</param>
    /// <param name="type">Its element type.</param>
    /// <param name="bytes">The bytes of its elements.</param>
    public static torch.Tensor Empty(long[] shape, torch.ScalarType type, long bytes)
    {
        if (bytes < LeastBytes)
        {
            return torch.empty(shape, type);
        }

        IntPtr block = Rent(bytes);
        fixed (long* sizes = shape)
        {
            IntPtr handle = NewTensor(block, &Return, sizes, shape.Length, (sbyte)type, (sbyte)type, (int)DeviceType.CPU, -1, 0);
            if (handle == IntPtr.Zero)
            {
                GiveBack(block);
                torch.CheckForErrors();
            }

            return torch.Tensor.UnsafeCreateTensor(handle);
        }
    }

    /// <summary>A block of memory that begins a page and that <see cref="GiveBack"/> takes.</summary>
    public static IntPtr Rent(long bytes)
    {
        if (Kept.TryGetValue(bytes, out ConcurrentBag<IntPtr>? blocks) && blocks.TryTake(out IntPtr block))
        {
            Interlocked.Add(ref keptBytes, -bytes);
            return block;
        }

        // Its size stands in the page before the block.
        byte* start = (byte*)NativeMemory.AlignedAlloc((nuint)(bytes + Alignment), Alignment);
        *(long*)start = bytes;
        return (IntPtr)(start + Alignment);
    }

    /// <summary>Lets go of a block.</summary>
    public static void GiveBack(IntPtr block)
    {
        byte* start = (byte*)block - Alignment;
        long bytes = *(long*)start;
        if (Interlocked.Add(ref keptBytes, bytes) > MostKeptBytes)
        {
            Interlocked.Add(ref keptBytes, -bytes);
            NativeMemory.AlignedFree(start);
            return;
        }

        Kept.GetOrAdd(bytes, static _ => []).Add(block);
    }

    // Called by libtorch when the last tensor on the block is gone.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Return(IntPtr block) => GiveBack(block);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_new")]
    private static partial IntPtr NewTensor(
        IntPtr data, delegate* unmanaged[Cdecl]<IntPtr, void> deleter, long* sizes, int dimensions, sbyte type, sbyte dtype, int deviceType, int deviceIndex, byte requiresGrad);
}
