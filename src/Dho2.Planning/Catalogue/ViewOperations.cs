using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Operations that give the same elements another shape: they share memory, cost nothing and save nothing.</summary>
internal static class ViewOperations
{
    public static void AddTo(RuleTable table)
    {
        table.Add("view", static c => Reshape(c, c.Input, c.Arguments.Integers("shape")));
        table.Add("reshape", static c => Reshape(c, c.Input, c.Arguments.Integers("shape")));
        table.Add("view_as", static c => LikeOther(c));
        table.Add("flatten", static c => Flatten(c, c.Input, c.Arguments.Constant("start_dim", 0), c.Arguments.Constant("end_dim", -1)));
        table.Add("ravel", static c => Flatten(c, c.Input, 0, -1));
        table.Add("unflatten", static c => Unflatten(c, c.Input, c.Arguments.Constant("dim"), c.Arguments.Integers("sizes")));
        table.AddWithInPlace("squeeze", Squeeze);
        table.AddWithInPlace("unsqueeze", Unsqueeze);
        table.Add("permute", Permute);
        foreach (string name in new[] { "transpose", "swapaxes", "swapdims" })
        {
            table.Add(name, Transpose);
        }

        table.Add("t", TransposeMatrix);
        table.AddExact("Tensor.T", TransposeAll);
        table.AddExact("Tensor.mT", static c => c.Input.Rank == 0 ? c.Input : Swap(c, c.Input, -2, -1));
        table.Add("movedim", MoveAxis);
        table.Add("moveaxis", MoveAxis);
        table.AddExact("Tensor.shape", static c => SizeOf(c));
        table.AddExact("Tensor.size", Size);
        table.AddExact("Tensor.dim", Rank);
        table.AddExact("Tensor.ndim", Rank);
        table.AddExact("Tensor.Dimensions", Rank);
        table.Add("numel", static c => new SymbolicInteger(c.Input.Count));
        table.AddExact("Tensor.NumberOfElements", static c => new SymbolicInteger(c.Input.Count));
        table.Add("expand", static c => Expand(c, c.Arguments.Integers("sizes")));
        table.Add("broadcast_to", static c => Expand(c, c.Arguments.Integers("shape")));
        table.Add("expand_as", static c => c.Tensor(c.Arguments.Get("other")).Shape is { } shape ? Expand(c, shape.ToArray()) : c.Unknown());
    }

    /// <summary>The first elements keep their order; -1 stands for what is left.</summary>
    public static Symbolic Reshape(CallContext c, SymbolicTensor x, IReadOnlyList<Dimension>? sizes)
    {
        if (sizes is null)
        {
            return Unknown(c, x);
        }

        if (sizes.FirstOrDefault(s => s.IsNumber && s.Number < -1) is { IsKnown: true } negative)
        {
            return c.RefuseArgument($"`{c.Name}` gets the dimension {negative}; only -1 may be below 0", "shape");
        }

        int[] open = Enumerable.Range(0, sizes.Count).Where(i => sizes[i].IsNumber && sizes[i].Number == -1).ToArray();
        if (open.Length > 1)
        {
            return c.RefuseArgument($"`{c.Name}` gets -1 for {open.Length} dimensions; one can be worked out", "shape");
        }

        Dimension rest = TensorBytes.Count(sizes.Where((_, i) => !open.Contains(i)));
        if (open.Length == 0)
        {
            return rest.CertainlyDiffers(x.Count)
                ? c.RefuseShape($"`{c.Name}` cannot make {ShapeText.Of(sizes)} with {rest} elements of {x} with {x.Count}", "shape")
                : c.Reshaped(x, sizes);
        }

        Dimension left = x.Count.DivideExactly(rest);
        if (!left.IsKnown && x.Count.IsNumber && rest.IsNumber && (rest.Number == 0 || x.Count.Number % rest.Number != 0))
        {
            return c.RefuseShape($"`{c.Name}` cannot make {ShapeText.Of(sizes)} of {x}: {x.Count} elements do not divide by {rest}", "shape");
        }

        return c.Reshaped(x, sizes.Select((s, i) => i == open[0] ? left : s));
    }

