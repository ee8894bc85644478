using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Benchmarks.Ceiling;
using Dho2.Benchmarks.Experiments;

namespace Dho2.Benchmarks.Tests.Experiments;

public class StatisticsTests
{
    private static readonly RunSettings Settings = new("task", BaseKind.HeavyBall, 0.1, true, 1, new CurvatureSettings());

    [Fact]
    public void Steps_to_a_loss_are_interpolated_between_measurements()
    {
        RunResult run = Run(1, [0, 10, 20, 30], [4, 2, 1, 1.5]);

        Assert.Equal(0, run.StepsTo(4));
        Assert.Equal(5, run.StepsTo(3)!.Value, 12);
        Assert.Equal(15, run.StepsTo(1.5)!.Value, 12);
        Assert.Equal(20, run.StepsTo(1)!.Value, 12);
        Assert.Null(run.StepsTo(0.999));
    }

    [Fact]
    public void The_best_loss_within_a_share_ignores_what_comes_later_and_what_is_no_number()
    {
        RunResult run = Run(1, [0, 10, 20, 30, 40], [4, 2, 3, 1, double.NaN]);

        Assert.Equal(2, run.BestWithin(0.5));
        Assert.Equal(1, run.BestWithin(0.75));
        Assert.Equal(1, run.BestWithin(1));
        Assert.False(run.Finite);
        Assert.Equal(30, run.StepsTo(1)!.Value, 12);
    }

    [Fact]
    public void A_geometric_mean_has_the_interval_of_student_on_logarithms()
    {
        GeometricMean mean = GeometricMean.Of([1, 2, 4]);

        // Logarithms 0, ln 2, 2 ln 2: their deviation is ln 2; t for two degrees of freedom is 4.303.
        double half = 4.303 * Math.Log(2) / Math.Sqrt(3);
        Assert.Equal(2, mean.Value, 12);
        Assert.Equal(2 * Math.Exp(-half), mean.Low, 12);
        Assert.Equal(2 * Math.Exp(half), mean.High, 12);
        Assert.Equal(3, mean.Count);
    }

    [Fact]
    public void Too_few_numbers_have_no_interval_and_too_many_are_refused()
    {
        GeometricMean one = GeometricMean.Of([3.0]);

        Assert.Equal(3, one.Value, 12);
        Assert.True(double.IsNaN(one.Low) && double.IsNaN(one.High));
        Assert.Equal(0, GeometricMean.Of([]).Count);
        Assert.Equal(10, GeometricMean.Of([.. Enumerable.Repeat(2.0, 10)]).Count);
        Assert.Throws<ArgumentOutOfRangeException>(() => GeometricMean.Of([.. Enumerable.Repeat(2.0, 11)]));
    }

    [Fact]
    public void Runs_are_compared_with_the_reference_of_their_own_seed()
    {
        RunResult[] reference = [Run(1, [0, 50, 100], [4, 2, 1]), Run(2, [0, 50, 100], [4, 3, 2])];

        // Seed 2 needs 25 steps to 3 and 50 to 2; seed 3 has no reference.
        RunResult[] runs = [Run(2, [0, 25, 50, 100], [4, 3, 2, 1]), Run(3, [0, 100], [4, 0])];

        Assert.Equal(2, StepRatio.Of(reference, runs, 0.5).Mean.Value, 12);
        Assert.Equal(2, StepRatio.Of(reference, runs, 1).Mean.Value, 12);
        Assert.Equal(1, StepRatio.Of(reference, runs, 1).Mean.Count);
    }

    [Fact]
    public void A_reference_against_itself_has_ratio_one()
    {
        RunResult[] reference = [Run(1, [0, 50, 100], [4, 2, 2.5]), Run(2, [0, 50, 100], [4, 3, 2])];

        Assert.All(new[] { 0.5, 0.75, 1 }, budget => Assert.Equal(1, StepRatio.Of(reference, reference, budget).Mean.Value, 12));
    }

