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
            string parameters = stage.ParameterCount is { } count
                ? count.ToString("#,0", CultureInfo.InvariantCulture) + " parameters"
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

    /// <summary>What a stage needs at its peak, and of how much.</summary>
    public static string Memory(ModelDescription model, Plan plan, StagePlan stage)
    {
        string needed = (stage.PeakBytes is null ? "at least " : "") + PlanReport.FormatBytes(stage.KnownBytes);
        string share = DeviceMemory.Of(stage, model, plan.Options) is > 0 and var device
            ? $" of the {PlanReport.FormatBytes(device)} of its device ({decimal.Floor((decimal)stage.KnownBytes * 100 / device).ToString(CultureInfo.InvariantCulture)} %)"
            : "";
        return $"Memory at the peak: {needed}{share}.";
    }

    /// <summary>What that is for, largest first; then what is needed at other times, and what is not known.</summary>
    public static IEnumerable<string> MemoryTerms(StagePlan stage)
    {
        MemoryTerm[] peak = stage.PeakTerms.ToArray();
        return peak.Select(term => $"{PlanReport.NameOf(term.Kind)}: {PlanReport.FormatBytes(term.Bytes)}")
            .Concat(stage.Memory
                .Where(term => term.Bytes != 0 && !peak.Contains(term))
                .OrderByDescending(term => term.Bytes ?? long.MaxValue)
                .Select(term => $"{PlanReport.NameOf(term.Kind)}: {PlanReport.FormatBytes(term.Bytes)}{(term.Bytes is null ? "" : ", at another time")}"));
    }

    private static string Describe(CutValue value) =>
        value.Type is { } type ? $"{value.Name} {type.DType.ToString().ToLowerInvariant()} ({string.Join(", ", type.Shape)})" : value.Name;
}
