using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.Ceiling;
using Dho2.Benchmarks.Experiments;
using Dho2.Benchmarks.TimeToLoss;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Tests.TimeToLoss;

public sealed class DesignTests : System.IDisposable
{
    private readonly TrainingTask task = new("small", LogisticRegression.Pipeline, 8, 600, (zeros(10, 784), zeros(10, ScalarType.Int64)), (zeros(10, 784), zeros(10, ScalarType.Int64)));

    [Fact]
    public void All_methods_have_sixteen_trials_on_the_seed_of_tuning()
    {
        foreach (BaseKind kind in new[] { BaseKind.HeavyBall, BaseKind.Adam })
        {
            RunSettings[] coarse = [.. Experiment.CoarseTrials(task, kind)];
            RunSettings[] alone = [.. coarse, .. Experiment.FineTrials(coarse[4])];
            RunSettings[] hybrid = [.. coarse, .. Design.HybridTrials(task, coarse[4])];
            Check(alone);
            Check(hybrid);
        }

        Check([.. Design.PreconditionedTrials(task, PreconditionerKind.LimitedBfgs)]);
        Check([.. Design.PreconditionedTrials(task, PreconditionerKind.Kfac)]);

        static void Check(RunSettings[] trials)
        {
            // A finer rate may be one of the coarse ones again.
            Assert.Equal(16, trials.Length);
            Assert.InRange(trials.Select(trial => trial.Key).Distinct().Count(), 15, 16);
            Assert.All(trials, trial => Assert.Equal(Design.TuningSeed, trial.Seed));
        }
    }

    [Fact]
    public void Rows_differ_from_the_centre_in_one_thing_and_in_their_names()
    {
        RunSettings alone = Experiment.CoarseTrials(task, BaseKind.HeavyBall).First();
        RunSettings hybrid = Design.HybridTrials(task, alone).Last();
        (int, string Name, RunSettings Settings)[] rows = [.. Design.Rows(hybrid, alone, task.Steps)];

        Assert.Equal(rows.Length, rows.Select(row => row.Settings.Key).Distinct().Count());
        Assert.Equal(rows.Length, rows.Select(row => row.Name).Distinct().Count());
        Assert.Equal(hybrid, rows.Single(row => row.Name == Design.Centre).Settings);
        foreach ((_, string name, RunSettings settings) in rows.Where(row => row.Name is not Design.Centre and not Design.Late and not Design.Cheap && row.Settings.Curvature is not null && row.Settings.LearningRate == hybrid.LearningRate))
        {
            CurvatureSettings a = settings.Curvature!, b = hybrid.Curvature!;
            int differences = new[] { a.Every != b.Every, a.Alpha != b.Alpha, a.Kind != b.Kind, a.MaxScale != b.MaxScale, a.Delay != b.Delay }.Count(x => x);
            Assert.True(differences == 1, name);
            Assert.Equal(b with { Every = a.Every, Alpha = a.Alpha, Kind = a.Kind, MaxScale = a.MaxScale, Delay = a.Delay }, a);
        }

        CurvatureSettings cheap = rows.Single(row => row.Name == Design.Cheap).Settings.Curvature!;
        Assert.Equal(hybrid.Curvature! with { Every = int.MaxValue, Batch = task.Batch / 8, MaxProducts = 20 }, cheap);
    }

    [Fact]
    public void Trials_of_the_bases_are_found_under_the_names_that_the_ceiling_experiment_gave_them()
    {
        RunSettings trial = new("cifar-cnn", BaseKind.HeavyBall, 0.1, true, Design.TuningSeed, null);
        Assert.Equal("cifar-cnn.HeavyBall.lr0.1.cosine.alone.seed100", trial.Key);
        Assert.Equal("cifar-cnn.HeavyBall.lr0.1.cosine.Kfac.damping0.03.seed100", (trial with { Preconditioner = new(PreconditionerKind.Kfac, 0.03) }).Key);
    }

    public void Dispose() => task.Dispose();
}
