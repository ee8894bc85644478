using System.Collections.Generic;

namespace Dho2.Planning;

/// <summary>Sizes of tensors.</summary>
public static class TensorBytes
{
    /// <summary>Bytes of a tensor; unknown where a dimension is.</summary>
    /// <param name="type">Its shape and element type.</param>
    public static Dimension Of(TensorType type) => Count(type.Shape) * Dimension.Of(ElementTypes.SizeOf(type.DType));

    /// <summary>The number of elements; unknown where a dimension is.</summary>
    /// <param name="shape">The sizes.</param>
    public static Dimension Count(IEnumerable<Dimension> shape)
    {
        Dimension count = Dimension.One;
        foreach (Dimension dimension in shape)
        {
            count *= dimension;
        }

        return count;
    }
}
