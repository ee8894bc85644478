using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Threading;

namespace Dho2.Planning;

/// <summary>Compares a plan's slowest stage with that of the best partition into as many stages.</summary>
internal static class BalanceCheck
{
    // Less than this is not worth a change: one fifth, and a millisecond of a step.
    private const long LeastGainPercent = 20;
    private const long LeastGain = 1_000_000_000;

    public static void Check(ModelDescription model, Plan plan, InferenceResult inference, List<PlanProblem> problems, CancellationToken cancellation)
    {
        if (plan.Stages.Count < 2
            || model.Layers.Any(layer => layer.StageIsAutomatic)
            || problems.Any(p => p.Severity == ProblemSeverity.Error && p.Kind is not (ProblemKind.StageDoesNotFit or ProblemKind.NumberOutOfRange))
            || OperationTimes.OfStages(plan, inference, plan.Options.Profile) is not { } times
            || times.Max() * plan.MicroBatches.Count < LeastGain
            || StageChooser.Propose(WithStages(model, plan), cancellation) is not { } better
            || better.Count != plan.Stages.Count)
        {
            return;
        }

        // The proposal's cost is an estimate of where layerless operations go: what counts is its plan.
        ModelDescription changed = WithProposal(model, better);
        long slowest = times.Max();
        long best = StageAssignment.Make(changed, inference.Values, [], cancellation) is { } assignment
            ? SlowestOf(changed, plan, inference, assignment)
            : long.MaxValue;
        if ((decimal)slowest * 100 < (decimal)best * (100 + LeastGainPercent) || (slowest - best) * plan.MicroBatches.Count < LeastGain)
        {
            return;
        }

        int worst = times.ToList().IndexOf(slowest);
        decimal factor = decimal.Round((decimal)slowest / best, 2);
        problems.Add(new(
            ProblemKind.StagesUnbalanced,
            PlanSite.Model,
            worst,
            (long)((decimal)slowest * 100 / times.Sum(t => (decimal)t)),
            plan.Stages.Count,
            factor.ToString(CultureInfo.InvariantCulture),
            Describe(model, better)));
    }

    /// <summary>The model with a partition's stages.</summary>
    public static ModelDescription WithProposal(ModelDescription model, PartitionProposal proposal) => model with
    {
        Layers = model.Layers.Select((layer, i) => layer with { Stage = proposal.Stages[i], StageIsAutomatic = false }).ToEquatableArray(),
    };

    /// <summary>The model as the search for another partition of its plan sees it: with as many stages, and the plan's own options.</summary>
    public static ModelDescription WithStages(ModelDescription model, Plan plan) =>
        model with { Options = plan.Options with { Stages = plan.Stages.Count } };

    private static long SlowestOf(ModelDescription model, Plan plan, InferenceResult inference, StageAssignment assignment)
    {
        EquatableArray<CutPlan> cuts = CutBuilder.Build(model, assignment, inference.Values, []);
        bool[] recomputed = Recomputation.Of(
            model, plan.Options, assignment.Stages, ScheduleSimulator.Run(plan.Schedule, ScheduleCosts.Uniform(plan.Stages.Count, 1, 2)));
        StagePlan[] stages = Enumerable.Range(0, assignment.Stages)
            .Select(s => new StagePlan(
                s, default, Enumerable.Range(0, model.Operations.Count).Where(o => assignment.Operations[o] == s).ToEquatableArray(), null, 0, null, default)
            {
                Recomputes = recomputed[s],
            })
            .ToArray();
        return OperationTimes.OfStages(plan with { Stages = stages.ToEquatableArray(), Cuts = cuts }, inference, plan.Options.Profile)!.Max();
    }

    /// <summary>The first layer of each stage but the first, in the order of the stages.</summary>
    private static string Describe(ModelDescription model, PartitionProposal proposal) => string.Join(
        ", ",
        Enumerable.Range(0, proposal.Count).Select(stage =>
        {
            string[] names = model.Layers.Where((_, i) => proposal.Stages[i] == stage).Select(l => l.Name).ToArray();
            return $"{stage}: " + (names.Length == 1 ? $"'{names[0]}'" : $"'{names[0]}' to '{names[names.Length - 1]}'");
        }));
}
