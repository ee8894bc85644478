using System.Linq;

namespace Dho2.Planning.Tests.Costs;

/// <summary>The time of a step by a plan's prices.</summary>
public class StepForecastTests
{
    private const int Width = 1024;

    private static readonly DeviceProfile QuickLinks = new("quick links", 0, 1_000_000, 1_000_000_000_000, 1_000_000_000_000_000_000);

    private static readonly DeviceProfile SlowLinks = new("slow links", 0, 1_000_000, 1_000_000_000_000, 1_000);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 8)]
    [InlineData(4, 8)]
    [InlineData(8, 4)]
    public void StagesOfEqualWorkTakeWhatTheFormulaOfThePipelineSays(int stages, int microBatches)
    {
        // Links that cost nothing: forward t, backward 2 t, and a bubble of S - 1 of both.
        (ModelDescription model, Plan plan) = Plan(stages, microBatches);
        StepForecast forecast = StepForecast.Of(plan, model, new DeviceProfile("quick links", 0, 1_000_000, 1_000_000_000_000, long.MaxValue / 2))!;
        long forward = forecast.Costs.Forward[0];
        Assert.True(forward > 0);
        Assert.All(forecast.Costs.Forward, time => Assert.InRange(time, forward - 2, forward + 2));
        Assert.Equal(forecast.Simulation.Makespan, forecast.Time);
        long expected = 3 * forward * (microBatches + stages - 1);
        Assert.InRange(forecast.Time, expected - (10 * (stages + microBatches)), expected + (10 * (stages + microBatches)));
    }

    [Theory]
    [InlineData(Schedule.GPipe)]
    [InlineData(Schedule.ZeroBubble)]
    public void AStageThatRecomputesTakesOneForwardMore(Schedule schedule)
    {
        (ModelDescription model, _) = Plan(3, 8);
        ScheduleCosts kept = Costs(RecomputeOptions.None);
        ScheduleCosts recomputed = Costs(RecomputeOptions.Of(0, 1));
        Assert.Equal(kept.Forward, recomputed.Forward);
        long[] more = [.. recomputed.Backward.Zip(kept.Backward, (with, without) => with - without)];

        // What sending takes is rounded up to a picosecond.
        Assert.InRange(more[0] - kept.Forward[2], -1, 1);
        Assert.InRange(more[1] - kept.Forward[2], -1, 1);
        Assert.Equal(0, more[2]);

        ScheduleCosts Costs(RecomputeOptions recompute) =>
            StepForecast.Of(Planner.Plan(model, new() { Schedule = schedule, Recompute = recompute }).Plan!, model, QuickLinks)!.Costs;
    }

    /// <summary>What docs/schedules.md says: n layers cost n and n + n - 1 where one backward costs 2 n; the first stage has nothing to split.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void ASplitBackwardWalksTwiceFromTheResults(int layers)
    {
        var builder = new ModelBuilder();
        int x = builder.Input("x", Width);
        for (int layer = 0; layer < 2 * layers; layer++)
        {
            x = builder.Call(
                builder.Layer($"fc{layer}", layer / layers, "Linear", null, Argument.OfInteger("inputSize", Width), Argument.OfInteger("outputSize", Width)), x);
        }

        ModelDescription model = builder.Return(x);
        ScheduleCosts costs = StepForecast.Of(Planner.Plan(model, new() { Schedule = Schedule.ZeroBubble }).Plan!, model, QuickLinks)!.Costs;
        long one = costs.Forward[1] / layers;
        Assert.Equal(costs.Backward[0], costs.Weight[0]);
        Assert.InRange(costs.Weight[1] - (((2 * layers) - 1) * one), -10, 10);
        Assert.InRange(costs.Backward[1] - (((3 * layers) - 1) * one), -10, 10);
    }

    [Fact]
    public void WhatCrossesACutTakesItsSendersTime()
    {
        (ModelDescription model, Plan plan) = Plan(2, 4);
        StepForecast forecast = StepForecast.Of(plan, model, SlowLinks)!;

        // 16 samples of 1,024 float32 at 1,000 bytes a microsecond.
        const long send = 16L * Width * 4 * 1000;
        Assert.InRange(forecast.Costs.Forward[0] - forecast.Costs.Forward[1], send - 2, send + 2);
        Assert.InRange(forecast.Costs.Backward[1] - forecast.Costs.Backward[0], send - 2, send + 2);
    }

    [Fact]
    public void ReplicasAddTheirReductionAndConsensusSharesItOutOverThePeriod()
    {
        (ModelDescription model, Plan one) = Plan(2, 4);
        Assert.Equal(0, StepForecast.Of(one, model, SlowLinks)!.Reduction);

        PlanOverrides four = new() { Replicas = 4 };
        long reduced = StepForecast.Of(Planner.Plan(model, four).Plan!, model, SlowLinks)!.Reduction;

        // A ring: twice three quarters of the larger stage's parameters.
        long parameters = one.Stages.Max(s => s.Parameters!.Value.Sum(p => p.Count));
        Assert.InRange(reduced, (2 * 3 * parameters * 1000) - 10_000, (2 * 3 * parameters * 1000) + 10_000);

        PlanOverrides consensus = four with { Admm = new AdmmOptions(16, 0.1, 1, AdmmRule.Consensus) };
        long shared = StepForecast.Of(Planner.Plan(model, consensus).Plan!, model, SlowLinks)!.Reduction;
        Assert.InRange((double)reduced / shared, 15, 16.1);
    }

    [Fact]
    public void UnknownWorkHasNoForecast()
    {
        var builder = new ModelBuilder();
        int x = builder.Input("x", Width);
        x = builder.Call(builder.Layer("a", 0), x);
        ModelDescription model = builder.Return(builder.Call(builder.Layer("b", 1), x));
        Assert.Null(StepForecast.Of(Planner.Plan(model).Plan!, model));
    }

    private static (ModelDescription Model, Plan Plan) Plan(int stages, int microBatches)
    {
        var builder = new ModelBuilder();
        builder.Options = builder.Options with { MicroBatches = microBatches, Batch = 16 * microBatches };
        int x = builder.Input("x", Width);
        for (int stage = 0; stage < stages; stage++)
        {
            x = builder.Call(
                builder.Layer($"fc{stage}", stage, "Linear", null, Argument.OfInteger("inputSize", Width), Argument.OfInteger("outputSize", Width), Argument.OfBoolean("hasBias", true)), x);
        }

        ModelDescription model = builder.Return(x);
        return (model, Planner.Plan(model).Plan!);
    }
}
