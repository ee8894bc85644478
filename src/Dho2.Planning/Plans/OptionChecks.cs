using System.Collections.Generic;
using System.Globalization;

namespace Dho2.Planning;

/// <summary>The ranges of everything that attributes and overrides can set.</summary>
internal static class OptionChecks
{
    /// <summary>The most micro-batches of a step.</summary>
    public const int MaxMicroBatches = 65_536;

    public static void Check(ModelDescription model, ModelOptions options, int stages, List<PlanProblem> problems)
    {
        void Require(bool holds, string what, string value, string range)
        {
            if (!holds)
            {
                problems.Add(new(ProblemKind.NumberOutOfRange, PlanSite.Model, what, value, range));
            }
        }

        void AtLeast(int least, string what, int value) => Require(value >= least, what, Text(value), $"at least {least}");

        void Finite(bool holds, string what, double value, string range) =>
            Require(holds && !double.IsNaN(value) && !double.IsInfinity(value), what, Text(value), range);

        AtLeast(1, "Batch", options.Batch);
        Require(
            options.MicroBatches is >= 1 and <= MaxMicroBatches, "MicroBatches", Text(options.MicroBatches), $"from 1 to {MaxMicroBatches}");
        AtLeast(1, "Replicas", options.Replicas);
        CheckLayout(options, stages, problems);
        foreach (int stage in options.Recompute?.Stages ?? default)
        {
            Require(stage >= 0 && stage < stages, "Recompute", Text(stage), stages == 1 ? "0, as there is one stage" : $"from 0 to {stages - 1}, as there are {stages} stages");
        }

        Require(options.Stages >= 0, "Stages", Text(options.Stages), "at least 1, or 0 to leave it to the planner");
        Require(options.DeviceMemory is null or > 0, "Device.Memory", Text(options.DeviceMemory ?? 0), "above 0");
        Require(
            ElementTypes.CanCompute(options.DType), "The element type", ElementTypes.NameOf(options.DType), "float32, float64 or bfloat16");
        if (options is { Schedule: Schedule.Interleaved, Curvature: { Scope: CurvatureScope.Stage } wanted } && wanted.Rank + (long)wanted.Smallest > 0
            && StageLayout.Of(options.Schedule, stages, options.StagesPerRank) is { StagesPerRank: > 1 } layout)
        {
            problems.Add(new(ProblemKind.CurvatureOfInterleavedStages, PlanSite.Model, layout.StagesPerRank));
        }

        if (options.Curvature is { } curvature)
        {
            AtLeast(0, "Curvature.Rank", curvature.Rank);
            AtLeast(0, "Curvature.Smallest", curvature.Smallest);
            AtLeast(1, "Curvature.Every", curvature.Every);
            AtLeast(0, "Curvature.Warmup", curvature.Warmup);
            AtLeast(0, "Curvature.Batch", curvature.Batch);
            long pairs = curvature.Rank + (long)curvature.Smallest;
            Require(
                curvature.Order == 0 || pairs <= 0 || curvature.Order >= pairs, "Curvature.Order", Text(curvature.Order), $"at least the {pairs} eigenpairs that are wanted, or 0");
            AtLeast(0, "Curvature.Delay", curvature.Delay);
            Finite(curvature.Alpha >= 0, "Curvature.Alpha", curvature.Alpha, "at least 0");
            Finite(curvature.MaxScale >= 1, "Curvature.MaxScale", curvature.MaxScale, "at least 1");
        }

        for (int i = 0; i < model.Layers.Count; i++)
        {
            if (model.Layers[i] is { CurvatureRank: < 0 and var rank, Name: var name })
            {
                problems.Add(new(ProblemKind.NumberOutOfRange, new PlanSite(SiteKind.Layer, i), $"CurvatureRank of '{name}'", rank, "at least 0"));
            }
        }

        Require(
            !options.ShardsOptimizer || options.Admm is null || options.Replicas <= 1,
            "ShardOptimizer",
            "true",
            "false where ADMM ties the replicas, because each of them then needs the whole state");
        Require(
            !options.ShardsOptimizer || options.Replicas <= 1 || options.Curvature?.Mode != CurvatureMode.Dedicated,
            "ShardOptimizer",
            "true",
            "false where curvature has ranks of its own, because they hand whole eigenvectors to each replica");
        if (options.Admm is { } admm)
        {
            AtLeast(1, "Admm.Period", admm.Period);
            Finite(admm.Sigma > 0, "Admm.Sigma", admm.Sigma, "above 0");
            Finite(admm.Relaxation is > 0 and < 2, "Admm.Relaxation", admm.Relaxation, "between 0 and 2");
            if (admm.Relaxation is > 1.3 and < 2)
            {
                problems.Add(new(ProblemKind.RelaxationHigh, PlanSite.Model, Text(admm.Relaxation)));
            }
        }

        CheckMicroBatches(options, stages, problems);

        if (options.Batch >= 1 && options.Batch < options.MicroBatches)
        {
            problems.Add(new(ProblemKind.FewerSamplesThanMicroBatches, PlanSite.Model, options.Batch, options.MicroBatches));
        }
    }

