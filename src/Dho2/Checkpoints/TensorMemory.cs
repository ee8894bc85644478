using System;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Checkpoints;

/// <summary>
/// Moves elements between tensors and files without a second copy of the tensor: straight from and to host memory where the
/// tensor lies there without gaps, else through a piece of fixed size.
/// </summary>
internal static unsafe class TensorMemory
{
    // Elements that pass through a temporary tensor at a time.
    private const long Piece = 1 << 20;

    // A span holds at most 2 GiB.
    private const long LargestSpan = 1 << 30;

    private static readonly (ScalarType Torch, SafetensorsType File)[] Types =
    [
        (ScalarType.Float32, SafetensorsType.Float32), (ScalarType.Float64, SafetensorsType.Float64),
        (ScalarType.BFloat16, SafetensorsType.BFloat16), (ScalarType.Float16, SafetensorsType.Float16),
        (ScalarType.Int64, SafetensorsType.Int64), (ScalarType.Int32, SafetensorsType.Int32), (ScalarType.Int16, SafetensorsType.Int16),
        (ScalarType.Int8, SafetensorsType.Int8), (ScalarType.Byte, SafetensorsType.UInt8), (ScalarType.Bool, SafetensorsType.Bool),
    ];

    /// <summary>The type that files have for a tensor's elements.</summary>
    /// <exception cref="NotSupportedException">They have none.</exception>
    public static SafetensorsType TypeOf(ScalarType type)
    {
        int index = Array.FindIndex(Types, t => t.Torch == type);
        return index >= 0 ? Types[index].File : throw new NotSupportedException($"A tensor of {type} has no place in a safetensors file.");
    }

    /// <summary>The type that tensors have for a file's elements; null where there is none.</summary>
    public static ScalarType? TypeOf(SafetensorsType type)
    {
        int index = Array.FindIndex(Types, t => t.File == type);
        return index >= 0 ? Types[index].Torch : null;
    }

    /// <summary>Writes a whole tensor of any shape.</summary>
    public static void Write(Tensor tensor, TensorSink sink)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGrad = no_grad();
        Tensor flat = tensor.detach().contiguous().view(1, -1);
        WriteColumns(flat, 0, flat.size(1), sink);
    }

    /// <summary>Writes some columns of a matrix, row by row.</summary>
    /// <param name="rows">The matrix, shape (r, n), without gaps.</param>
    /// <param name="start">The first column.</param>
    /// <param name="count">The number of columns.</param>
    /// <param name="sink">Takes the bytes.</param>
    public static void WriteColumns(Tensor rows, long start, long count, TensorSink sink)
    {
        long width = rows.size(1);
        long elementSize = TypeOf(rows.dtype).Bytes();
        byte* address = (byte*)HostRows.AddressOrZero(rows);
        for (long row = 0; row < rows.size(0) && count > 0; row++)
        {
            if (address != null)
            {
                Write(address + (((row * width) + start) * elementSize), count * elementSize, sink);
                continue;
            }

            for (long at = 0; at < count; at += Piece)
            {
                using DisposeScope scope = NewDisposeScope();
                long length = Math.Min(Piece, count - at);
                Tensor piece = rows.narrow(0, row, 1).narrow(1, start + at, length).cpu().contiguous();
                Write(HostRows.Address(piece), length * elementSize, sink);
            }
        }
    }

    /// <summary>Reads consecutive elements of a stored tensor into consecutive elements of a tensor, converted if the types differ.</summary>
    /// <param name="file">The file.</param>
    /// <param name="entry">The stored tensor.</param>
    /// <param name="from">The first element there.</param>
    /// <param name="into">The tensor, shape (n), without gaps.</param>
    /// <param name="start">The first element to be overwritten.</param>
    /// <param name="count">The number of elements.</param>
    /// <param name="weight">What the elements are multiplied by and then added with; null to overwrite.</param>
    /// <exception cref="CheckpointException">The file is cut off, or its type has no counterpart.</exception>
    public static void Read(SafetensorsFile file, SafetensorsEntry entry, long from, Tensor into, long start, long count, double? weight = null)
    {
        ScalarType type = TypeOf(entry.Type)
            ?? throw new CheckpointException(file.Path, $"'{entry.Name}' is {entry.Type.Name()}, which has no counterpart in TorchSharp.");
        long elementSize = entry.Type.Bytes();
        if (type == into.dtype && weight is null && count > 0 && (byte*)HostRows.AddressOrZero(into) is var address && address != null)
        {
            Read(file, entry, from * elementSize, address + (start * elementSize), count * elementSize);
            return;
        }

        for (long at = 0; at < count; at += Piece)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGrad = no_grad();
            long length = Math.Min(Piece, count - at);
            Tensor piece = empty(length, type);
            Read(file, entry, (from + at) * elementSize, HostRows.Address(piece), length * elementSize);
            Tensor target = into.narrow(0, start + at, length);
            if (weight is { } factor)
            {
                target.AddScaled(piece.to(into.dtype, into.device), factor);
            }
            else
            {
                target.copy_(piece);
            }
        }
    }

    /// <summary>A copy in host memory that outlives every scope.</summary>
    public static Tensor HostCopy(Tensor tensor)
    {
        Tensor copy = empty(tensor.shape, tensor.dtype, CPU).DetachFromDisposeScope();
        copy.copy_(tensor);
        return copy;
    }

    private static void Write(byte* address, long bytes, TensorSink sink)
    {
        for (long at = 0; at < bytes; at += LargestSpan)
        {
            sink.Write(new ReadOnlySpan<byte>(address + at, (int)Math.Min(LargestSpan, bytes - at)));
        }
    }

    private static void Read(SafetensorsFile file, SafetensorsEntry entry, long offset, byte* address, long bytes)
    {
        for (long at = 0; at < bytes; at += LargestSpan)
        {
            file.Read(entry, offset + at, new Span<byte>(address + at, (int)Math.Min(LargestSpan, bytes - at)));
        }
    }
}
