using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// The layers and operations whose derivatives libtorch can differentiate a third time and be right. It is wrong, without
/// a word, for normalisations: the second backward of batch and layer normalisation takes saved statistics for constants. So what is
/// not listed, and tested in the runtime's tests, is taken to be wrong.
/// </summary>
internal static class ThirdDerivatives
{
    // By the last part of their names.
    private static readonly HashSet<string> Layers = new(StringComparer.Ordinal)
    {
        "Linear", "Conv1d", "Conv2d", "Embedding", "Identity", "Flatten", "Dropout",
        "ReLU", "LeakyReLU", "Tanh", "Sigmoid", "SiLU", "GELU", "Softplus", "ELU", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d",
    };

    private static readonly HashSet<string> Functions = new(StringComparer.Ordinal)
    {
        "linear", "conv2d", "relu", "leaky_relu", "tanh", "sigmoid", "silu", "gelu", "softplus", "elu", "exp", "sin", "cos", "square", "pow",
        "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "softmax", "log_softmax", "matmul", "mm", "bmm", "sum", "mean",
        "operator +", "operator -", "operator *", "operator /", "add", "sub", "mul", "div",
    };

    // These move numbers, or make none.
    private static readonly HashSet<string> Structure = new(StringComparer.Ordinal)
    {
        "flatten", "view", "reshape", "permute", "transpose", "t", "squeeze", "unsqueeze", "narrow", "select", "chunk", "split", "cat", "stack",
        "contiguous", "alias", "clone", "expand", "shape", "size", "read", "tuple", "item",
    };

    /// <summary>The names of what computes something and is listed.</summary>
    public static IEnumerable<string> Names => Layers.Concat(Functions);

    /// <summary>Whether all of some operations, given by their numbers, are listed.</summary>
    public static bool AreKnown(ModelDescription model, IEnumerable<int> operations) =>
        operations.All(o => IsKnown(model.Operations[o], model.Layers));

    private static bool IsKnown(Operation operation, EquatableArray<LayerDescription> layers)
    {
        if (operation.Layer >= 0 && operation.Name == "layer")
        {
            return IsKnown(layers[operation.Layer]);
        }

        string name = OperationNames.Short(operation.Name);
        return Functions.Contains(name) || Structure.Contains(name);
    }

    // A module's own operations say what it does with its layers; a container without operations uses all of them.
    private static bool IsKnown(LayerDescription layer) => layer.Body is { } body
        ? body.Operations.Count > 0 ? body.Operations.All(o => IsKnown(o, body.Layers)) : layer.Kind.EndsWith(".Sequential", StringComparison.Ordinal) && body.Layers.All(IsKnown)
        : layer.Kind == "parameter" || Layers.Contains(OperationNames.Short(layer.Kind));
}
