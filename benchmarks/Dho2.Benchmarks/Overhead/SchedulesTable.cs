using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Benchmarks.Curvature;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Overhead;

/// <summary>
/// Schedules at work: what each leaves idle and in flight, against formula and plan; and whether what the planner recommends for
/// a device's memory is the quickest. Stages sleep, so that they need no processors.
/// </summary>
internal static class SchedulesTable
{
    private const int Stages = 4;
    private const long PicosecondsPerMillisecond = 1_000_000_000;

    public static int Run(bool quick)
    {
        set_num_threads(1);
        Measuring.PrintEnvironment("schedules", quick);
        PrintIdle(quick);
        PrintRecommendations(quick);
        return 0;
    }

    private static void PrintIdle(bool quick)
    {
        // The longer, the less what other programs do shows.
        double milliseconds = quick ? 10 : 30;
        Console.WriteLine($"{Stages} stages that sleep {milliseconds:F0} ms each for a forward, the gradients of inputs and those of weights of a micro-batch; as one layer, or as four, of which a split backward walks three twice. Idle: the share of the stages' time in which they do not sleep. In flight: the most micro-batches between forward and end of backward, stage by stage; where activations are recomputed, in parentheses the most with a graph.");
        Console.WriteLine();
        Console.WriteLine("| schedule | layers | micro-batches | recomputing | formula | planned idle | measured | difference, points | in flight, planned | measured |");
        Console.WriteLine("|---|--:|--:|---|--:|--:|--:|--:|---|---|");
        foreach (int count in quick ? new[] { 4 } : [4, 8, 16])
        {
            foreach ((Schedule schedule, int layers, bool recomputes) in new[]
            {
                (Schedule.GPipe, 4, false), (Schedule.GPipe, 4, true), (Schedule.OneForwardOneBackward, 4, false), (Schedule.OneForwardOneBackward, 4, true),
                (Schedule.ZeroBubble, 1, false), (Schedule.ZeroBubble, 4, false), (Schedule.ZeroBubble, 4, true),
            })
            {
                SleepingTimes times = new(milliseconds, milliseconds, milliseconds, layers);
                bool[] recomputed = [.. Enumerable.Repeat(recomputes, Stages)];
                EquatableArray<EquatableArray<Instruction>> lists = ScheduleBuilder.Build(schedule, Stages, count);
                ScheduleSimulation planned = ScheduleSimulator.Run(lists, CostsOf(times, schedule, recomputed));
                Outcome measured = Measure(lists, count, times, recomputed, quick ? 3 : 7);
                string formula = recomputes || (schedule == Schedule.ZeroBubble && layers > 1) ? "" : Measuring.Text(100 * FormulaOf(schedule, count), 1) + " %";
                Console.WriteLine(
                    $"| {schedule} | {layers} | {count} | {(recomputes ? "yes" : "no")} | {formula} | {Measuring.Text(100 * planned.BubbleFraction, 1)} % | {Measuring.Text(100 * measured.Idle, 1)} % | {Measuring.Text(100 * (measured.Idle - planned.BubbleFraction), 1)} | {InFlight(planned.MaxInFlight, planned.MaxRecomputed)} | {InFlight(measured.InFlight, measured.Graphs)} |");

                string InFlight(IEnumerable<int> all, IEnumerable<int> graphs) => string.Join(" ", all) + (recomputes ? $" ({string.Join(" ", graphs)})" : "");
            }
        }

        Console.WriteLine();
    }

    // Published for stages of equal times: (S - 1)(F + B) of waiting under GPipe and 1F1B, (S - 1)(F + I - W) under ZB-H1.
    private static double FormulaOf(Schedule schedule, int count)
    {
        double waiting = schedule == Schedule.ZeroBubble ? Stages - 1 : 3 * (Stages - 1);
        return waiting / ((3 * count) + waiting);
    }

