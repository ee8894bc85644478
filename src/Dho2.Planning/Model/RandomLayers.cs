using System;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Layers whose random numbers are not the runtime's.</summary>
public static class RandomLayers
{
    /// <summary>Whether a layer of a stage draws from the process's default generator: everything that drops out but a plain dropout layer.</summary>
    /// <param name="layer">The layer.</param>
    public static bool DrawsFromDefaultGenerator(LayerDescription layer) =>
        layer.Kind is not ("TorchSharp.torch.nn.Dropout" or "TorchSharp.Modules.Dropout") && (IsDropout(layer) || DropsOutInside(layer) || HasRandomInside(layer));

    /// <summary>Whether one of TorchSharp's composite layers, such as attention or recurrent ones, drops out inside.</summary>
    /// <param name="layer">The layer.</param>
    public static bool DropsOutInside(LayerDescription layer) =>
        IsTorch(layer) && layer.Arguments.Any(a => a.Name is "dropout" && a is { Kind: ArgumentKind.Number, Number: > 0 });

    /// <summary>Whether it is one of TorchSharp's dropout layers.</summary>
    /// <param name="layer">The layer.</param>
    public static bool IsDropout(LayerDescription layer) => IsTorch(layer) && layer.Kind.Contains("Dropout");

    private static bool HasRandomInside(LayerDescription layer) =>
        layer.Body is { } body && body.Layers.Any(inner => IsDropout(inner) || DropsOutInside(inner) || HasRandomInside(inner));

    private static bool IsTorch(LayerDescription layer) => layer.Kind.StartsWith("TorchSharp.", StringComparison.Ordinal);
}
