using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Dimension arguments: counted from the front, or from the end where negative.</summary>
internal static class Axes
{
    /// <summary>
    /// The index of a dimension from the front. Null where it is not known, or with a problem where there is no such one.
    /// </summary>
    /// <param name="c">The call.</param>
    /// <param name="argument">The argument's name.</param>
    /// <param name="axis">Its value; null where not known.</param>
    /// <param name="rank">The number of dimensions that there are.</param>
    public static int? Resolve(CallContext c, string argument, long? axis, int rank)
    {
        if (axis is not { } index)
        {
            c.Unknown();
            return null;
        }

        // A tensor without dimensions takes 0 and -1 as if it had one.
        int count = System.Math.Max(rank, 1);
        if (index < -count || index >= count)
        {
            c.RefuseArgument($"`{c.Name}` has no dimension {index} in {rank} dimensions; {-count} to {count - 1} are possible", argument);
            return null;
        }

        return (int)(index < 0 ? index + count : index);
    }

    /// <summary>Several dimensions; null where one is not known, or with a problem where one is wrong or stands twice.</summary>
    public static int[]? ResolveAll(CallContext c, string argument, IReadOnlyList<long>? axes, int rank)
    {
        if (axes is null)
        {
            c.Unknown();
            return null;
        }

        var resolved = new int[axes.Count];
        for (int i = 0; i < resolved.Length; i++)
        {
            if (Resolve(c, argument, axes[i], rank) is not { } axis)
            {
                return null;
            }

            resolved[i] = axis;
        }

        if (resolved.Distinct().Count() < resolved.Length)
        {
            c.RefuseArgument($"`{c.Name}` gets a dimension twice: {string.Join(", ", axes)}", argument);
            return null;
        }

        return resolved;
    }

    /// <summary>A shape with one dimension replaced.</summary>
    public static EquatableArray<Dimension> With(EquatableArray<Dimension> shape, int axis, Dimension size) =>
        shape.Select((d, i) => i == axis ? size : d).ToEquatableArray();

    /// <summary>A shape without one dimension.</summary>
    public static EquatableArray<Dimension> Without(EquatableArray<Dimension> shape, int axis) =>
        shape.Where((_, i) => i != axis).ToEquatableArray();

    /// <summary>A shape with a dimension inserted before the given place.</summary>
    public static EquatableArray<Dimension> Insert(EquatableArray<Dimension> shape, int axis, Dimension size)
    {
        var longer = shape.ToList();
        longer.Insert(axis, size);
        return longer.ToEquatableArray();
    }
}
