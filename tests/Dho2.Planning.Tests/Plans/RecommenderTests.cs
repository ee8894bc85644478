using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using CsCheck;

namespace Dho2.Planning.Tests.Plans;

/// <summary>The search for schedule, micro-batches and recomputation, against trying everything.</summary>
public class RecommenderTests
{
    private static readonly Schedule[] Schedules = [Schedule.OneForwardOneBackward, Schedule.ZeroBubble, Schedule.GPipe];

    /// <summary>All schedules, all divisors of the batch and all sets of stages that recompute, each planned and simulated as a whole.</summary>
    [Fact]
    public void TheBestOfAllIsFirst() => Gen.Select(Gen.Int[3, 7].Select(power => 1 << power).Array[4, 7], Gen.Int[1, 3], Gen.OneOf(Gen.Const(4), Gen.Const(6), Gen.Const(12)), Gen.Int[0, 110]).Sample(
        (widths, stages, batch, percent) =>
        {
            ModelDescription model = Chain(widths, stages, batch);
            Plan[] all =
            [
                .. from schedule in Schedules
                   from count in Enumerable.Range(1, batch).Where(count => batch % count == 0)
                   from set in Enumerable.Range(0, 1 << stages)
                   select Plan(model, schedule, count, [.. Enumerable.Range(0, stages).Where(stage => (set >> stage & 1) != 0)]),
            ];
            long least = all.Min(PeakOf);
            long device = least + ((all.Max(PeakOf) - least) * percent / 100);
            model = model with { Options = model.Options with { DeviceMemory = device } };

            Recommendation best = Recommender.Recommend(model, costs: Costs)[0];

            Assert.True(best.Fits);
            Assert.Equal(PeakOf(best.Plan), best.PeakBytes);
            Assert.True(best.PeakBytes <= device);
            Assert.Equal(all.Where(plan => PeakOf(plan) <= device).Min(TimeOf), best.StepTime);
        },
        iter: 60);

    /// <summary>GPipe and 1F1B take the same time; what they keep decides.</summary>
    [Fact]
    public void MemoryDecidesBetweenSchedulesThatAreAlikeInTime()
    {
        ModelDescription model = Chain([64, 64, 64, 64], 3, 48);
        Recommendation[] ways = [.. Recommender.Recommend(model, new() { DeviceMemory = PeakOf(Plan(model, Schedule.OneForwardOneBackward, 12, [])) }, Costs)];
        Recommendation alternating = Assert.Single(ways, way => way.Plan.Options is { Schedule: Schedule.OneForwardOneBackward, MicroBatches: 12 });
        Recommendation all = Assert.Single(ways, way => way.Plan.Options is { Schedule: Schedule.GPipe, MicroBatches: 12 });
        Assert.True(alternating.Fits);
        Assert.Empty(alternating.Recomputed);
        Assert.True(Array.IndexOf(ways, alternating) < Array.IndexOf(ways, all));
        Assert.True(all.Recomputed.Count > 0 || !all.Fits);
    }

    [Fact]
    public void StagesRecomputeWhereNothingElseFits()
    {
        ModelDescription model = Chain([64, 256, 256, 256, 64, 64], 2, 8);
        ModelOptions bare = model.Options;
        long limit = Schedules.SelectMany(schedule => new[] { 1, 2, 4, 8 }.Select(count => PeakOf(Plan(model, schedule, count, [])))).Min();
        Recommendation best = Recommender.Recommend(model, new() { DeviceMemory = limit - 1 }, Costs)[0];
        Assert.True(best.Fits);
        Assert.Equal([0], best.Recomputed);
        Assert.Equal(bare, model.Options);

        Recommendation none = Recommender.Recommend(model, new() { DeviceMemory = 1 }, Costs)[0];
        Assert.False(none.Fits);
    }

    [Fact]
    public void InterleavedStagesStayOnTheirDevices()
    {
        ModelDescription model = Chain([64, 64, 64, 64, 64], 4, 16);
        PlanOverrides interleaved = new() { Schedule = Schedule.Interleaved, MicroBatches = 2 };
        Assert.All(Recommender.Recommend(model, interleaved, Costs), way => Assert.Equal(2, way.Plan.Layout.Ranks));
        Assert.DoesNotContain(Recommender.Recommend(model, null, Costs), way => way.Plan.Options.Schedule == Schedule.Interleaved);
    }