    private static void PrintRecommendations(bool quick)
    {
        const int Batch = 32;
        double constant = quick ? 2 : 6;
        double perSample = constant / 4;
        Console.WriteLine($"What the planner recommends for {Stages} devices of some memory, and what is quickest: the memory is the plan's of a perceptron of {Stages} stages with three layers of 1,024 each, whose times are slept: {Measuring.Text(constant, 1)} ms and {Measuring.Text(perSample, 1)} ms for each of {Batch} samples, for a forward and for either part of a backward. Every candidate of the search that fits is measured; steps in milliseconds, medians.");
        Console.WriteLine();
        Console.WriteLine("| a device | candidates | fit | recommended | planned | measured | quickest measured | measured | recommended / quickest |");
        Console.WriteLine("|--:|--:|--:|---|--:|--:|---|--:|--:|");
        ModelDescription model = ModelDescriptionText.Parse(ScheduledMlp.Pipeline.DescriptionText);
        Dictionary<(Schedule, int, EquatableArray<int>), double> measured = [];
        long[] peaks = [.. Recommender.Recommend(model, costs: Costs).Select(way => way.PeakBytes).Distinct().Order()];
        long unbounded = peaks[^1];
        long tight = Recommender.Recommend(model, new() { Recompute = RecomputeOptions.None }, Costs).Min(way => way.PeakBytes);
        foreach (long memory in new[] { unbounded, (unbounded + tight) / 2, tight, tight - (1 << 20) })
        {
            Recommendation[] ways = [.. Recommender.Recommend(model, new() { DeviceMemory = memory }, Costs)];
            Recommendation[] fitting = [.. ways.Where(way => way.Fits)];
            if (fitting.Length == 0)
            {
                Console.WriteLine($"| {PlanReport.FormatBytes(memory)} | {ways.Length} | 0 | | | | | | |");
                continue;
            }

            foreach (Recommendation way in fitting.Where(way => !measured.ContainsKey(KeyOf(way))))
            {
                bool[] recomputed = [.. way.Plan.Stages.Select(stage => stage.Recomputes)];
                measured[KeyOf(way)] = Measure(way.Plan.Schedule, way.Plan.MicroBatches.Count, TimesOf(way.Plan), recomputed, quick ? 1 : 5).Milliseconds;
            }

            Recommendation best = fitting.MinBy(way => measured[KeyOf(way)])!;
            Console.WriteLine(
                $"| {PlanReport.FormatBytes(memory)} | {ways.Length} | {fitting.Length} | {NameOf(ways[0])} | {Measuring.Text((double)ways[0].StepTime / PicosecondsPerMillisecond, 1)} | {Measuring.Text(measured[KeyOf(ways[0])], 1)} | {NameOf(best)} | {Measuring.Text(measured[KeyOf(best)], 1)} | {Measuring.Text(measured[KeyOf(ways[0])] / measured[KeyOf(best)], 3)} |");
        }

        Console.WriteLine();

        static (Schedule Schedule, int Count, EquatableArray<int> Recomputed) KeyOf(Recommendation way) => (way.Plan.Options.Schedule, way.Plan.MicroBatches.Count, way.Recomputed);

        static string NameOf(Recommendation way) =>
            $"{way.Plan.Options.Schedule}, {way.Plan.MicroBatches.Count}{(way.Recomputed.Count == 0 ? "" : $", stage {string.Join(", ", way.Recomputed)} recomputing")}";

        SleepingTimes TimesOf(Plan plan)
        {
            double time = constant + (perSample * plan.MicroBatches[0]);
            return new(time, time, time, 3);
        }

        ScheduleCosts? Costs(Plan plan) => CostsOf(TimesOf(plan), plan.Options.Schedule, [.. plan.Stages.Select(stage => stage.Recomputes)]);
    }

    /// <summary>The times of instructions as the planner is to see them.</summary>
    private static ScheduleCosts CostsOf(SleepingTimes times, Schedule schedule, bool[] recomputed)
    {
        bool isSplit = schedule == Schedule.ZeroBubble;
        double WeightOf(int stage) => times.Weight + times.Shared + (stage > 0 ? 0 : times.Input - times.Shared + (recomputed[stage] ? times.Forward : 0));
        double BackwardOf(int stage) => times.Input + times.Weight + (isSplit && stage > 0 ? times.Shared : 0) + (recomputed[stage] ? times.Forward : 0);
        return new(All(_ => times.Forward), All(BackwardOf), isSplit ? All(WeightOf) : default);

        static EquatableArray<long> All(Func<int, double> milliseconds) =>
            Enumerable.Range(0, Stages).Select(stage => (long)(milliseconds(stage) * PicosecondsPerMillisecond)).ToEquatableArray();
    }

    private static Outcome Measure(
        EquatableArray<EquatableArray<Instruction>> lists, int count, SleepingTimes times, bool[] recomputed, int steps)
    {
        List<double> idle = [];
        List<double> milliseconds = [];
        int[] inFlight = new int[Stages];
        int[] graphs = new int[Stages];
        Measuring.OnRanks(Stages, pipeline =>
        {
            using LayeredSleepingStage stage = new(pipeline.Rank, times) { IsRecomputed = recomputed[pipeline.Rank] };
            using PipelineExecutor executor = new(stage, new StageContext(1), pipeline, Network.Cuts(Stages), (results, _) => results[0].sum())
            {
                GradientsAdded = stage.EndBackward,
                Recomputed = recomputed[pipeline.Rank] ? [new RecomputedStage(pipeline.Rank)] : [],
            };
            using DisposeScope scope = NewDisposeScope();
            Batch batch = new([ones(count, 1)], [ones(count, 1)]);
            int[] sizes = [.. Enumerable.Repeat(1, count)];
            for (int step = -1; step < steps; step++)
            {
                pipeline.Barrier();
                stage.Asleep = TimeSpan.Zero;
                long start = Stopwatch.GetTimestamp();
                executor.Train(lists[pipeline.Rank], batch, sizes, 0, count);
                pipeline.Barrier();
                double time = Stopwatch.GetElapsedTime(start).TotalSeconds;
                Span<double> asleep = [stage.Asleep.TotalSeconds];
                pipeline.AllReduce(asleep);
                if (pipeline.Rank == 0 && step >= 0)
                {
                    idle.Add(1 - (asleep[0] / (Stages * time)));
                    milliseconds.Add(1000 * time);
                }
            }

            inFlight[pipeline.Rank] = stage.MostInFlight;
            graphs[pipeline.Rank] = stage.MostGraphs;
        });
        return new(Measuring.Median(idle), Measuring.Median(milliseconds), inFlight, graphs);
    }

    private sealed record Outcome(double Idle, double Milliseconds, int[] InFlight, int[] Graphs);
}
