using System;
using System.Collections.Generic;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>One layer of the catalogue.</summary>
/// <param name="Own">Names its parameters and buffers, in the module's own order, and checks the factory's arguments.</param>
/// <param name="Forward">Gives the result of its forward and says what it costs.</param>
internal sealed record LayerRule(Action<LayerOwner> Own, Func<CallContext, Symbolic> Forward);

/// <summary>The layers that planning knows, by <see cref="LayerDescription.Kind"/>.</summary>
internal static class LayerCatalogue
{
    /// <summary>The kind of a bare parameter.</summary>
    public const string Parameter = "parameter";

    /// <summary>The kind of an interpreted module.</summary>
    public const string Module = "module";

    private static readonly Dictionary<string, LayerRule> Rules = Build();

    /// <summary>The rule of a kind; null where there is none.</summary>
    public static LayerRule? Find(string kind) => Rules.TryGetValue(kind, out LayerRule? rule) ? rule : null;

    private static Dictionary<string, LayerRule> Build() => new(StringComparer.Ordinal);
}
