using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

/// <summary>Says where a layer's rank changed the scope of the curvature without the class stating it.</summary>
internal static class CurvatureScopeCheck
{
    /// <summary>The diagnostic; null where the scope is stated, is global, or makes no difference.</summary>
    public static Diagnostic? Run(PipelineModel model, Plan plan, Placement placement)
    {
        if (plan.Stages.Count < 2
            || plan.Options.Curvature is not { Scope: CurvatureScope.Stage }
            || model.Source.Options.Any(option => option.Name == "Curvature.Scope"))
        {
            return null;
        }

        int layer = model.Description.Layers.TakeWhile(l => l.CurvatureRank is null).Count();
        return Diagnostic.Create(
            Descriptors.CurvatureBlockDiagonal,
            placement.Layer(layer),
            model.Description.Layers[layer].Name,
            plan.Stages.Count,
            string.Join(", ", plan.Stages.Select(stage => $"rank {stage.CurvatureRank} on stage {stage.Index}")));
    }
}
