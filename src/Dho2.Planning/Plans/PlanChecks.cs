using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Dho2.Planning;

/// <summary>Judges the numbers of a finished plan: the memory of stages against their devices, ranks against parameters.</summary>
internal static class PlanChecks
{
    // Above this share of a device, what the plan cannot know (the allocator, the driver) may be too much.
    private const int FullPercent = 80;

    public static void Check(ModelDescription model, Plan plan, List<PlanProblem> problems)
    {
        foreach (StagePlan stage in plan.Stages)
        {
            CheckMemory(stage, model, plan, problems);
        }

        CheckRanks(plan, problems);
    }

    private static void CheckMemory(StagePlan stage, ModelDescription model, Plan plan, List<PlanProblem> problems)
    {
        if (DeviceMemory.LeftFor(stage, plan.Stages, model, plan.Options, _ => 0) is not (> 0 and var capacity))
        {
            return;
        }

        StagePlan[] beside = DeviceMemory.Beside(stage, plan.Stages, plan.Options).ToArray();
        long needed = beside.Aggregate(stage.KnownBytes, (sum, other) => SafeInteger.Add(sum, other.KnownBytes) ?? long.MaxValue);
        string needs = (beside.Append(stage).Any(s => s.PeakBytes is null) ? "at least " : "") + PlanReport.FormatBytes(needed);
        string breakdown = string.Join(", ", stage.PeakTerms.Select(t => $"{PlanReport.NameOf(t.Kind)} {PlanReport.FormatBytes(t.Bytes)}")
            .Concat(beside.Select(other => $"stage {other.Index}, which is on the same device, {PlanReport.FormatBytes(other.KnownBytes)}")));
        if (needed > capacity)
        {
            problems.Add(new(
                ProblemKind.StageDoesNotFit,
                PlanSite.Model,
                stage.Index,
                needs,
                PlanReport.FormatBytes(needed - capacity),
                PlanReport.FormatBytes(capacity),
                breakdown));
        }
        else if ((decimal)needed * 100 > (decimal)capacity * FullPercent)
        {
            decimal percent = decimal.Floor((decimal)needed * 100 / capacity);
            problems.Add(new(
                ProblemKind.StageNearlyFull,
                PlanSite.Model,
                stage.Index,
                needs,
                percent.ToString(CultureInfo.InvariantCulture),
                PlanReport.FormatBytes(capacity),
                breakdown));
        }
    }

    private static void CheckRanks(Plan plan, List<PlanProblem> problems)
    {
        if (plan.Options.Curvature is not { } curvature)
        {
            return;
        }

        long?[] sizes = plan.Stages
            .Select(stage => stage.Parameters is { } parameters ? MemoryModel.Sum(parameters.Select(p => (long?)p.Count)) : null)
            .ToArray();
        if (curvature.Scope == CurvatureScope.Global)
        {
            CheckRank("the model", plan.Stages[0].CurvatureRank, curvature.Smallest, MemoryModel.Sum(sizes), problems);
            return;
        }

        foreach (StagePlan stage in plan.Stages)
        {
            CheckRank($"stage {stage.Index}", stage.CurvatureRank, curvature.Smallest, sizes[stage.Index], problems);
        }
    }

    private static void CheckRank(string whose, int rank, int smallest, long? parameters, List<PlanProblem> problems)
    {
        if (rank > 0 && (long)rank + smallest > parameters)
        {
            problems.Add(new(ProblemKind.RankAboveParameters, PlanSite.Model, (long)rank + smallest, whose, parameters.Value));
        }
    }
}
