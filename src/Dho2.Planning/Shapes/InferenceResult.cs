namespace Dho2.Planning;

/// <summary>What inference found out about a model, for any batch: sizes are polynomials in "N" and the inputs' symbols.</summary>
/// <param name="Values">Each value of <c>forward</c>, by its number.</param>
/// <param name="Storages">The memory that each value lies in; views have that of their base. Null for what is no tensor.</param>
/// <param name="Layers">Each layer of the model.</param>
/// <param name="Operations">Each operation of <c>forward</c>.</param>
/// <param name="Loss">The operations of <c>Loss</c> together; null where its inside is not known.</param>
/// <param name="Problems">What provably cannot work, in evaluation order.</param>
public sealed record InferenceResult(
    EquatableArray<InferredValue> Values,
    EquatableArray<TensorMemory?> Storages,
    EquatableArray<LayerFacts> Layers,
    EquatableArray<OperationFacts> Operations,
    OperationFacts? Loss,
    EquatableArray<PlanProblem> Problems);

/// <summary>What a layer owns, in the order of the module's own enumeration; names begin with the layer's.</summary>
/// <param name="Parameters">Its parameters; null where unknown.</param>
/// <param name="Buffers">Its buffers; null where unknown.</param>
public sealed record LayerFacts(EquatableArray<ParameterPlan>? Parameters, EquatableArray<ParameterPlan>? Buffers);

/// <summary>What one operation costs.</summary>
/// <param name="Work">Floating-point operations of its forward; unknown where not known.</param>
/// <param name="Saved">What automatic differentiation keeps for the backward; null where unknown.</param>
/// <param name="Created">The tensors that it makes, result included; an unknown size where not all are known.</param>
/// <param name="SecondSaved">Bytes that a backward with a graph keeps in addition, for a second backward; unknown where not known.</param>
/// <param name="TangentsSaved">Bytes that the graph of its tangents keeps in addition, where it is differentiated; unknown where not known.</param>
/// <param name="Steps">What going through its second derivative needs, operation by operation inside it.</param>
/// <param name="HasSecondDerivative">Whether it can be differentiated twice; null where unknown.</param>
public sealed record OperationFacts(
    Dimension Work,
    EquatableArray<TensorMemory>? Saved,
    EquatableArray<TensorMemory> Created,
    Dimension SecondSaved,
    Dimension TangentsSaved,
    EquatableArray<SweepStep> Steps,
    bool? HasSecondDerivative)
{
    /// <summary>An operation of which nothing is known.</summary>
    public static OperationFacts Unknown { get; } = new(
        Dimension.Unknown, null, new[] { TensorMemory.Unknown }.ToEquatableArray(), Dimension.Unknown, Dimension.Unknown, new[] { SweepStep.Unknown }.ToEquatableArray(), null);
}

/// <summary>Memory of a tensor. Tensors with the same number share their memory: it counts once.</summary>
/// <param name="Storage">The number of the memory.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Differentiable">Whether there is a derivative with respect to what lies in it.</param>
public readonly record struct TensorMemory(int Storage, Dimension Bytes, bool Differentiable)
{
    /// <summary>Memory of which nothing is known.</summary>
    public static TensorMemory Unknown { get; } = new(-1, Dimension.Unknown, true);
}

/// <summary>One operation in a sweep over graphs of second order.</summary>
/// <param name="Uses">The memory of its operands, once for each.</param>
/// <param name="Made">What it makes, its result last.</param>
/// <param name="Shared">What it keeps and takes as it is: derivatives of several operations with respect to that add up where they wait.</param>
/// <param name="Apart">Bytes of what it keeps and takes through a view of its own, where its derivatives wait by themselves.</param>
/// <param name="Momentary">Bytes that its formula needs for a moment, the derivatives with respect to what it keeps included, beside two gradients as large as its result.</param>
/// <param name="KeepsGradient">Whether a graph of its backward keeps the gradient of its result.</param>
/// <param name="Passes">The memory of operands whose gradient is the result's own.</param>
public readonly record struct SweepStep(
    EquatableArray<int> Uses,
    EquatableArray<TensorMemory> Made,
    EquatableArray<TensorMemory> Shared,
    Dimension Apart,
    Dimension Momentary,
    bool KeepsGradient,
    EquatableArray<int> Passes)
{
    /// <summary>An operation of which nothing is known.</summary>
    public static SweepStep Unknown { get; } = new(default, new[] { TensorMemory.Unknown }.ToEquatableArray(), default, Dimension.Unknown, Dimension.Unknown, false, default);

    /// <summary>The size of its result.</summary>
    public Dimension Result => Made.Count > 0 ? Made[Made.Count - 1].Bytes : Dimension.Of(0);
}
