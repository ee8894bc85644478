using System.Globalization;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

/// <summary>Says what a pipeline needs even when all is well.</summary>
internal static class PipelineSummary
{
    /// <summary>The information line of a plan.</summary>
    public static Diagnostic Of(ModelDescription model, Plan plan, Placement placement)
    {
        PlanReport report = PlanReport.Of(plan, model);
        return Diagnostic.Create(
            Descriptors.PlanSummary,
            placement.Class,
            model.Name,
            string.Join(", ", plan.Stages.Select(stage => Describe(stage, model, plan))),
            (report.BubblePartsPerMillion / 10_000).ToString(CultureInfo.InvariantCulture));
    }

    private static string Describe(StagePlan stage, ModelDescription model, Plan plan)
    {
        string bytes = (stage.PeakBytes is null ? "at least " : "") + PlanReport.FormatBytes(stage.KnownBytes);
        string share = DeviceMemory.Of(stage, model, plan.Options) is > 0 and var device
            ? $" ({decimal.Floor((decimal)stage.KnownBytes * 100 / device).ToString(CultureInfo.InvariantCulture)} % of its device)"
            : "";
        return $"stage {stage.Index.ToString(CultureInfo.InvariantCulture)} needs {bytes}{share}";
    }
}
