using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.Experiments;
using Dho2.Benchmarks.TimeToLoss;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Tests.TimeToLoss;

public sealed class MethodTests : IDisposable
{
    private readonly TrainingTask task;

    public MethodTests()
    {
        // Two kinds of images with noise: something that every method can learn in thirty steps.
        using Generator random = new(7);
        Tensor kinds = rand([2, 784], generator: random).round_();
        (Tensor, Tensor) Samples(int count)
        {
            Tensor labels = randint(0, 2, [count], ScalarType.Int64, generator: random);
            return (kinds.index_select(0, labels) + randn([count, 784], generator: random), labels);
        }

        task = new TrainingTask("mnist-logistic", LogisticRegression.Pipeline, 16, 30, Samples(200), Samples(40));
    }

    [Theory]
    [InlineData(nameof(PreconditionerKind.LimitedBfgs))]
    [InlineData(nameof(PreconditionerKind.Kfac))]
    public void Every_method_learns_and_repeats_itself(string kind)
    {
        RunSettings settings = Design.PreconditionedTrials(task, Enum.Parse<PreconditionerKind>(kind)).First(trial => trial is { LearningRate: 0.1, Cosine: true });
        RunResult result = Run(settings);

        Assert.Equal(result.Losses, Run(settings).Losses);
        Assert.NotEqual(result.Losses, Run(settings with { Seed = 2 }).Losses);
        Assert.True(result.Losses[^1] < 0.5 * result.Losses[0], $"{result.Losses[0]} to {result.Losses[^1]}");
    }

    [Fact]
    public void All_methods_begin_with_the_same_weights()
    {
        double[] first = [.. Enum.GetValues<PreconditionerKind>().Select(kind => Run(Design.PreconditionedTrials(task, kind).First()).Losses[0])];
        RunSettings alone = new(task.Name, BaseKind.Adam, 1e-3, true, Design.TuningSeed, null);
        Assert.All(first, loss => Assert.Equal(Run(alone).Losses[0], loss));
    }

    [Fact]
    public void A_step_of_K_FAC_is_bounded_however_large_its_rate()
    {
        double Length(double rate, double bound)
        {
            RunSettings settings = new(task.Name, BaseKind.HeavyBall, rate, false, 1, null);
            using TrainingState state = new(task, settings);
            using KfacMethod method = new(state, KroneckerModel.Of(task.Name), 0.03, bound);
            using Tensor before = state.Parameters.Values.detach().clone();
            (Tensor inputs, Tensor targets) = task.Take(arange(16, ScalarType.Int64));
            method.Prepare(0);
            method.Step(inputs, targets);
            using Tensor moved = state.Parameters.Values.detach() - before;
            return state.Space.Norm(moved);
        }

        // The bound is of a square: a hundredfold of it allows steps that are ten times as long.
        Assert.Equal(Length(10, 1e-4), Length(100, 1e-4), 1e-4 * Length(10, 1e-4));
        Assert.Equal(10, Length(10, 1e-2) / Length(10, 1e-4), 1e-3);

        // A step that is short enough is the rate's own.
        Assert.Equal(Length(1e-4, 1), Length(1e-4, 1e-2), 1e-6 * Length(1e-4, 1));
    }

    [Fact]
    public void An_estimate_with_a_delay_is_in_force_so_many_steps_later()
    {
        RunSettings alone = new(task.Name, BaseKind.HeavyBall, 0.05, false, 1, null);
        CurvatureSettings curvature = new() { Warmup = 5, Every = 10, Rank = 2, Batch = 16, MaxScale = 1, Alpha = 0.01, Tolerance = 1e-3 };
        double[] expected = Run(alone).Losses;
        RunResult at = Run(alone with { Curvature = curvature });
        RunResult late = Run(alone with { Curvature = curvature with { Delay = 10 } });

        // Losses are measured before every step: what is in force from step 5 or 15 on shows after it.
        Assert.Equal(expected[..6], at.Losses[..6]);
        Assert.NotEqual(expected[6], at.Losses[6]);
        Assert.Equal(expected[..16], late.Losses[..16]);
        Assert.NotEqual(expected[16], late.Losses[16]);
        Assert.Equal([5, 15, 25], late.Refreshes!);
        Assert.Equal(2, late.Scales.Length);
        Assert.Equal(at.First[0], late.First[0]);
    }

    [Fact]
    public void A_delay_that_outlasts_the_interval_is_refused()
    {
        RunSettings settings = new(task.Name, BaseKind.HeavyBall, 0.05, false, 1, new CurvatureSettings { Every = 10, Delay = 11 });
        Assert.Throws<ArgumentException>(() => new TrainingRun(task, settings));
    }

    public void Dispose() => task.Dispose();

    private RunResult Run(RunSettings settings)
    {
        using TrainingRun run = new(task, settings, TimeToLossTable.Create);
        return run.Run();
    }
}
