namespace Dho2.Planning;

/// <summary>The shape and element type of a tensor at compile time.</summary>
/// <param name="Shape">The dimensions, batch included.</param>
/// <param name="DType">The element type.</param>
public sealed record TensorType(EquatableArray<Dimension> Shape, DType DType);
