using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Operations that may change the tensors that they are given.</summary>
public static class InPlaceOperations
{
    /// <summary>Whether some of a model's operations may work in place; what is not understood may.</summary>
    /// <param name="model">The model.</param>
    /// <param name="operations">The operations, by their indices.</param>
    public static bool MayBeAmong(ModelDescription model, IEnumerable<int> operations) => operations.Any(index =>
        model.Operations[index] is var operation
        && ((operation.Statement >= 0 && !model.Statements[operation.Statement].Pieces) || MayBe(operation, model.Layers)));

    private static bool MayBe(Operation operation, EquatableArray<LayerDescription> layers) =>
        !IsUnderstood(operation.Name)
        || operation.Name.EndsWith("_", StringComparison.Ordinal)
        || IsInPlace(operation.Arguments)
        || (operation.Layer >= 0 && MayBe(layers[operation.Layer]));

    private static bool MayBe(LayerDescription layer) =>
        IsInPlace(layer.Arguments)
        || (layer.Body is { } body
            ? body.Operations.Any(inner => MayBe(inner, body.Layers)) || body.Layers.Any(MayBe)
            : layer.Kind is not "parameter" && !layer.Kind.StartsWith("TorchSharp.", StringComparison.Ordinal));

    private static bool IsUnderstood(string name) =>
        name is "layer" or "read" or "tuple" or "item"
        || name.StartsWith("operator ", StringComparison.Ordinal)
        || name.StartsWith("Tensor.", StringComparison.Ordinal)
        || name.StartsWith("TorchSharp.", StringComparison.Ordinal);

    private static bool IsInPlace(EquatableArray<Argument> arguments) =>
        arguments.Any(argument => argument.Name == "inplace" && argument is not { Kind: ArgumentKind.Boolean, Integer: 0 });
}
