using System.Collections.Generic;

namespace Dho2.Planning.Catalogue;

/// <summary>Shapes of element-wise results.</summary>
internal static class Broadcasting
{
    /// <summary>The broadcast of two shapes; false where they certainly do not agree, with the dimension counted from the end.</summary>
    public static bool TryBroadcast(
        EquatableArray<Dimension> left, EquatableArray<Dimension> right, out EquatableArray<Dimension> result, out int conflict)
    {
        int rank = System.Math.Max(left.Count, right.Count);
        var shape = new Dimension[rank];
        result = default;
        for (conflict = 1; conflict <= rank; conflict++)
        {
            Dimension a = conflict <= left.Count ? left[left.Count - conflict] : Dimension.One;
            Dimension b = conflict <= right.Count ? right[right.Count - conflict] : Dimension.One;
            if (a.CertainlyDiffers(b) && !MayBeOne(a) && !MayBeOne(b))
            {
                return false;
            }

            shape[rank - conflict] = Of(a, b);
        }

        result = shape.ToEquatableArray();
        return true;
    }

    /// <summary>The broadcast of several shapes; null where one is unknown or they do not agree.</summary>
    public static EquatableArray<Dimension>? All(IEnumerable<EquatableArray<Dimension>?> shapes)
    {
        EquatableArray<Dimension>? all = EquatableArray<Dimension>.Empty;
        foreach (EquatableArray<Dimension>? shape in shapes)
        {
            all = all is { } a && shape is { } b && TryBroadcast(a, b, out EquatableArray<Dimension> both, out _) ? both : null;
        }

        return all;
    }

    private static Dimension Of(Dimension a, Dimension b)
    {
        if (a == b || b == Dimension.One)
        {
            return a;
        }

        if (a == Dimension.One)
        {
            return b;
        }

        // A number other than 1 wins over what is not known: that is either equal to it or 1.
        return a.IsNumber ? a : b.IsNumber ? b : Dimension.Unknown;
    }

    private static bool MayBeOne(Dimension dimension) => !dimension.IsNumber || dimension.Number == 1;
}
