using System;
using System.Collections.Generic;
using System.Linq;
using Dho2;
using Dho2.Benchmarks.Experiments;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// Which runs there are: sixteen tuning trials for every method, then five seeds of what they chose. The bases' trials are
/// those of the ceiling experiment, so that on the tasks that both have none is made again.
/// </summary>
internal static class Design
{
    /// <summary>The seed of every tuning run; it is not among the measured ones.</summary>
    public const int TuningSeed = Ceiling.Experiment.TuningSeed;

    /// <summary>Groups of rows: 0 the methods, 1 how often estimates are made, 2 the controls.</summary>
    public const int Groups = 3;

    /// <summary>The hybrid that every other one differs from in one thing.</summary>
    public const string Centre = "every 100";

    /// <summary>Steps after which the row of that name has its estimates in force.</summary>
    public const string Late = "every 50, in force 50 later";

    /// <summary>The row whose single estimate takes as few products as the published programs' and a quarter of the samples.</summary>
    public const string Cheap = "once, 20 products on an eighth of a batch";

    /// <summary>What the ceiling experiment found for heavy-ball: no raise of the rate, five eigenpairs, half a batch of training.</summary>
    public static CurvatureSettings Curvature(TrainingTask task) =>
        new() { Every = 100, Rank = 5, Batch = task.Batch / 2, MaxScale = 1, Alpha = 0.01, Tolerance = 1e-3 };

    /// <summary>Finds the base's rate and schedule: ten trials over both, six on finer rates.</summary>
    /// <returns>Null where trials are missing.</returns>
    public static RunSettings? TunedBase(TrainingTask task, RunMaker runs, BaseKind kind)
    {
        RunSettings[] coarse = [.. Ceiling.Experiment.CoarseTrials(task, kind)];
        if (Best(runs, coarse) is not { } first)
        {
            return null;
        }

        RunSettings[] fine = [.. Ceiling.Experiment.FineTrials(first)];
        return Best(runs, [.. coarse, .. fine]);
    }

    /// <summary>Finds the hybrid's rate and alpha with the base's schedule: six trials, after the ten that it shares with the base.</summary>
    /// <returns>Null where trials are missing.</returns>
    public static RunSettings? TunedHybrid(TrainingTask task, RunMaker runs, RunSettings tunedBase) => Best(runs, [.. HybridTrials(task, tunedBase)]);

    /// <summary>The six trials.</summary>
    public static IEnumerable<RunSettings> HybridTrials(TrainingTask task, RunSettings tunedBase)
    {
        // Adam's Newton part takes a mean of gradients, heavy-ball's a sum that is ten times as long.
        double[] alphas = tunedBase.Base == BaseKind.Adam ? [0.03, 0.3] : [0.01, 0.03];
        return from factor in new[] { 1, 1.4, 2 }
               from alpha in alphas
               select tunedBase with { LearningRate = tunedBase.LearningRate * factor, Curvature = Curvature(task) with { Alpha = alpha } };
    }

    /// <summary>Finds a preconditioned method's rate, damping and schedule.</summary>
    /// <returns>Null where trials are missing.</returns>
    public static RunSettings? TunedPreconditioned(TrainingTask task, RunMaker runs, PreconditionerKind kind) => Best(runs, [.. PreconditionedTrials(task, kind)]);

    /// <summary>Sixteen trials: four rates, two dampings, {constant, cosine}.</summary>
    public static IEnumerable<RunSettings> PreconditionedTrials(TrainingTask task, PreconditionerKind kind)
    {
        (BaseKind follows, double[] rates, double[] dampings) = kind == PreconditionerKind.Kfac
            ? (BaseKind.HeavyBall, new[] { 0.01, 0.03, 0.1, 0.3 }, new[] { 0.003, 0.03 })
            : (BaseKind.Sgd, new[] { 0.03, 0.1, 0.3, 1 }, task.LargeRates ? [0.003, 0.03] : [0.03, 0.3]);
        return from rate in rates
               from damping in dampings
               from cosine in new[] { false, true }
               select new RunSettings(task.Name, follows, rate, cosine, TuningSeed, null) { Preconditioner = new(kind, damping) };
    }

    /// <summary>
    /// The measured rows of a hybrid by the names that they have in the report, in groups, what matters most first: all tasks
    /// and seeds of a group are run before the next one.
    /// </summary>
    /// <param name="hybrid">The tuned hybrid.</param>
    /// <param name="alone">Its tuned base.</param>
    /// <param name="steps">The task's steps.</param>
    public static IEnumerable<(int Group, string Name, RunSettings Settings)> Rows(RunSettings hybrid, RunSettings alone, int steps)
    {
        CurvatureSettings centre = hybrid.Curvature!;
        (int, string, RunSettings) With(int group, string name, CurvatureSettings curvature) => (group, name, hybrid with { Curvature = curvature });
        yield return With(0, "once", centre with { Every = int.MaxValue });
        if (steps > centre.Warmup + 400)
        {
            // In shorter runs the same as once.
            yield return With(1, "every 400", centre with { Every = 400 });
        }

        yield return With(0, Centre, centre);
        yield return With(1, Cheap, centre with { Every = int.MaxValue, Batch = CheapBatch(centre), MaxProducts = 4 * centre.Rank });
        yield return With(1, "every 25", centre with { Every = 25 });
        yield return With(1, Late, centre with { Every = 50, Delay = 50 });
        yield return With(2, "control: alpha = 0", centre with { Alpha = 0 });
        yield return With(2, "control: random V", centre with { Kind = SubspaceKind.Random });
        if (hybrid.LearningRate != alone.LearningRate)
        {
            yield return (2, "control: base at the hybrid's lr", alone with { LearningRate = hybrid.LearningRate });
        }

        if (hybrid.Base == BaseKind.Adam)
        {
            // Adam's rate is never raised.
            yield break;
        }

        yield return With(2, "control: scale up to 3", centre with { MaxScale = 3 });
        yield return (2, "control: base at lr x scale", alone with { Curvature = centre with { Kind = SubspaceKind.ScaleOnly, MaxScale = 3 } });
    }

    /// <summary>Samples of the curvature batch of <see cref="Cheap"/>: an eighth of a training batch, where the others have half of one.</summary>
    public static int CheapBatch(CurvatureSettings usual) => Math.Max(1, usual.Batch / 4);

    /// <summary>The trial with the lowest loss; null where some are missing.</summary>
    private static RunSettings? Best(RunMaker runs, RunSettings[] trials)
    {
        IReadOnlyList<RunResult> results = runs.GetAll(trials);
        return results.Count < trials.Length ? null : Ceiling.Experiment.Best(results).Settings;
    }
}
