using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Planning.Inference;

namespace Dho2.Planning;

/// <summary>Executes a model on shapes instead of numbers.</summary>
public static class ShapeInference
{
    /// <summary>The symbol of the batch dimension.</summary>
    public const string Batch = "N";

    /// <summary>
    /// Finds shapes and costs. What is not in the catalogue is unknown, and so is what follows from it; a problem is
    /// reported only where an operation provably refuses what it gets.
    /// </summary>
    /// <param name="model">The model; its indices must be consistent.</param>
    /// <param name="cancellation">Ends the work early.</param>
    public static InferenceResult Infer(ModelDescription model, CancellationToken cancellation = default) =>
        new ModelInterpreter(model, cancellation).Run();

    /// <summary>The type of an input or target, batch included; null where its shape is not stated.</summary>
    /// <param name="input">The input.</param>
    /// <param name="elements">The element type of all floating-point values.</param>
    internal static TensorType? TypeOf(InputDescription input, DType elements)
    {
        if (input.Dimensions is not { } dimensions)
        {
            return null;
        }

        IEnumerable<Dimension> shape = dimensions.Select(d => d.Symbol is { } symbol ? Dimension.Of(symbol) : Dimension.Of(d.Size));
        return new(new[] { Dimension.Of(Batch) }.Concat(shape).ToEquatableArray(), ElementTypes.IsFloating(input.DType) ? elements : input.DType);
    }

    /// <summary>Finds shapes for inputs of any shape, element type and gradient.</summary>
    internal static InferenceResult Infer(ModelDescription model, IReadOnlyList<TensorType> inputs) =>
        new ModelInterpreter(model, CancellationToken.None, inputs).Run();
}
