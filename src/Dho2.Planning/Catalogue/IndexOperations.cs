using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Operations that pick elements: indexers, slices, gathers, sorts.</summary>
internal static class IndexOperations
{
    public static void AddTo(RuleTable table)
    {
        table.AddExact("Tensor.this[]", Indexer);
        table.AddExact("Tensor.index", Indexer);
        table.AddExact("TorchSharp.torch.TensorIndex.Slice", static c =>
            new SymbolicSlice(c.Arguments.Get("start"), c.Arguments.Get("stop"), c.Arguments.Get("step")));
        foreach (string name in new[] { "Ellipsis", "Colon", "None" })
        {
            table.AddExact("TorchSharp.torch.TensorIndex." + name, _ => new SymbolicText(name));
        }

        table.Add("select", Select);
        table.Add("narrow", Narrow);
        table.Add("slice", static c => WithAxis(c, "dim", (x, axis) => SliceAxis(
            c, x, axis, new SymbolicSlice(c.Arguments.Get("start"), c.Arguments.Get("finish"), c.Arguments.Get("step")))));
        table.Add("index_select", IndexSelect);
        table.Add("gather", Gather);
        table.Add("one_hot", OneHot);
        foreach (string name in new[] { "flip", "roll", "fliplr", "flipud" })
        {
            table.Add(name, static c => c.Like(c.Input, c.Input.Shape));
        }

        table.AddWithInPlace("tril", static c => c.Like(c.Input, c.Input.Shape));
        table.AddWithInPlace("triu", static c => c.Like(c.Input, c.Input.Shape));
        table.Add("sort", static c => WithIndices(c, c.Input, c.Input.Shape));
        table.Add("argsort", static c => c.New(c.Input.Shape, DType.Int64, differentiable: false));
        table.Add("topk", TopK);
    }

    /// <summary>A pair of values and their places, which the backward needs.</summary>
    public static Symbolic WithIndices(CallContext c, SymbolicTensor x, IEnumerable<Dimension>? shape)
    {
        SymbolicTensor values = c.Like(x, shape);
        SymbolicTensor indices = c.New(values.Shape, DType.Int64, differentiable: false);
        c.Facts.AddWork(x.Count);
        if (values.Differentiable)
        {
            c.Save(indices);
        }

        return new SymbolicList([values, indices]);
    }

    private static Symbolic Indexer(CallContext c)
    {
        SymbolicTensor x = c.Input;
        Symbolic[] indices = c.Arguments.Get("indices") is SymbolicList list ? list.Items.ToArray() : c.Arguments.Positional.ToArray();
        int consumed = indices.Count(i => i is not SymbolicText { Value: "Ellipsis" or "None" });
        if (x.Shape is not { } shape || indices.Any(i => i is SymbolicUnknown or SymbolicText { Value: null } or SymbolicBoolean))
        {
            return ViewOperations.Unknown(c, x);
        }

        if (consumed > shape.Count)
        {
            return c.RefuseShape($"{consumed} indices for the {shape.Count} dimensions of {x}");
        }

        if (indices.Any(i => i is SymbolicTensor))
        {
            return ByTensor(c, x, shape, indices);
        }

        var result = new List<Dimension>();
        EquatableArray<Dimension> strides = Strides.Of(x);
        var steps = new List<Dimension>();
        int axis = 0;
        foreach (Symbolic index in indices)
        {
            switch (index)
            {
                case SymbolicText { Value: "Ellipsis" }:
                    int skipped = shape.Count - consumed;
                    result.AddRange(shape.Skip(axis).Take(skipped));
                    steps.AddRange(strides.Skip(axis).Take(skipped));
                    axis += skipped;
                    break;
                case SymbolicText { Value: "None" } or SymbolicNull:
                    result.Add(Dimension.One);
                    steps.Add(Dimension.One);
                    break;
                case SymbolicInteger integer:
                    if (CheckIndex(c, integer.Value, shape[axis], axis, x) is { } refused)
                    {
                        return refused;
                    }

                    axis++;
                    break;
                case SymbolicSlice slice:
                    result.Add(LengthOf(slice, shape[axis]));
                    steps.Add(strides[axis] * StepOf(slice));
                    axis++;
                    break;
                case SymbolicText { Value: "Colon" }:
                    result.Add(shape[axis]);
                    steps.Add(strides[axis]);
                    axis++;
                    break;
                default:
                    return ViewOperations.Unknown(c, x);
            }
        }

        result.AddRange(shape.Skip(axis));
        steps.AddRange(strides.Skip(axis));
        return CallContext.View(x, result, steps);
    }

