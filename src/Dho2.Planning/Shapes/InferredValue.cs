using System.Linq;

namespace Dho2.Planning;

/// <summary>What inference knows of one value of <c>forward</c>.</summary>
/// <param name="Kind">Its form.</param>
/// <param name="Shape">A tensor's dimensions; null where not even their number is known.</param>
/// <param name="DType">A tensor's element type; null where unknown.</param>
/// <param name="Size">An integer's value.</param>
/// <param name="Items">The elements of a tuple, array or list.</param>
/// <param name="Differentiable">Whether it, or an element of it, may carry a gradient: it depends on a parameter and is not known to be without one.</param>
public sealed record InferredValue(
    InferredKind Kind,
    EquatableArray<Dimension>? Shape = null,
    DType? DType = null,
    Dimension Size = default,
    EquatableArray<InferredValue> Items = default,
    bool Differentiable = false)
{
    /// <summary>A value of which nothing is known.</summary>
    public static InferredValue Unknown { get; } = new(InferredKind.Unknown, Differentiable: true);

    /// <summary>Shape and element type where both are known; single dimensions may still be unknown.</summary>
    public TensorType? Type => Kind == InferredKind.Tensor && Shape is { } shape && DType is { } dtype ? new(shape, dtype) : null;

    /// <inheritdoc/>
    public override string ToString() => Kind switch
    {
        InferredKind.Tensor => (DType is { } dtype ? ElementTypes.NameOf(dtype) + " " : "") + (Shape is { } shape ? ShapeText.Of(shape) : "tensor of unknown shape"),
        InferredKind.Integer => Size.ToString(),
        InferredKind.List => "(" + string.Join(", ", Items.Select(i => i.ToString())) + ")",
        InferredKind.Unknown => "unknown",
        _ => Kind.ToString().ToLowerInvariant(),
    };
}

/// <summary>The form of an <see cref="InferredValue"/>.</summary>
public enum InferredKind
{
    /// <summary>Nothing is known.</summary>
    Unknown,

    /// <summary>A tensor.</summary>
    Tensor,

    /// <summary>An integer, possibly with symbols.</summary>
    Integer,

    /// <summary>A floating-point number.</summary>
    Number,

    /// <summary>A truth value.</summary>
    Boolean,

    /// <summary>A text or enum member.</summary>
    Text,

    /// <summary>The null reference.</summary>
    Null,

    /// <summary>A tuple, array or list.</summary>
    List,
}
