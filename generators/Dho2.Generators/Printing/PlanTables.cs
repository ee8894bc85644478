using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>Writes a plan's tables as lines of an XML documentation comment.</summary>
internal static class PlanTables
{
    public static IEnumerable<string> Lines(ModelDescription model, Plan plan)
    {
        foreach (StagePlan stage in plan.Stages)
        {
            string layers = string.Join(", ", stage.Layers.Select(layer => model.Layers[layer].Name));
            string parameters = stage.Parameters is { } known
                ? known.Sum(p => p.Count).ToString("#,0", CultureInfo.InvariantCulture) + " parameters"
                : "parameters not known";
            yield return $"Stage {stage.Index}: {layers}; {parameters}.";
        }

        foreach (string line in CurvaturePrinter.Lines(plan))
        {
            yield return line;
        }

        foreach (CutPlan cut in plan.Cuts)
        {
            yield return $"Cut {cut.Index}: {string.Join(", ", cut.Values.Select(Describe))}.";
        }

        for (int rank = 0; rank < plan.Schedule.Count; rank++)
        {
            yield return $"Schedule of rank {rank}: {string.Join(" ", plan.Schedule[rank].Where(i => i.IsComputation).Select(i => ScheduleDrawing.LabelOf(i, plan.Layout.StagesPerRank > 1)))}.";
        }
    }

    private static string Describe(CutValue value) =>
        value.Type is { } type ? $"{value.Name} {type.DType.ToString().ToLowerInvariant()} ({string.Join(", ", type.Shape)})" : value.Name;
}
