using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Cli.Pages;
using Dho2.Planning;

namespace Dho2.Cli.Plans;

/// <summary>What tables, page and picture say about a plan, in the same words.</summary>
internal static class PlanFacts
{
    /// <summary>The plan in one line.</summary>
    public static string Summary(Plan plan) =>
        $"{Quantity.Count(plan.Stages.Count, "stage")}{(plan.Layout.StagesPerRank > 1 ? $", {plan.Layout.StagesPerRank} on each rank," : "")} x {Quantity.Count(plan.Options.Replicas, "replica")}, "
        + $"batch {plan.Options.Batch} in {Quantity.Count(plan.MicroBatches.Count, "micro-batch").Replace("batchs", "batches")}, {plan.Options.Schedule}";

    /// <summary>Names and values that belong to the plan as a whole.</summary>
    public static IReadOnlyList<(string Name, string Value)> Of(PlannedModel model)
    {
        Plan plan = model.Plan!;
        var facts = new List<(string, string)>
        {
            ("split into", Summary(plan)),
            ("base optimizer", plan.Options.Base.ToString()),
            ("device", plan.Options.DeviceName ?? "not named: priced as 10 TFLOPS, 1 TB/s, 25 GB/s between neighbours"),
            ("bubble", $"{Quantity.Percent(model.Report!.BubblePartsPerMillion / 1e6)} with stages of equal cost{(model.Forecast is { } priced ? $", {Quantity.Percent(priced.Simulation.BubbleFraction)} by the plan's prices" : "")}"),
        };
        if (model.Forecast is { } forecast)
        {
            facts.Add(("a step, by the plan's prices", Quantity.Time(forecast.Time) + (forecast.Reduction > 0 ? $", of which {Quantity.Time(forecast.Reduction)} over replicas" : "")));
        }

        if (RecomputationOf(model) is { } recomputed)
        {
            facts.Add(("recomputed activations", recomputed));
        }

        if (RecommendationOf(model) is { } advice)
        {
            facts.Add(("recommended", advice));
        }

        if (plan.Curvature is { } curvature && plan.Options.Curvature is { } options)
        {
            int? order = curvature.Stages.Max(s => s.Order);
            facts.Add(("curvature", $"{options.Rank} largest, {options.Smallest} smallest eigenpairs, {options.Scope}, every {options.Every} steps, {curvature.Mode}, at most {order?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "an unknown number of"} products{(curvature.RetainsGraphs ? "" : ", graphs rebuilt")}"));
        }

        if (plan.Options.Admm is { } admm && plan.Options.Replicas > 1)
        {
            facts.Add(("ADMM", System.FormattableString.Invariant($"{admm.Rule}, period {admm.Period}, sigma {admm.Sigma}")));
        }

        foreach (TiePlan tie in plan.Ties)
        {
            facts.Add(("shared", $"{tie.Name} of stage {tie.Owner}, used on {(tie.Mirrors.Count == 0 ? "the same stage" : "stage " + string.Join(", ", tie.Mirrors))} too"));
        }

        facts.Add(("plan", plan.Hash));
        return facts;
    }

    /// <summary>Whose activations are recomputed, and whose could but need not be; null where nobody asks.</summary>
    private static string? RecomputationOf(PlannedModel model)
    {
        Plan plan = model.Plan!;
        RecomputeOptions stated = plan.Options.Recompute ?? RecomputeOptions.None;
        int[] asked =
        [
            .. plan.Stages
                .Where(stage => stated.All || stated.Stages.Contains(stage.Index)
                    || (!stated.OverridesLayers && stage.Layers.Any(layer => model.Model.Layers[layer].Recomputes)))
                .Select(stage => stage.Index),
        ];
        int[] spared = [.. asked.Where(stage => !plan.Stages[stage].Recomputes)];
        string[] parts =
        [
            .. asked.Length > spared.Length ? [$"of {Stages(asked.Except(spared))}"] : Array.Empty<string>(),
            .. spared.Length > 0 ? [$"not of {Stages(spared)}, with one micro-batch in flight: nothing would be saved"] : Array.Empty<string>(),
        ];
        return asked.Length == 0 ? null : string.Join("; ", parts);

        static string Stages(IEnumerable<int> stages) => $"stage {string.Join(", ", stages)}";
    }

    /// <summary>What to run a model with on as many devices, against this plan; null where work is not known.</summary>
    private static string? RecommendationOf(PlannedModel model)
    {
        if (model.Ways.FirstOrDefault(way => way.IsCurrent) is not { } current)
        {
            return null;
        }

        if (model.Recommended is not { } best)
        {
            return current.Fits ? "this plan" : "no schedule, number of micro-batches or recomputation fits: spread the model over more stages";
        }

        string recomputed = best.Recomputed.Count == 0 ? "" : $", stage {string.Join(", ", best.Recomputed)} recomputing";
        return $"{best.Plan.Options.Schedule} with {Quantity.Count(best.Plan.Options.MicroBatches, "micro-batch").Replace("batchs", "batches")}{recomputed}: "
            + $"{Quantity.Percent((double)best.StepTime / current.StepTime)} of this plan's step, {PlanReport.FormatBytes(best.PeakBytes)} on the fullest device{(current.Fits ? "" : ", where this plan does not fit")}";
    }

    /// <summary>Bytes of a stage's device; null where not stated.</summary>
    public static long? DeviceOf(PlannedModel model, int stage) => DeviceMemory.Of(model.Plan!.Stages[stage], model.Model, model.Plan.Options);

    /// <summary>What crosses a cut, value by value, with the bytes of one micro-batch.</summary>
    public static IReadOnlyList<string> CrossingOf(PlannedModel model, int cut)
    {
        int samples = model.Plan!.MicroBatches[0];
        return
        [
            .. model.Plan.Cuts[cut].Values.Select(value =>
                $"{PlanReport.Describe(value)}{(BytesOf(value, samples) is { } bytes ? $", {PlanReport.FormatBytes(bytes)} a micro-batch" : "")}{(value.Differentiable ? ", gradient comes back" : "")}"),
        ];
    }

    /// <summary>Bytes of a value that crosses a cut, for micro-batches of a size; null where its shape is not known, or it is no tensor.</summary>
    public static long? BytesOf(CutValue value, int samples) =>
        value.Type is { } type ? TensorBytes.Of(type).Evaluate(symbol => symbol == ShapeInference.Batch ? samples : null) : null;
}
