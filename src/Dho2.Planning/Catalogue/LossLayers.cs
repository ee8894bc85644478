using System;

namespace Dho2.Planning.Catalogue;

/// <summary>Losses as modules.</summary>
internal static class LossLayers
{
    public static void AddTo(Action<string, LayerRule> add)
    {
        add("CrossEntropyLoss", LayerRule.Stateless(static c => LossOperations.CrossEntropy(c, c.Settings, fromLogits: true)));
        add("NLLLoss", LayerRule.Stateless(static c => LossOperations.CrossEntropy(c, c.Settings, fromLogits: false)));
        foreach (string name in new[] { "MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss", "KLDivLoss" })
        {
            add(name, LayerRule.Stateless(static c => LossOperations.Pointwise(c, c.Settings)));
        }
    }
}