    /// <summary>The nearest options that can be planned, so that a wrong number does not take the plan away while it is corrected.</summary>
    public static ModelOptions Clamp(ModelOptions options) => options with
    {
        Batch = System.Math.Max(1, options.Batch),
        MicroBatches = System.Math.Min(System.Math.Max(1, options.MicroBatches), MaxMicroBatches),
        Replicas = System.Math.Max(1, options.Replicas),
    };

    private static void CheckMicroBatches(ModelOptions options, int stages, List<PlanProblem> problems)
    {
        StageLayout layout = StageLayout.Of(options.Schedule, stages, options.StagesPerRank);
        if (options.MicroBatches >= 1 && options.MicroBatches < layout.Ranks)
        {
            int advised = 4 * layout.Ranks;
            problems.Add(new(
                ProblemKind.FewerMicroBatchesThanStages,
                PlanSite.Model,
                options.MicroBatches,
                layout.Ranks,
                BusyPercent(options.Schedule, options.MicroBatches, layout),
                advised,
                BusyPercent(options.Schedule, advised, layout)));
        }
    }

    /// <summary>Interleaving needs stages that can be dealt out; the other schedules hold one on each rank.</summary>
    private static void CheckLayout(ModelOptions options, int stages, List<PlanProblem> problems)
    {
        int wanted = options.StagesPerRank;
        bool isInterleaved = options.Schedule == Schedule.Interleaved;
        if (wanted < 0 || (!isInterleaved && wanted > 1) || (isInterleaved && wanted == 1))
        {
            problems.Add(new(
                ProblemKind.NumberOutOfRange, PlanSite.Model, "StagesPerRank", wanted, isInterleaved ? "at least 2 where stages are interleaved" : "1 unless stages are interleaved"));
        }
        else if (isInterleaved && stages % (wanted == 0 ? Defaults.StagesPerRank : wanted) != 0)
        {
            int perRank = wanted == 0 ? Defaults.StagesPerRank : wanted;
            problems.Add(new(
                ProblemKind.NumberOutOfRange, PlanSite.Model, "StagesPerRank", perRank, $"a divisor of the {stages} stages, which are to be dealt out evenly"));
        }
    }

    private static long BusyPercent(Schedule schedule, int microBatches, StageLayout layout) =>
        schedule is Schedule.GPipe or Schedule.OneForwardOneBackward
            ? 100L * microBatches / (microBatches + layout.Ranks - 1)
            : 100 - (ScheduleSimulator.Run(
                ScheduleBuilder.Build(schedule, layout.Stages, microBatches, layout.StagesPerRank),
                ScheduleCosts.Uniform(layout.Stages, 1, 2)).BubblePartsPerMillion / 10_000);

    private static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