    [Fact]
    public void A_run_that_never_gets_there_counts_with_its_budget_as_a_bound()
    {
        RunResult[] reference = [Run(1, [0, 50, 100], [4, 2, 1])];
        RunResult stuck = Run(1, [0, 50, 100], [4, 3, 3]);
        RunResult diverged = Run(1, [0, 10], [4, double.NaN]);
        RunResult half = Run(1, [0, 25, 50], [4, 3, 1.5]) with { Settings = Settings with { Budget = 0.5 } };

        Assert.Equal((0.5, 1), Ratio(stuck, 0.5));
        Assert.Equal((1, 1), Ratio(stuck, 1));
        Assert.Equal((1, 1), Ratio(diverged, 1));
        Assert.Equal((2, 1), Ratio(half, 1));

        (double, int) Ratio(RunResult run, double budget)
        {
            StepRatio ratio = StepRatio.Of(reference, [run], budget);
            return (Math.Round(ratio.Mean.Value, 12), ratio.Never);
        }
    }

    [Fact]
    public void Kappa_adds_the_update_and_the_products_of_an_estimate()
    {
        // 1 + 0.25 + 20 products x 2 gradients x 4 times the samples / 100 steps = 2.85.
        Assert.Equal(2.85, StepCost.Of(20, 0.25, 2, 4, 100).Kappa, 12);
        Assert.Equal(1.25, StepCost.Of(20, 0.25, 2, 4, double.PositiveInfinity).Kappa, 12);
    }

    [Fact]
    public void Costs_are_taken_from_what_was_measured_for_the_settings()
    {
        MeasuredCosts costs = new(
            30, 10, new() { ["HeavyBall k=0"] = 1, ["HeavyBall k=10"] = 3, ["HeavyBall k=20"] = 6 }, new() { [64] = 10, [256] = 40 }, new() { [64] = 25, [256] = 80 }, 60);

        // 256 samples: c_p = 80 / 40 = 2; t_V / t_grad = (3 - 1) / 10; kappa = 1 + 0.2 + 50 x 2 x 4 / 100.
        Assert.Equal(5.2, costs.Of(50, Settings, 64).Kappa, 12);
        Assert.Equal(1 + 0.2 + (50 * 2.5 / 100), Kappa(c => c with { Batch = 64 }), 12);
        Assert.Equal(1 + 0.5 + 4, Kappa(c => c with { Rank = 20 }), 12);
        Assert.Equal(1 + 0.2 + 3, Kappa(c => c with { Kind = SubspaceKind.GaussNewton }), 12);
        Assert.Equal(1 + 4, Kappa(c => c with { Kind = SubspaceKind.ScaleOnly }), 12);
        Assert.Equal(1 + 0.2, Kappa(c => c with { Every = int.MaxValue }), 12);

        double Kappa(Func<CurvatureSettings, CurvatureSettings> change) =>
            costs.Of(50, Settings with { Curvature = change(Settings.Curvature!) }, 64).Kappa;
    }

    [Fact]
    public void Stored_runs_come_back_and_stay_short()
    {
        string folder = Directory.CreateTempSubdirectory("dho2-ceiling").FullName;
        try
        {
            RunStore store = new(folder);
            RunResult run = Run(1, [0, 10], [4, double.NaN]);
            Assert.Null(store.Find(run.Settings));
            store.Add(run);

            RunResult found = store.Find(run.Settings)!;
            Assert.Equal(run.Settings, found.Settings);
            Assert.Equal(run.Steps, found.Steps);
            Assert.Equal(run.Losses, found.Losses);
            Assert.Single(store.All("task"));
            Assert.Empty(store.All("tas"));
            string text = File.ReadAllText(Directory.GetFiles(folder).Single());
            Assert.Contains("\"Steps\": [ 0, 10 ]", text);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static RunResult Run(int seed, int[] steps, double[] losses) =>
        new(Settings with { Seed = seed }, steps, losses, losses[^1], null, [40], 0, [2], [10], [1], 1, 1);
}
