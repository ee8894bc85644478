using System;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Batch, layer and group normalisation.</summary>
internal static class NormalisationLayers
{
    public static void AddTo(Action<string, LayerRule> add)
    {
        AddBatchNorm(add, "BatchNorm1d", 2, 3);
        AddBatchNorm(add, "BatchNorm2d", 4, 4);
        AddBatchNorm(add, "BatchNorm3d", 5, 5);
        add("LayerNorm", new LayerRule(OwnLayerNorm, static c => NormalisationOperations.LayerNorm(
            c, c.Settings.Integers("normalized_shape"), WeightOf(c, "elementwise_affine"), null)));
        add("GroupNorm", new LayerRule(OwnGroupNorm, static c => NormalisationOperations.GroupNorm(
            c, c.Settings.Constant("num_groups"), WeightOf(c, "affine"), null, c.Settings.Boolean("affine", true) == false ? null : c.Settings.Integer("num_channels", 0))));
    }

    private static void AddBatchNorm(Action<string, LayerRule> add, string kind, int minRank, int maxRank) =>
        add(kind, new LayerRule(OwnBatchNorm, c => NormalisationOperations.BatchNorm(
            c, kind, ChannelsOf(c), minRank, maxRank, WeightOf(c, "affine"), null)));

    // Without weights and running statistics the number of channels is used nowhere.
    private static Dimension? ChannelsOf(CallContext c) =>
        c.Settings.Boolean("affine", true) == false && c.Settings.Boolean("track_running_stats", true) == false
            ? null
            : c.Settings.Integer("num_features", 0);

    // Only whether there is a weight matters: its size follows from the layer's arguments.
    private static SymbolicTensor? WeightOf(CallContext c, string setting) =>
        c.Settings.Boolean(setting, true) != false ? c.Existing(null, c.Elements, differentiable: true) : null;

    private static void OwnBatchNorm(LayerOwner owner)
    {
        long? features = owner.Settings.Constant("num_features");
        Affine(owner, owner.UnroundedParameter, owner.Settings.Boolean("affine", true), true, features);
        switch (owner.Settings.Boolean("track_running_stats", true))
        {
            case true:
                owner.UnroundedBuffer("running_mean", features);
                owner.UnroundedBuffer("running_var", features);
                owner.Buffer("num_batches_tracked", DType.Int64);
                break;
            case null:
                owner.Unknown();
                break;
        }
    }

    private static void OwnLayerNorm(LayerOwner owner)
    {
        long?[]? shape = owner.Settings.Integers("normalized_shape")?.Select(d => d.IsNumber ? d.Number : (long?)null).ToArray();
        if (shape is null)
        {
            owner.Unknown();
            return;
        }

        Affine(owner, owner.Parameter, owner.Settings.Boolean("elementwise_affine", true), owner.Settings.Boolean("bias", true), shape);
    }

    private static void OwnGroupNorm(LayerOwner owner)
    {
        long? groups = owner.Settings.Constant("num_groups");
        long? channels = owner.Settings.Constant("num_channels");
        if (owner.Settings.Boolean("affine", true) == true && groups is { } g && channels is { } n && (g < 1 || n % g != 0))
        {
            owner.Refuse($"'{owner.Name}' cannot put {n} channels into {g} groups", "num_groups");
            return;
        }

        Affine(owner, owner.Parameter, owner.Settings.Boolean("affine", true), true, channels);
    }

    private static void Affine(LayerOwner owner, Action<string, long?[]> parameter, bool? hasWeight, bool? hasBias, params long?[] shape)
    {
        if (hasWeight is null || hasBias is null)
        {
            owner.Unknown();
        }

        if (hasWeight == true)
        {
            parameter("weight", shape);
            if (hasBias == true)
            {
                parameter("bias", shape);
            }
        }
    }
}