    private static Dimension StepOf(SymbolicSlice slice) => slice.Step is SymbolicInteger step ? step.Value : Dimension.One;

    // One tensor of places among whole dimensions; other mixtures are left unknown.
    private static Symbolic ByTensor(CallContext c, SymbolicTensor x, EquatableArray<Dimension> shape, Symbolic[] indices)
    {
        int at = System.Array.FindIndex(indices, i => i is SymbolicTensor);
        var places = (SymbolicTensor)indices[at];
        bool simple = places is { Type: DType.Int64 or DType.Int32, Shape: not null } &&
            !indices.Where((_, i) => i != at).Any(i => i is not SymbolicText { Value: "Colon" });
        if (!simple)
        {
            c.Facts.AddUnknown();
            return c.New(null, x.Type, x.Differentiable);
        }

        SymbolicTensor result = c.Like(x, shape.Take(at).Concat(places.Shape!.Value).Concat(shape.Skip(at + 1)));
        if (result.Differentiable)
        {
            c.Save(places);
        }

        return result;
    }

    private static Symbolic? CheckIndex(CallContext c, Dimension index, Dimension size, int axis, SymbolicTensor x) =>
        index.IsNumber && size.IsNumber && (index.Number >= size.Number || index.Number < -size.Number)
            ? c.RefuseShape($"Index {index} is outside dimension {axis} of {x}")
            : null;

    private static Dimension LengthOf(SymbolicSlice slice, Dimension size)
    {
        Dimension start = slice.Start is SymbolicInteger from ? from.Value : slice.Start is SymbolicNull ? Dimension.Of(0) : Dimension.Unknown;
        Dimension stop = slice.Stop is SymbolicInteger to ? to.Value : slice.Stop is SymbolicNull ? size : Dimension.Unknown;
        long? step = slice.Step is SymbolicInteger { Value.IsNumber: true } by ? by.Value.Number : slice.Step is SymbolicNull ? 1 : null;
        if (step is not > 0 || !start.IsNumber || !stop.IsKnown)
        {
            return Dimension.Unknown;
        }

        if (size.IsNumber && stop.IsNumber)
        {
            long first = Clamp(start.Number, size.Number);
            long last = Clamp(stop.Number, size.Number);
            return Dimension.Of(System.Math.Max(0, (last - first + step.Value - 1) / step.Value));
        }

        // A dimension with a symbol is at least 1: one element can be left out at either end.
        long front = start.Number;
        Dimension end = stop == size ? size : stop.IsNumber && stop.Number == -1 ? size - Dimension.One : Dimension.Unknown;
        return step == 1 && ((front == 0) || (front == 1 && end == size)) ? end - Dimension.Of(front) : Dimension.Unknown;
    }

    private static long Clamp(long place, long size) => System.Math.Min(System.Math.Max(place < 0 ? place + size : place, 0), size);

    private static Symbolic WithAxis(CallContext c, string name, System.Func<SymbolicTensor, int, Symbolic> rule)
    {
        SymbolicTensor x = c.Input;
        return x.Shape is not { } shape ? ViewOperations.Unknown(c, x)
            : shape.Count == 0 ? c.RefuseShape($"`{c.Name}` needs a tensor with dimensions")
            : Axes.Resolve(c, name, c.Arguments.Constant(name), shape.Count) is { } axis ? rule(x, axis)
            : SymbolicUnknown.Value;
    }

    private static Symbolic Select(CallContext c) => WithAxis(c, "dim", (x, axis) =>
        CheckIndex(c, c.Arguments.Integer("index", 0), x.Shape!.Value[axis], axis, x) ?? CallContext.View(x, Axes.Without(x.Shape!.Value, axis), Axes.Without(Strides.Of(x), axis)));

