using System.Collections.Generic;

namespace Dho2.Planning;

/// <summary>Sizes of tensors.</summary>
internal static class TensorBytes
{
    public static Dimension Of(TensorType type) => Count(type.Shape) * Dimension.Of(ElementTypes.SizeOf(type.DType));

    /// <summary>The number of elements; unknown where a dimension is.</summary>
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
