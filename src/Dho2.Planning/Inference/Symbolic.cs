using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Inference;

/// <summary>What is known of a value while a model is executed on shapes instead of numbers.</summary>
internal abstract record Symbolic
{
    /// <summary>Whether it, or an element of it, may carry a gradient.</summary>
    public abstract bool Differentiable { get; }

    /// <summary>What the rest of planning may see of it.</summary>
    public abstract InferredValue ToInferred();

    /// <summary>A constant argument.</summary>
    public static Symbolic Of(Argument argument, System.Func<int, Symbolic> valueOf) => argument.Kind switch
    {
        ArgumentKind.Value => valueOf(argument.Value),
        ArgumentKind.Integer => new SymbolicInteger(Dimension.Of(argument.Integer)),
        ArgumentKind.Number => new SymbolicNumber(argument.Number),
        ArgumentKind.Boolean => new SymbolicBoolean(argument.Integer != 0),
        ArgumentKind.Text => new SymbolicText(argument.Text),
        ArgumentKind.Null => SymbolicNull.Instance,
        ArgumentKind.List when argument.Items is { Count: 3 } items && items[0].Name == "start" =>
            new SymbolicSlice(Of(items[0], valueOf), Of(items[1], valueOf), Of(items[2], valueOf)),
        ArgumentKind.List => new SymbolicList(argument.Items.Select(i => Of(i, valueOf)).ToArray()),
        _ => SymbolicUnknown.Constant,
    };
}

/// <summary>A tensor.</summary>
/// <param name="Shape">Its dimensions; null where not even their number is known.</param>
/// <param name="Type">Its element type; null where unknown.</param>
/// <param name="RequiresGradient">Whether it carries a gradient if its element type can.</param>
/// <param name="Storage">The number of the memory it lies in; views have that of their base.</param>
internal sealed record SymbolicTensor(EquatableArray<Dimension>? Shape, DType? Type, bool RequiresGradient, int Storage) : Symbolic
{
    /// <summary>How far apart neighbours along each dimension lie in memory; null where they lie in order, or nothing is known of it.</summary>
    public EquatableArray<Dimension>? Strides { get; init; }

    public override bool Differentiable => RequiresGradient && (Type is null || ElementTypes.IsFloating(Type.Value));

    /// <summary>The number of dimensions; null where unknown.</summary>
    public int? Rank => Shape?.Count;

    /// <summary>The number of elements; unknown where a dimension is.</summary>
    public Dimension Count => Shape is { } shape ? TensorBytes.Count(shape) : Dimension.Unknown;

    /// <summary>Its size; unknown where shape or element type is.</summary>
    public Dimension Bytes => Type is { } type ? Count * Dimension.Of(ElementTypes.SizeOf(type)) : Dimension.Unknown;

    public override InferredValue ToInferred() => new(InferredKind.Tensor, Shape, Type, Differentiable: Differentiable);

    public override string ToString() => Shape is { } shape ? ShapeText.Of(shape) : "a tensor of unknown shape";
}

/// <summary>An integer, possibly with symbols.</summary>
internal sealed record SymbolicInteger(Dimension Value) : Symbolic
{
    public override bool Differentiable => false;

    public override InferredValue ToInferred() => new(InferredKind.Integer, Size: Value);
}

/// <summary>A floating-point number; null where unknown.</summary>
internal sealed record SymbolicNumber(double? Value) : Symbolic
{
    public override bool Differentiable => false;

    public override InferredValue ToInferred() => new(InferredKind.Number);
}

/// <summary>A truth value; null where unknown.</summary>
internal sealed record SymbolicBoolean(bool? Value) : Symbolic
{
    public override bool Differentiable => false;

    public override InferredValue ToInferred() => new(InferredKind.Boolean);
}

/// <summary>A text or the name of an enum member; null where unknown.</summary>
internal sealed record SymbolicText(string? Value) : Symbolic
{
    public override bool Differentiable => false;

    public override InferredValue ToInferred() => new(InferredKind.Text);
}

/// <summary>The null reference, or an argument that is not given.</summary>
internal sealed record SymbolicNull : Symbolic
{
    public static SymbolicNull Instance { get; } = new();

    public override bool Differentiable => false;

    public override InferredValue ToInferred() => new(InferredKind.Null);
}

/// <summary>A tuple, array or list.</summary>
internal sealed record SymbolicList(IReadOnlyList<Symbolic> Items) : Symbolic
{
    public override bool Differentiable => Items.Any(i => i.Differentiable);

    public override InferredValue ToInferred() =>
        new(InferredKind.List, Items: Items.Select(i => i.ToInferred()).ToEquatableArray(), Differentiable: Differentiable);
}

/// <summary>Something of which nothing is known but, perhaps, that it carries no gradient.</summary>
internal sealed record SymbolicUnknown(bool MayCarryGradient) : Symbolic
{
    public static SymbolicUnknown Value { get; } = new(true);

    public static SymbolicUnknown Constant { get; } = new(false);

    public override bool Differentiable => MayCarryGradient;

    public override InferredValue ToInferred() => InferredValue.Unknown with { Differentiable = MayCarryGradient };
}

/// <summary>A range of an indexer; an end is null where it is open.</summary>
internal sealed record SymbolicSlice(Symbolic Start, Symbolic Stop, Symbolic Step) : Symbolic
{
    public override bool Differentiable => false;

    public override InferredValue ToInferred() => InferredValue.Unknown with { Differentiable = false };
}
