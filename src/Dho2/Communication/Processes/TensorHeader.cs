using System;
using TorchSharp;

namespace Dho2.Communication;

/// <summary>What goes before a tensor's elements: its type and sizes, so that the receiver need not know them.</summary>
internal static unsafe class TensorHeader
{
    /// <summary>The bytes of a header.</summary>
    public const int Size = 128;

    /// <summary>The most dimensions of a tensor that can be sent.</summary>
    public const int MaxDimensions = 12;
    private const int Shape = 32;

    /// <summary>Writes a header, and says how many bytes the elements have.</summary>
    /// <exception cref="ArgumentException">The tensor has too many dimensions.</exception>
    public static long Write(byte* header, torch.Tensor tensor)
    {
        int dimensions = (int)tensor.dim();
        if (dimensions > MaxDimensions)
        {
            throw new ArgumentException($"A tensor of {dimensions} dimensions cannot be sent; {MaxDimensions} are the most.", nameof(tensor));
        }

        new Span<byte>(header, Size).Clear();
        *(int*)header = (int)tensor.dtype;
        *(int*)(header + 4) = dimensions;
        long bytes = tensor.element_size();
        for (int i = 0; i < dimensions; i++)
        {
            // One by one: the property that gives all of them takes longer than a small message takes.
            long size = tensor.size(i);
            ((long*)(header + Shape))[i] = size;
            bytes *= size;
        }

        *(long*)(header + 8) = bytes;
        return bytes;
    }

    /// <summary>The type and sizes that a header tells.</summary>
    public static (torch.ScalarType Type, long[] Shape, long Bytes) Read(byte* header)
    {
        long[] shape = new long[*(int*)(header + 4)];
        for (int i = 0; i < shape.Length; i++)
        {
            shape[i] = ((long*)(header + Shape))[i];
        }

        return ((torch.ScalarType)(*(int*)header), shape, *(long*)(header + 8));
    }
}
