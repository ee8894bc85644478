using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.Ceiling;
using Dho2.Benchmarks.Experiments;
using Dho2.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Tests.Ceiling;

public sealed class ExperimentTests : IDisposable
{
    private readonly TrainingTask task;

    public ExperimentTests()
    {
        using Generator random = new(7);
        Tensor Pixels(int count) => rand([count, 784], generator: random).round_();
        Tensor train = Pixels(40);
        Tensor test = Pixels(10);
        task = new TrainingTask("small", MnistAutoencoder.Pipeline, 8, 30, (train, train.alias()), (test, test.alias()));
    }

    [Fact]
    public void Base_and_hybrid_have_the_same_number_of_trials()
    {
        foreach (BaseKind kind in new[] { BaseKind.HeavyBall, BaseKind.Adam })
        {
            RunSettings[] coarse = [.. Experiment.CoarseTrials(task, kind)];
            RunSettings[] fine = [.. Experiment.FineTrials(coarse[0])];
            RunSettings[] hybrid = [.. Experiment.HybridTrials(coarse[0])];

            Assert.Equal(10, coarse.Distinct().Count());
            Assert.Equal(fine.Length, hybrid.Distinct().Count());
            Assert.All(coarse.Concat(fine).Concat(hybrid), trial => Assert.Equal(Experiment.TuningSeed, trial.Seed));
        }
    }

    [Fact]
    public void Settings_that_differ_are_stored_under_different_names()
    {
        RunSettings alone = new("small", BaseKind.HeavyBall, 0.1, true, 1, null);
        RunSettings hybrid = alone with { Curvature = new CurvatureSettings() };
        (int Group, string Name, RunSettings Settings)[] all = [.. Experiment.Variations(alone, hybrid, 1_000)];
        CurvatureSettings centre = hybrid.Curvature!;
        RunSettings[] further =
        [
            alone, hybrid with { Seed = 2 }, hybrid with { Curvature = centre with { Warmup = 1 } }, hybrid with { Curvature = centre with { Floor = 0.1 } },
            hybrid with { Curvature = centre with { Momentum = NewtonMomentum.None } },
        ];

        RunSettings[] settings = [.. all.Select(v => v.Settings), .. further];
        Assert.Equal(settings.Length, settings.Select(s => s.Key).Distinct().Count());
        Assert.Equal(all.Length, all.Select(v => v.Name).Distinct().Count());
    }

    [Fact]
    public void All_settings_vary_one_factor_around_the_centre()
    {
        RunSettings alone = new("small", BaseKind.HeavyBall, 0.1, true, 1, null);
        RunSettings hybrid = alone with { LearningRate = 0.05, Curvature = new CurvatureSettings() };

        foreach ((_, string name, RunSettings settings) in Experiment.Variations(alone, hybrid, 1_000).Where(v => v.Settings.Curvature is not null && v.Name != "centre" && !v.Name.StartsWith(Experiment.Plain, StringComparison.Ordinal)))
        {
            CurvatureSettings a = settings.Curvature!;
            CurvatureSettings b = hybrid.Curvature!;
            int differences = new[]
            {
                a.Every != b.Every, a.Rank != b.Rank, a.Batch != b.Batch, a.MaxScale != b.MaxScale, a.Alpha != b.Alpha, a.Kind != b.Kind,
                a.Tolerance != b.Tolerance, a.Warmup != b.Warmup, a.Floor != b.Floor, a.Momentum != b.Momentum, settings.Budget != hybrid.Budget,
                settings.LearningRate != hybrid.LearningRate, settings.Cosine != hybrid.Cosine,
            }.Count(x => x);
            Assert.True(differences == 1, name);
        }
    }

    [Theory]
    [InlineData(10, 5, 4)]
    [InlineData(10, int.MaxValue, 1)]
    [InlineData(29, 5, 1)]
    [InlineData(30, 5, 0)]
    public void Refreshes_come_at_the_warmup_and_every_so_many_steps_after_it(int warmup, int every, int expected)
    {
        RunResult result = Run(new CurvatureSettings { Warmup = warmup, Every = every, Rank = 1, Batch = 8, Tolerance = 0.1 });

        Assert.Equal(expected, result.Products.Length);
        Assert.Equal(expected, result.Scales.Length);
    }

    [Fact]
    public void Curvature_that_never_comes_or_raises_nothing_leaves_the_base_as_it_is()
    {
        CurvatureSettings curvature = new() { Warmup = 10, Every = 10, Rank = 2, Batch = 8, Tolerance = 0.1 };
        double[] alone = Run(null).Losses;

        Assert.Equal(alone, Run(null).Losses);
        Assert.Equal(alone, Run(curvature with { Warmup = 30 }).Losses);
        Assert.Equal(alone, Run(curvature with { Kind = SubspaceKind.ScaleOnly, MaxScale = 1 }).Losses);
        Assert.NotEqual(alone, Run(curvature with { Alpha = 0, MaxScale = 1 }).Losses);
    }

    [Fact]
    public void The_control_of_the_base_alone_raises_its_rate_as_the_hybrid_does()
    {
        CurvatureSettings curvature = new() { Warmup = 1, Every = int.MaxValue, Rank = 2, Batch = 8, Tolerance = 1e-3 };
        RunResult hybrid = Run(curvature);
        RunResult control = Run(curvature with { Kind = SubspaceKind.ScaleOnly });

        // Both look at the same weights, after one step of the base.
        Assert.Equal(hybrid.Scales, control.Scales);
        Assert.True(control.Scales[0] > 1);
        Assert.Equal(control.First[0] / control.Last[0], control.Scales[0], 1e-4);
    }

    [Fact]
    public void Random_directions_have_the_eigenvalues_and_change_little()
    {
        CurvatureSettings curvature = new() { Warmup = 10, Every = 10, Rank = 2, Batch = 8, Tolerance = 1e-3, MaxScale = 1 };
        RunResult alone = Run(null);
        RunResult random = Run(curvature with { Kind = SubspaceKind.Random });
        RunResult hybrid = Run(curvature);

        Assert.Equal(hybrid.First[0], random.First[0]);

        // Two of 0.4 M directions hold next to nothing of a gradient.
        Assert.True(Distance(random) < 0.05 * Distance(hybrid), $"{Distance(random)} against {Distance(hybrid)}");

        double Distance(RunResult run) => run.Losses.Zip(alone.Losses).Max(pair => Math.Abs(pair.First - pair.Second));
    }

    public void Dispose() => task.Dispose();

    private RunResult Run(CurvatureSettings? curvature)
    {
        using TrainingRun run = new(task, new RunSettings("small", BaseKind.HeavyBall, 0.5, true, 3, curvature));
        return run.Run();
    }
}