    private static Symbolic Narrow(CallContext c) => WithAxis(c, "dim", (x, axis) =>
    {
        Dimension start = c.Arguments.Integer("start", 0);
        Dimension length = c.Arguments.Integer("length", 0);
        Dimension size = x.Shape!.Value[axis];
        if (start.IsNumber && length.IsNumber && size.IsNumber)
        {
            long from = start.Number < 0 ? start.Number + size.Number : start.Number;
            if (from < 0 || length.Number < 0 || from + length.Number > size.Number)
            {
                return c.RefuseShape($"`{c.Name}` takes {length} elements from {start}, but dimension {axis} of {x} has {size}", "length");
            }
        }

        return CallContext.View(x, Axes.With(x.Shape!.Value, axis, length), Strides.Of(x));
    });

    private static Symbolic SliceAxis(CallContext c, SymbolicTensor x, int axis, SymbolicSlice slice) =>
        slice.Step is SymbolicInteger { Value: { IsNumber: true, Number: < 1 } step }
            ? c.RefuseArgument($"`{c.Name}` needs a step of at least 1, gets {step}", "step")
            : CallContext.View(x, Axes.With(x.Shape!.Value, axis, LengthOf(slice, x.Shape!.Value[axis])), Axes.With(Strides.Of(x), axis, Strides.Of(x)[axis] * StepOf(slice)));

    private static Symbolic IndexSelect(CallContext c) => WithAxis(c, "dim", (x, axis) =>
    {
        SymbolicTensor index = c.Tensor(c.Arguments.Get("index"));
        if (index.Rank is > 1)
        {
            return c.RefuseShape($"`{c.Name}` needs an index of one dimension, gets {index}", "index");
        }

        SymbolicTensor result = c.Like(x, index.Shape is { } shape ? Axes.With(x.Shape!.Value, axis, shape.Count == 0 ? Dimension.One : shape[0]) : null);
        if (result.Differentiable)
        {
            c.Save(index);
        }

        return result;
    });

    private static Symbolic Gather(CallContext c) => WithAxis(c, "dim", (x, _) =>
    {
        SymbolicTensor index = c.Tensor(c.Arguments.Get("index"));
        if (index.Rank is { } rank && rank > 0 && rank != x.Rank)
        {
            return c.RefuseShape($"`{c.Name}` needs an index with the {x.Rank} dimensions of {x}, gets {index}", "index");
        }

        SymbolicTensor result = c.Like(x, index.Shape);
        if (result.Differentiable)
        {
            c.Save(index);
        }

        return result;
    });

    private static Symbolic OneHot(CallContext c)
    {
        SymbolicTensor x = c.Input;
        Dimension classes = c.Arguments.Integer("num_classes", -1);
        Dimension last = classes.IsNumber && classes.Number < 0 ? Dimension.Unknown : classes;
        return x.Type is { } type && type != DType.Int64
            ? c.RefuseArgument($"`{c.Name}` needs classes of int64, gets {ElementTypes.NameOf(type)} {x}")
            : c.New(x.Shape is { } shape ? shape.Append(last) : null, DType.Int64, differentiable: false);
    }

    private static Symbolic TopK(CallContext c)
    {
        SymbolicTensor x = c.Input;
        Dimension count = c.Arguments.Integer("k", 1);
        if (x.Shape is not { } shape || x.Type == DType.Bool)
        {
            return c.Unknown();
        }

        if (Axes.Resolve(c, "dim", c.Arguments.Constant("dim", -1), shape.Count) is not { } axis)
        {
            return SymbolicUnknown.Value;
        }

        if (shape.Count == 0)
        {
            return count.IsNumber && count.Number is 0 or 1 ? WithIndices(c, x, shape) : c.Unknown();
        }

        return count.IsNumber && shape[axis].IsNumber && (count.Number > shape[axis].Number || count.Number < 0)
            ? c.RefuseArgument($"`{c.Name}` takes {count} of the {shape[axis]} elements of dimension {axis} of {x}", "k")
            : WithIndices(c, x, Axes.With(shape, axis, count));
    }
}
