using System;
using System.Collections.Generic;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>One layer of the catalogue.</summary>
/// <param name="Own">Names its parameters and buffers, in the module's own order, and checks the factory's arguments.</param>
/// <param name="Forward">Gives the result of its forward and says what it costs.</param>
internal sealed record LayerRule(Action<LayerOwner> Own, Func<CallContext, Symbolic> Forward)
{
    /// <summary>A layer without parameters and buffers.</summary>
    public static LayerRule Stateless(Func<CallContext, Symbolic> forward) => new(static _ => { }, forward);
}

/// <summary>The layers that planning knows, by <see cref="LayerDescription.Kind"/>: one class for each family.</summary>
internal static class LayerCatalogue
{
    /// <summary>The kind of a bare parameter.</summary>
    public const string Parameter = "parameter";

    /// <summary>The kind of an interpreted module.</summary>
    public const string Module = "module";

    private static readonly Dictionary<string, LayerRule> Rules = Build();

    /// <summary>The kinds of all layers.</summary>
    public static IEnumerable<string> Kinds => Rules.Keys;

    /// <summary>The rule of a kind; null where there is none.</summary>
    public static LayerRule? Find(string kind) => Rules.TryGetValue(kind, out LayerRule? rule) ? rule : null;

    private static Dictionary<string, LayerRule> Build()
    {
        var rules = new Dictionary<string, LayerRule>(StringComparer.Ordinal);

        // The factory and the type that it makes have the same name in two places.
        void Add(string name, LayerRule rule)
        {
            rules["TorchSharp.torch.nn." + name] = rule;
            rules["TorchSharp.Modules." + name] = rule;
        }

        rules[Parameter] = ContainerLayers.Parameter;
        ContainerLayers.AddTo(Add);
        ActivationLayers.AddTo(Add);
        LinearLayers.AddTo(Add);
        NormalisationLayers.AddTo(Add);
        SpatialLayers.AddTo(Add);
        RecurrentLayers.AddTo(Add);
        AttentionLayers.AddTo(Add);
        LossLayers.AddTo(Add);
        return rules;
    }
}
