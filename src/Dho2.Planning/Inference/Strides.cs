using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Inference;

/// <summary>
/// How far apart neighbours along each dimension lie in memory, in elements, with symbols: what decides whether another shape is a view
/// or takes a copy. The rules are libtorch's (<c>TensorUtils.cpp</c>, <c>computeStride</c>).
/// </summary>
internal static class Strides
{
    /// <summary>The strides of a tensor whose shape is known.</summary>
    /// <param name="tensor">The tensor.</param>
    public static EquatableArray<Dimension> Of(SymbolicTensor tensor) => tensor.Strides ?? InOrder(tensor.Shape!.Value).ToEquatableArray();

    /// <summary>The strides of elements that lie in order.</summary>
    /// <param name="shape">The shape.</param>
    public static Dimension[] InOrder(IReadOnlyList<Dimension> shape)
    {
        var strides = new Dimension[shape.Count];
        Dimension stride = Dimension.One;
        for (int i = shape.Count - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= shape[i];
        }

        return strides;
    }

    /// <summary>Whether some neighbouring dimensions lie in memory as one does; taken to be so where sizes are not known.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="count">How many dimensions, from the first.</param>
    public static bool AreOne(SymbolicTensor tensor, int count) =>
        tensor is not { Strides: { } strides, Shape: { } shape } || Chunks(shape.Take(count).ToArray(), strides.Take(count).ToArray()).Count <= 1;

    /// <summary>The strides of the same elements in another shape; null where they need a copy.</summary>
    /// <param name="shape">The shape that they have.</param>
    /// <param name="strides">Their strides.</param>
    /// <param name="wanted">The shape that they are to have.</param>
    public static Dimension[]? Reshaped(IReadOnlyList<Dimension> shape, IReadOnlyList<Dimension> strides, IReadOnlyList<Dimension> wanted)
    {
        var result = new Dimension[wanted.Count];
        int next = wanted.Count - 1;
        foreach ((Dimension count, Dimension stride) in Chunks(shape, strides).AsEnumerable().Reverse())
        {
            Dimension inside = Dimension.One;
            while (next >= 0 && inside != count)
            {
                result[next] = stride * inside;
                inside *= wanted[next--];
            }

            if (inside != count)
            {
                return null;
            }
        }

        // What is left has one element each.
        for (; next >= 0; next--)
        {
            if (wanted[next] != Dimension.One)
            {
                return null;
            }

            result[next] = Dimension.One;
        }

        return result;
    }

    // Runs of dimensions that lie in memory as one, each with its elements and the stride of its last.
    private static List<(Dimension Count, Dimension Stride)> Chunks(IReadOnlyList<Dimension> shape, IReadOnlyList<Dimension> strides)
    {
        List<(Dimension Count, Dimension Stride)> chunks = [];
        for (int i = 0; i < shape.Count; i++)
        {
            if (shape[i] == Dimension.One)
            {
                continue;
            }

            if (chunks.Count > 0 && chunks[chunks.Count - 1].Stride == strides[i] * shape[i])
            {
                chunks[chunks.Count - 1] = (chunks[chunks.Count - 1].Count * shape[i], strides[i]);
            }
            else
            {
                chunks.Add((shape[i], strides[i]));
            }
        }

        return chunks;
    }
}
