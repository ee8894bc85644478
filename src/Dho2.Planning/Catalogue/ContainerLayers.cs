using System;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Containers of layers, bare parameters, and layers that only change the shape.</summary>
internal static class ContainerLayers
{
    /// <summary>A bare parameter.</summary>
    public static LayerRule Parameter { get; } = new(
        static owner =>
        {
            if (owner.Settings.Constants("shape") is { } shape)
            {
                owner.Parameter("", shape.Select(s => (long?)s).ToArray());
            }
            else
            {
                owner.Unknown();
            }
        },
        static c => c.Unknown());

    public static void AddTo(Action<string, LayerRule> add)
    {
        add("Sequential", new LayerRule(OwnChildren, Sequence));
        add("ModuleList", new LayerRule(OwnChildren, static c => c.Unknown()));
        add("ModuleDict", new LayerRule(OwnChildren, static c => c.Unknown()));
        add("Identity", LayerRule.Stateless(static c => c.Input));
        add("Flatten", LayerRule.Stateless(static c => ViewOperations.Flatten(
            c, c.Input, c.Settings.Constant("start_dim", 1), c.Settings.Constant("end_dim", -1))));
        add("Unflatten", LayerRule.Stateless(static c => ViewOperations.Unflatten(
            c, c.Input, c.Settings.Constant("dim"), c.Settings.Integers("unflattened_size"))));
    }

    private static void OwnChildren(LayerOwner owner)
    {
        if (!owner.HasBody)
        {
            owner.Unknown();
        }

        foreach (LayerInstance child in owner.Children)
        {
            owner.Child(child);
        }
    }

    private static Symbolic Sequence(CallContext c)
    {
        if (c.Layer!.Description.Body is null)
        {
            return c.Unknown();
        }

        Symbolic value = c.LayerArgument(0);
        foreach (LayerInstance child in c.Layer.Children)
        {
            value = c.Call(child, [value]);
        }

        return value;
    }
}
