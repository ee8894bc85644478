using System;

namespace Dho2.Planning.Catalogue;

/// <summary>Convolutions and pooling as modules.</summary>
internal static class SpatialLayers
{
    public static void AddTo(Action<string, LayerRule> add)
    {
        for (int d = 1; d <= 3; d++)
        {
            int dimensions = d;
            add($"Conv{d}d", ConvolutionOperations.Layer(dimensions, transposed: false));
            add($"ConvTranspose{d}d", ConvolutionOperations.Layer(dimensions, transposed: true));
            add($"MaxPool{d}d", LayerRule.Stateless(c => PoolingOperations.Pool(c, c.Settings, dimensions, isMax: true)));
            add($"AvgPool{d}d", LayerRule.Stateless(c => PoolingOperations.Pool(c, c.Settings, dimensions, isMax: false)));
            add($"AdaptiveAvgPool{d}d", LayerRule.Stateless(c => PoolingOperations.Adaptive(c, c.Settings, dimensions, isMax: false)));
        }

        add("AdaptiveMaxPool1d", LayerRule.Stateless(static c => PoolingOperations.Adaptive(c, c.Settings, 1, isMax: true)));
        add("AdaptiveMaxPool2d", LayerRule.Stateless(static c => PoolingOperations.Adaptive(c, c.Settings, 2, isMax: true)));
    }
}
