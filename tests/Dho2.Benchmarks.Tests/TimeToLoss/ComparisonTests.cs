using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.Experiments;
using Dho2.Benchmarks.TimeToLoss;

namespace Dho2.Benchmarks.Tests.TimeToLoss;

public class ComparisonTests
{
    private static readonly RunSettings Alone = new("task", BaseKind.HeavyBall, 0.1, true, 1, null);
    private static readonly RunSettings Hybrid = Alone with { Curvature = new CurvatureSettings { Rank = 5 } };

    private static readonly MethodCosts Costs = new(
        1, 1, new Dictionary<string, double> { ["HeavyBall"] = 10, ["HeavyBall k=5"] = 12, ["Adam"] = 11, ["LimitedBfgs"] = 20, ["Kfac"] = 50 }, new Dictionary<int, double> { [256] = 25, [32] = 5 });

    [Fact]
    public void Methods_are_told_from_their_settings()
    {
        Assert.Equal(10, Costs.Step(Alone));
        Assert.Equal(12, Costs.Step(Hybrid));
        Assert.Equal(10, Costs.Step(Hybrid with { Curvature = Hybrid.Curvature! with { Kind = SubspaceKind.ScaleOnly } }));
        Assert.Equal(11, Costs.Step(Alone with { Base = BaseKind.Adam }));
        Assert.Equal(50, Costs.Step(Alone with { Preconditioner = new(PreconditionerKind.Kfac, 1) }));
        Assert.Equal(20, Costs.Step(Alone with { Base = BaseKind.Sgd, Preconditioner = new(PreconditionerKind.LimitedBfgs, 1) }));
    }

    [Fact]
    public void Time_counts_the_estimates_made_until_then()
    {
        RunResult run = Run(Hybrid, 1, [0, 100], [4, 1], [20, 10], [25, 75]);

        Assert.Equal(25 * 12, Costs.TimeTo(run, 25), 9);
        Assert.Equal((26 * 12) + (20 * 25), Costs.TimeTo(run, 26), 9);
        Assert.Equal((100 * 12) + (30 * 25), Costs.TimeTo(run, 100), 9);

        RunResult fewer = Run(Hybrid with { Curvature = Hybrid.Curvature! with { Batch = 32 } }, 1, [0, 100], [4, 1], [20, 10], [25, 75]);
        Assert.Equal((100 * 12) + (30 * 5), Costs.TimeTo(fewer, 100), 9);
    }

    [Fact]
    public void The_speed_up_is_the_ratio_of_steps_over_the_ratio_of_costs()
    {
        RunResult reference = Run(Alone, 1, [0, 50, 100], [4, 2, 1], [], null);
        RunResult run = Run(Hybrid, 1, [0, 25, 40, 100], [4, 2, 1, 0.5], [10], [25]);
        Comparison found = Comparison.Of([reference], [run], 1, Costs);

        // 100 steps of 10 ms against 40 of 12 and an estimate of 250.
        Assert.Equal(100 / 40.0, found.Steps.Value, 9);
        Assert.Equal((480 + 250) / 40.0 / 10, found.Cost.Value, 9);
        Assert.Equal(found.Steps.Value / found.Cost.Value, found.SpeedUp.Value, 9);
        Assert.Equal(1000 / 480.0, found.SpeedUpBeside.Value, 9);
        Assert.Equal(0, found.Never);

        // Half of the budget: 50 steps against 25, with no estimate yet.
        Assert.Equal(500 / 300.0, Comparison.Of([reference], [run], 0.5, Costs).SpeedUp.Value, 9);
    }

    [Fact]
    public void A_run_that_never_gets_there_counts_as_if_it_did_with_its_last_step()
    {
        RunResult[] reference = [Run(Alone, 1, [0, 50, 100], [4, 2, 1], [], null), Run(Alone, 2, [0, 50, 100], [4, 2, 1], [], null)];
        RunResult stuck = Run(Hybrid, 1, [0, 50, 100], [4, 3, 3], [], []);
        RunResult diverged = Run(Hybrid, 2, [0, 4], [4, double.NaN], [], []);
        Comparison found = Comparison.Of(reference, [stuck, diverged, Run(Hybrid, 3, [0, 100], [4, 0], [], [])], 1, Costs);

        Assert.Equal(2, found.Never);
        Assert.Equal(2, found.Steps.Count);
        Assert.Equal(1, found.Steps.Value, 9);
        Assert.Equal(10 / 12.0, found.SpeedUp.Value, 9);
    }

    [Fact]
    public void Without_costs_only_steps_are_compared()
    {
        RunResult reference = Run(Alone, 1, [0, 100], [4, 1], [], null);
        Comparison found = Comparison.Of([reference], [reference], 1, null);
        Assert.Equal(1, found.Steps.Value, 9);
        Assert.Equal(0, found.SpeedUp.Count);
    }

    private static RunResult Run(RunSettings settings, int seed, int[] steps, double[] losses, int[] products, int[]? refreshes) =>
        new(settings with { Seed = seed }, steps, losses, 1, null, products, 0, [], [], [], 1, 1) { Refreshes = refreshes };
}
