using System;
using System.Collections.Generic;

namespace Dho2.Checkpoints;

/// <summary>One tensor of a safetensors file.</summary>
/// <param name="Name">Its name, unique within the file.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its sizes; none for a single number.</param>
/// <param name="Start">Its first byte, counted from the end of the header.</param>
/// <param name="Bytes">Its number of bytes: elements times the size of one.</param>
public sealed record SafetensorsEntry(string Name, SafetensorsType Type, IReadOnlyList<long> Shape, long Start, long Bytes)
{
    /// <summary>The number of elements.</summary>
    public long Count => Bytes / Type.Bytes();

    /// <summary>The number of bytes that a tensor takes, or null where that is beyond 2^63 or a size is negative.</summary>
    /// <param name="type">Its element type.</param>
    /// <param name="shape">Its sizes.</param>
    public static long? BytesOf(SafetensorsType type, IReadOnlyList<long> shape)
    {
        // A product with a size of 0 is 0, even where the others alone would not fit.
        long bytes = type.Bytes();
        bool empty = false;
        bool overflow = false;
        foreach (long size in shape)
        {
            if (size < 0)
            {
                return null;
            }

            empty |= size == 0;
            overflow |= Math.BigMul(bytes, Math.Max(size, 1), out long low) != 0 || low < 0;
            bytes = low;
        }

        return empty ? 0 : overflow ? null : bytes;
    }
}
