using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Operations that put tensors together or take them apart along a dimension.</summary>
internal static class JoinOperations
{
    private const int MaxParts = 100_000;

    public static void AddTo(RuleTable table)
    {
        table.Add("cat", static c => Concatenate(c, Tensors(c), c.Arguments.Constant("dim", 0)));
        table.Add("concat", static c => Concatenate(c, Tensors(c), c.Arguments.Constant("dim", 0)));
        table.Add("stack", Stack);
        table.Add("hstack", static c => Tensors(c) is { Count: > 0 } t && t.All(x => x.Rank is >= 1) ? Concatenate(c, t, t[0].Rank == 1 ? 0 : 1) : c.Unknown());
        table.Add("vstack", static c => Tensors(c) is { Count: > 0 } t && t.All(x => x.Rank is >= 2) ? Concatenate(c, t, 0) : c.Unknown());
        table.Add("chunk", static c => Chunk(c));
        table.Add("split", Split);
        table.Add("tensor_split", TensorSplit);
        table.Add("unbind", Unbind);
        table.Add("repeat", static c => Repeat(c, c.Arguments.Integers("sizes")));
        table.Add("tile", static c => Repeat(c, c.Arguments.Integers("reps", "dims")));
    }

    private static IReadOnlyList<SymbolicTensor>? Tensors(CallContext c) =>
        c.Arguments.Get("tensors") is SymbolicList list ? list.Items.Select(c.Tensor).ToArray() : null;

    private static Symbolic Concatenate(CallContext c, IReadOnlyList<SymbolicTensor>? tensors, long? dim)
    {
        if (tensors is null || tensors.Any(t => t.Shape is null))
        {
            return c.Unknown();
        }

        if (tensors.Count == 0)
        {
            return c.RefuseArgument($"`{c.Name}` needs at least one tensor", "tensors");
        }

        EquatableArray<Dimension> shape = tensors[0].Shape!.Value;
        if (tensors.Count == 1)
        {
            return tensors[0];
        }

        if (shape.Count == 0)
        {
            return c.RefuseShape($"`{c.Name}` cannot join tensors without dimensions", "tensors");
        }

        if (Axes.Resolve(c, "dim", dim, shape.Count) is not { } axis)
        {
            return SymbolicUnknown.Value;
        }

        foreach (SymbolicTensor other in tensors.Skip(1))
        {
            EquatableArray<Dimension> second = other.Shape!.Value;

            // An empty tensor of one dimension is skipped by torch, whatever the others are.
            if (second.Count != shape.Count && (second.Count == 1 || tensors[0].Rank == 1))
            {
                return c.Unknown();
            }

            int conflict = second.Count != shape.Count ? -1
                : Enumerable.Range(0, shape.Count).FirstOrDefault(i => i != axis && shape[i].CertainlyDiffers(second[i]));
            if (second.Count != shape.Count || (conflict != axis && shape[conflict].CertainlyDiffers(second[conflict])))
            {
                return c.RefuseShape(
                    $"`{c.Name}` cannot join {ShapeText.Of(shape)} and {ShapeText.Of(second)} along dimension {axis}: all others must agree", "tensors");
            }

            shape = shape.Select((d, i) => i == axis ? d + second[i] : d.IsKnown ? d : second[i]).ToEquatableArray();
        }

        return c.New(shape, Common(tensors), tensors.Any(t => t.Differentiable));
    }

    private static Symbolic Stack(CallContext c)
    {
        if (Tensors(c) is not { } tensors || tensors.Any(t => t.Shape is null))
        {
            return c.Unknown();
        }

        if (tensors.Count == 0)
        {
            return c.RefuseArgument($"`{c.Name}` needs at least one tensor", "tensors");
        }

        EquatableArray<Dimension> shape = tensors[0].Shape!.Value;
        SymbolicTensor? odd = tensors.FirstOrDefault(t =>
            t.Rank != shape.Count || shape.Zip(t.Shape!.Value, static (a, b) => a.CertainlyDiffers(b)).Any(differs => differs));
        if (odd is not null)
        {
            return c.RefuseShape($"`{c.Name}` needs equal shapes, gets {ShapeText.Of(shape)} and {odd}", "tensors");
        }

        return Axes.Resolve(c, "dim", c.Arguments.Constant("dim", 0), shape.Count + 1) is { } axis
            ? c.New(Axes.Insert(shape, axis, Dimension.Of(tensors.Count)), Common(tensors), tensors.Any(t => t.Differentiable))
            : SymbolicUnknown.Value;
    }

    // Joined tensors are promoted pairwise, whatever their number of dimensions.
    private static DType? Common(IReadOnlyList<SymbolicTensor> tensors) =>
        tensors.All(t => t.Type is not null) ? tensors.Select(t => t.Type).Aggregate(TypePromotion.Join) : null;