    /// <summary>What is there now is one of the ways, once; and by the device's own prices micro-batches of a sample are not free.</summary>
    [Fact]
    public void TheCurrentPlanIsAmongTheWays()
    {
        ModelDescription model = Chain([64, 64, 64], 2, 256);
        IReadOnlyList<Recommendation> ways = Recommender.Recommend(model, new() { MicroBatches = 8 });
        Recommendation current = Assert.Single(ways, way => way.IsCurrent);
        Assert.Equal(8, current.Plan.Options.MicroBatches);
        Assert.Single(ways, way => way.Plan.Options is { Schedule: Schedule.OneForwardOneBackward, MicroBatches: 8 });
        Assert.InRange(ways[0].Plan.Options.MicroBatches, 1, 64);
        Assert.True(ways[0].StepTime <= current.StepTime);
    }

    [Fact]
    public void UnknownWorkIsNotCompared()
    {
        var builder = new ModelBuilder();
        int x = builder.Call(builder.Layer("a", 0), builder.Input("x", 8));
        Assert.Empty(Recommender.Recommend(builder.Return(builder.Call(builder.Layer("b", 1), x))));
    }

    [Fact]
    public void TheSearchCanBeEnded()
    {
        using var source = new CancellationTokenSource();
        int asked = 0;
        Assert.Throws<OperationCanceledException>(() => Recommender.Recommend(
            Chain([64, 64, 64], 2, 64),
            costs: plan =>
            {
                if (++asked == 3)
                {
                    source.Cancel();
                }

                return Costs(plan);
            },
            cancellation: source.Token));
        Assert.Equal(3, asked);
    }

    // A constant for each instruction, and a time for each sample; stages differ.
    private static ScheduleCosts Costs(Plan plan)
    {
        long[] forward = [.. plan.Stages.Select(stage => 1000 + (plan.MicroBatches[0] * 100L * (2 + (stage.Index % 2))))];
        bool isSplit = plan.Options.Schedule == Schedule.ZeroBubble;
        return new(
            forward.ToEquatableArray(),
            plan.Stages.Select(stage => forward[stage.Index] * ((stage.Recomputes ? 3 : 2) + (isSplit && stage.Index > 0 ? 1 : 0))).ToEquatableArray(),
            plan.Stages.Select(stage => forward[stage.Index] * (stage.Index > 0 ? 2 : stage.Recomputes ? 3 : 2)).ToEquatableArray());
    }

    private static long TimeOf(Plan plan) => ScheduleSimulator.Run(plan.Schedule, Costs(plan)).Makespan;

    private static long PeakOf(Plan plan) => plan.Stages.Max(stage => stage.KnownBytes);

    private static Plan Plan(ModelDescription model, Schedule schedule, int microBatches, int[] recomputed) =>
        Planner.Plan(model, new() { Schedule = schedule, MicroBatches = microBatches, Recompute = RecomputeOptions.Of(recomputed) }).Plan!;

    private static ModelDescription Chain(int[] widths, int stages, int batch)
    {
        var builder = new ModelBuilder();
        builder.Options = builder.Options with { Batch = batch, MicroBatches = 1 };
        int x = builder.Input("x", widths[0]);
        for (int layer = 0; layer + 1 < widths.Length; layer++)
        {
            x = builder.Operation("Tensor.relu", builder.Call(
                builder.Layer(
                    $"fc{layer}", layer * stages / (widths.Length - 1), "Linear", null,
                    Argument.OfInteger("inputSize", widths[layer]), Argument.OfInteger("outputSize", widths[layer + 1]), Argument.OfBoolean("hasBias", true)), x));
        }

        EquatableArray<Argument> arguments = new[] { Argument.OfValue("input", 0), Argument.OfValue("target", 1) }.ToEquatableArray();
        var loss = new Operation("TorchSharp.torch.nn.functional.cross_entropy", arguments, -1, -1, ModelBuilder.Tensor);
        return builder.Return(x) with
        {
            Targets = new[] { new InputDescription("labels", EquatableArray<DimensionDescription>.Empty, DType.Int64) }.ToEquatableArray(),
            Loss = new(2, default, new[] { loss }.ToEquatableArray(), new[] { 2 }.ToEquatableArray()),
        };
    }
}