    public static Symbolic Flatten(CallContext c, SymbolicTensor x, long? start, long? end)
    {
        if (x.Shape is not { } shape)
        {
            return Unknown(c, x);
        }

        if (Axes.Resolve(c, "start_dim", start, shape.Count) is not { } first || Axes.Resolve(c, "end_dim", end, shape.Count) is not { } last)
        {
            return SymbolicUnknown.Value;
        }

        if (first > last)
        {
            return c.RefuseArgument($"`{c.Name}` begins at dimension {start}, after its end {end}", "start_dim");
        }

        return c.Reshaped(x, shape.Take(first)
            .Append(TensorBytes.Count(shape.Skip(first).Take(last - first + 1)))
            .Concat(shape.Skip(last + 1)));
    }

    public static Symbolic Unflatten(CallContext c, SymbolicTensor x, long? dim, IReadOnlyList<Dimension>? sizes)
    {
        if (x.Shape is not { } shape || sizes is null)
        {
            return Unknown(c, x);
        }

        if (Axes.Resolve(c, "dim", dim, shape.Count) is not { } axis)
        {
            return SymbolicUnknown.Value;
        }

        // TorchSharp, unlike torch, counts from the front only.
        if (dim < 0)
        {
            return c.RefuseArgument($"`{c.Name}` takes no negative dimension, gets {dim}; {axis} is the same", "dim");
        }

        SymbolicTensor part = x with { Shape = new[] { shape.Count == 0 ? Dimension.One : shape[axis] }.ToEquatableArray(), Strides = null };
        return Reshape(c, part, sizes) is SymbolicTensor { Shape: { } inner }
            ? c.Reshaped(x, shape.Take(axis).Concat(inner).Concat(shape.Skip(axis + 1)))
            : SymbolicUnknown.Value;
    }

    /// <summary>A view of which only the memory is known.</summary>
    public static Symbolic Unknown(CallContext c, SymbolicTensor x)
    {
        c.Facts.AddUnknown();
        return CallContext.View(x);
    }

    private static Symbolic LikeOther(CallContext c) =>
        c.Tensor(c.Arguments.Get("other")).Shape is { } shape ? Reshape(c, c.Input, shape.ToArray()) : Unknown(c, c.Input);

