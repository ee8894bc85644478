using System.Collections.Generic;
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

    /// <summary>Finds shapes for inputs of any shape, element type and gradient.</summary>
    internal static InferenceResult Infer(ModelDescription model, IReadOnlyList<TensorType> inputs) =>
        new ModelInterpreter(model, CancellationToken.None, inputs).Run();
}