    private static Symbolic Chunk(CallContext c)
    {
        if (!TryAxis(c, "dim", 0, out SymbolicTensor x, out int axis) || c.Arguments.Constant("chunks") is not { } chunks || !x.Shape!.Value[axis].IsNumber)
        {
            return c.Unknown();
        }

        long size = x.Shape!.Value[axis].Number;
        if (chunks < 1)
        {
            return c.RefuseArgument($"`{c.Name}` into {chunks} parts; at least 1 is needed", "chunks");
        }

        long each = System.Math.Max(1, (size + chunks - 1) / chunks);
        return Equal(size, each) is { } sizes ? Parts(c, x, axis, sizes) : c.Unknown();
    }

    private static Symbolic Split(CallContext c)
    {
        string name = c.Arguments.Has("sizes") ? "sizes" : c.Arguments.Has("split_size_or_sections") ? "split_size_or_sections" : "size";
        if (!TryAxis(c, "dim", 0, out SymbolicTensor x, out int axis) || !x.Shape!.Value[axis].IsNumber)
        {
            return c.Unknown();
        }

        long size = x.Shape!.Value[axis].Number;
        Symbolic argument = c.Arguments.Get(name);
        if (argument is SymbolicInteger { Value: { IsNumber: true, Number: var each } })
        {
            return each < 1
                ? c.RefuseArgument($"`{c.Name}` into parts of {each}; at least 1 is needed", name)
                : Equal(size, each) is { } equal ? Parts(c, x, axis, equal) : c.Unknown();
        }

        if (c.Arguments.Constants(name) is not { } sizes)
        {
            return c.Unknown();
        }

        return sizes.Any(s => s < 0) || MemoryModel.Sum(sizes.Select(s => (long?)s)) != size
            ? c.RefuseShape($"`{c.Name}` into {string.Join(" + ", sizes)} does not add up to dimension {axis} of {x}", name)
            : Parts(c, x, axis, sizes);
    }

    private static Symbolic TensorSplit(CallContext c)
    {
        if (!TryAxis(c, "dim", 0, out SymbolicTensor x, out int axis) || !x.Shape!.Value[axis].IsNumber ||
            c.Arguments.Get("size", "indices_or_sections") is not SymbolicInteger { Value: { IsNumber: true, Number: var parts } })
        {
            return c.Unknown();
        }

        long size = x.Shape!.Value[axis].Number;
        return parts > MaxParts ? c.Unknown() : parts < 1
            ? c.RefuseArgument($"`{c.Name}` into {parts} parts; at least 1 is needed", "size")
            : Parts(c, x, axis, Enumerable.Range(0, (int)parts).Select(i => (size / parts) + (i < size % parts ? 1 : 0)).ToArray());
    }

    private static Symbolic Unbind(CallContext c)
    {
        string name = c.Arguments.Has("dimension") ? "dimension" : "dim";
        if (!TryAxis(c, name, 0, out SymbolicTensor x, out int axis) || x.Shape!.Value[axis] is not { IsNumber: true, Number: < MaxParts } size)
        {
            return c.Unknown();
        }

        EquatableArray<Dimension> part = Axes.Without(x.Shape.Value, axis);
        return new SymbolicList(Enumerable.Range(0, (int)size.Number).Select(_ => (Symbolic)CallContext.View(x, part, Axes.Without(Strides.Of(x), axis))).ToArray());
    }

    private static Symbolic Repeat(CallContext c, IReadOnlyList<Dimension>? times)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape || times is null)
        {
            return c.Unknown();
        }

        int missing = times.Count - shape.Count;
        if (missing < 0 && c.Name == "repeat")
        {
            return c.RefuseShape($"`{c.Name}` gets {times.Count} numbers for the {shape.Count} dimensions of {x}", "sizes");
        }

        IEnumerable<Dimension> padded = Enumerable.Repeat(Dimension.One, System.Math.Max(0, missing)).Concat(shape);
        IEnumerable<Dimension> factors = Enumerable.Repeat(Dimension.One, System.Math.Max(0, -missing)).Concat(times);
        return factors.Any(f => f.IsNumber && f.Number < 0)
            ? c.RefuseArgument($"`{c.Name}` cannot repeat a negative number of times", "sizes")
            : c.Like(x, padded.Zip(factors, static (d, f) => d * f));
    }

    private static bool TryAxis(CallContext c, string name, long defaultAxis, out SymbolicTensor x, out int axis)
    {
        x = c.Input;
        axis = -1;
        if (x.Shape is not { Count: > 0 } shape || Axes.Resolve(c, name, c.Arguments.Constant(name, defaultAxis), shape.Count) is not { } resolved)
        {
            return false;
        }

        axis = resolved;
        return true;
    }

    // Nobody writes that many parts, and an empty dimension has rules of its own.
    private static IReadOnlyList<long>? Equal(long size, long each) => (size, (size + each - 1) / each) switch
    {
        (0, _) or (_, > MaxParts) => null,
        (_, var count) => Enumerable.Range(0, (int)count).Select(i => System.Math.Min(each, size - (i * each))).ToArray(),
    };

    private static Symbolic Parts(CallContext c, SymbolicTensor x, int axis, IReadOnlyList<long> sizes) =>
        new SymbolicList(sizes.Select(s => (Symbolic)CallContext.View(x, Axes.With(x.Shape!.Value, axis, Dimension.Of(s)), Strides.Of(x))).ToArray());
}