    private static Symbolic Squeeze(CallContext c)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape)
        {
            return Unknown(c, x);
        }

        if (!c.Arguments.Has("dim") || c.Arguments.Get("dim") is SymbolicNull)
        {
            // A dimension that may be 1 makes the number of dimensions unknown; a symbol such as the batch counts as larger.
            return shape.All(d => d.IsKnown) ? c.Reshaped(x, shape.Where(d => d != Dimension.One)) : Unknown(c, x);
        }

        return Axes.Resolve(c, "dim", c.Arguments.Constant("dim"), shape.Count) is not { } axis ? SymbolicUnknown.Value
            : shape.Count == 0 ? x
            : !shape[axis].IsKnown ? Unknown(c, x)
            : shape[axis] == Dimension.One ? c.Reshaped(x, Axes.Without(shape, axis))
            : x;
    }

    private static Symbolic Unsqueeze(CallContext c)
    {
        SymbolicTensor x = c.Input;
        return x.Shape is not { } shape ? Unknown(c, x)
            : Axes.Resolve(c, "dim", c.Arguments.Constant("dim"), shape.Count + 1) is { } axis ? c.Reshaped(x, Axes.Insert(shape, axis, Dimension.One))
            : SymbolicUnknown.Value;
    }

    private static Symbolic Permute(CallContext c)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape)
        {
            return Unknown(c, x);
        }

        if (Axes.ResolveAll(c, "permutation", c.Arguments.Constants("permutation"), shape.Count) is not { } order)
        {
            return SymbolicUnknown.Value;
        }

        return order.Length == shape.Count
            ? Ordered(x, order)
            : c.RefuseArgument($"`{c.Name}` orders {order.Length} dimensions, but {x} has {shape.Count}", "permutation");
    }

    private static Symbolic Transpose(CallContext c) =>
        Swap(c, c.Input, c.Arguments.Constant("dim0"), c.Arguments.Constant("dim1"));

    private static Symbolic TransposeMatrix(CallContext c) => c.Input switch
    {
        { Rank: > 2 } x => c.RefuseShape($"`{c.Name}` needs at most 2 dimensions, gets {x}"),
        { Rank: < 2 } x => x,
        var x => Swap(c, x, 0, 1),
    };

    private static Symbolic TransposeAll(CallContext c) =>
        c.Input is { Shape: { } shape } x ? Ordered(x, Enumerable.Range(0, shape.Count).Reverse()) : Unknown(c, c.Input);

    private static Symbolic Swap(CallContext c, SymbolicTensor x, long? from, long? to)
    {
        if (x.Shape is not { } shape)
        {
            return Unknown(c, x);
        }

        if (Axes.Resolve(c, "dim0", from, shape.Count) is not { } a || Axes.Resolve(c, "dim1", to, shape.Count) is not { } b)
        {
            return SymbolicUnknown.Value;
        }

        return shape.Count == 0 ? x : Ordered(x, Enumerable.Range(0, shape.Count).Select(i => i == a ? b : i == b ? a : i));
    }

    private static Symbolic MoveAxis(CallContext c)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape)
        {
            return Unknown(c, x);
        }

        if (Axes.ResolveAll(c, "source", c.Arguments.Constants("source"), shape.Count) is not { } from ||
            Axes.ResolveAll(c, "destination", c.Arguments.Constants("destination"), shape.Count) is not { } to)
        {
            return SymbolicUnknown.Value;
        }

        if (from.Length != to.Length)
        {
            return c.RefuseArgument($"`{c.Name}` moves {from.Length} dimensions to {to.Length} places", "destination");
        }

        var rest = new Queue<int>(Enumerable.Range(0, shape.Count).Where(i => !from.Contains(i)));
        return Ordered(x, Enumerable.Range(0, shape.Count).Select(i => to.Contains(i) ? from[System.Array.IndexOf(to, i)] : rest.Dequeue()));
    }

    // The dimensions of a tensor whose shape is known, in another order.
    private static SymbolicTensor Ordered(SymbolicTensor x, IEnumerable<int> order)
    {
        int[] axes = order.ToArray();
        return CallContext.View(x, axes.Select(i => x.Shape!.Value[i]), axes.Select(i => Strides.Of(x)[i]));
    }

    private static Symbolic SizeOf(CallContext c) =>
        c.Input.Shape is { } shape ? new SymbolicList(shape.Select(d => (Symbolic)new SymbolicInteger(d)).ToArray()) : SymbolicUnknown.Constant;

    private static Symbolic Size(CallContext c)
    {
        if (!c.Arguments.Has("dim"))
        {
            return SizeOf(c);
        }

        return c.Input.Shape is not { } shape ? new SymbolicInteger(Dimension.Unknown)
            : Axes.Resolve(c, "dim", c.Arguments.Constant("dim"), shape.Count) is { } axis && shape.Count > 0 ? new SymbolicInteger(shape[axis])
            : new SymbolicInteger(Dimension.Unknown);
    }

    private static Symbolic Rank(CallContext c) =>
        new SymbolicInteger(c.Input.Rank is { } rank ? Dimension.Of(rank) : Dimension.Unknown);

    private static Symbolic Expand(CallContext c, IReadOnlyList<Dimension>? sizes)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape || sizes is null)
        {
            return Unknown(c, x);
        }

        int added = sizes.Count - shape.Count;
        if (added < 0)
        {
            return c.RefuseShape($"`{c.Name}` cannot make {ShapeText.Of(sizes)} of {x}: it has more dimensions", "sizes");
        }

        var result = sizes.ToArray();
        for (int i = 0; i < shape.Count; i++)
        {
            Dimension wanted = sizes[added + i];
            if (wanted.IsNumber && wanted.Number == -1)
            {
                result[added + i] = shape[i];
            }
            else if (shape[i].IsNumber && shape[i].Number != 1 && wanted.CertainlyDiffers(shape[i]))
            {
                return c.RefuseShape($"`{c.Name}` cannot make {ShapeText.Of(sizes)} of {x}: dimension {i} is {shape[i]}, not 1", "sizes");
            }
        }

        return result.Any(d => d.IsNumber && d.Number < 0)
            ? c.RefuseArgument($"`{c.Name}` gets -1 for a dimension that {x} does not have", "sizes")
            : CallContext.View(x, result, Enumerable.Repeat(Dimension.Of(0), added)
                .Concat(Strides.Of(x).Select((stride, i) => shape[i] == result[added + i] ? stride : Dimension.Of(0))));
    }
}
