using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>The rules of stage numbers: every layer has one, and they run from 0 without gaps.</summary>
internal static class StageNumbers
{
    /// <summary>Adds what is wrong, and returns the number of stages.</summary>
    public static int Check(ModelDescription model, List<PlanProblem> problems)
    {
        if (model.Layers.Count == 0)
        {
            problems.Add(new(ProblemKind.NoLayers, PlanSite.Model, model.Name));
            return 0;
        }

        for (int i = 0; i < model.Layers.Count; i++)
        {
            LayerDescription layer = model.Layers[i];
            if (layer.Stage is null)
            {
                problems.Add(new(ProblemKind.LayerWithoutStage, new PlanSite(SiteKind.Layer, i), layer.Name));
            }
            else if (layer.Stage < 0)
            {
                problems.Add(new(ProblemKind.StageOutOfRange, new PlanSite(SiteKind.Layer, i), layer.Name, layer.Stage));
            }
        }

        int[] used = model.Layers.Where(l => l.Stage >= 0).Select(l => l.Stage!.Value).Distinct().OrderBy(s => s).ToArray();
        int gap = Array.FindIndex(used, s => s != Array.IndexOf(used, s));
        if (gap >= 0)
        {
            int layer = FirstLayerOf(model, used[gap]);
            problems.Add(new(ProblemKind.StageGap, new PlanSite(SiteKind.Layer, layer), gap, used[gap], model.Layers[layer].Name));
        }

        return used.Length;
    }

    private static int FirstLayerOf(ModelDescription model, int stage)
    {
        int at = 0;
        while (model.Layers[at].Stage != stage)
        {
            at++;
        }

        return at;
    }
}
