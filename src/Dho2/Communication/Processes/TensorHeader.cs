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

    /// <summary>Writes a header.</summary>
    /// <exception cref="ArgumentException">The tensor has too many dimensions.</exception>
    public static void Write(byte* header, torch.Tensor tensor)
    {
        long[] shape = tensor.shape;
        if (shape.Length > MaxDimensions)
        {
            throw new ArgumentException($"A tensor of {shape.Length} dimensions cannot be sent; {MaxDimensions} are the most.", nameof(tensor));
        }

        new Span<byte>(header, Size).Clear();
        *(int*)header = (int)tensor.dtype;
        *(int*)(header + 4) = shape.Length;
        *(long*)(header + 8) = tensor.numel() * tensor.element_size();
        for (int i = 0; i < shape.Length; i++)
        {
            ((long*)(header + Shape))[i] = shape[i];
        }
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
