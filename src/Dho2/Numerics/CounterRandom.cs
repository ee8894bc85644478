using System;
using System.Buffers;
using Dho2.Pipelines;
using static TorchSharp.torch;

namespace Dho2.Numerics;

/// <summary>
/// Random numbers that are a function of a key and a position, so that any part of a stream can be drawn by whoever holds
/// it, in any order.
/// </summary>
internal static class CounterRandom
{
    private const int Block = 1 << 16;

    // Four sums of 16-bit uniforms: mean 4 * 65535 / 2, variance 4 * (65536^2 - 1) / 12.
    private const double Mean = 2.0 * 65535.0;
    private static readonly double InverseDeviation = Math.Sqrt(3.0 / (65536.0 * 65536.0 - 1.0));

    /// <summary>Fills a vector with numbers of mean 0 and variance 1, nearly normal (sums of four uniforms).</summary>
    /// <param name="vector">The vector, shape (n).</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="name">Names the stream.</param>
    /// <param name="start">The position of the first element in the stream.</param>
    public static void Fill(Tensor vector, long seed, string name, long start)
    {
        ulong key = (ulong)StageContext.SeedOf(seed, name);
        long size = vector.NumberOfElements;
        double[] buffer = ArrayPool<double>.Shared.Rent(Block);
        for (long offset = 0; offset < size; offset += Block)
        {
            int count = (int)Math.Min(Block, size - offset);
            for (int i = 0; i < count; i++)
            {
                buffer[i] = Value(key, (ulong)(start + offset + i));
            }

            using Tensor drawn = tensor(buffer.AsMemory(0, count).ToArray());
            using Tensor part = vector.narrow(0, offset, count);
            part.copy_(drawn);
        }

        ArrayPool<double>.Shared.Return(buffer);
    }

    private static double Value(ulong key, ulong position)
    {
        // The finalising mix of SplitMix64 over a Weyl sequence: consecutive positions give unrelated words.
        ulong word = unchecked(key + (position + 1) * 0x9E3779B97F4A7C15UL);
        word = unchecked((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9UL);
        word = unchecked((word ^ (word >> 27)) * 0x94D049BB133111EBUL);
        word ^= word >> 31;
        double sum = (word & 0xFFFF) + ((word >> 16) & 0xFFFF) + ((word >> 32) & 0xFFFF) + (word >> 48);
        return (sum - Mean) * InverseDeviation;
    }
}
