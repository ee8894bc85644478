using System;
using System.Collections.Generic;
using System.Linq;
using Dho2;
using Dho2.Benchmarks.Experiments;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>
/// The design of the experiment: which runs there are. Ten trials find each base's rate and schedule; then base and
/// hybrid get six more trials each, the base on finer rates, the hybrid on its rate and alpha at the centre. The factors
/// vary one at a time around that.
/// </summary>
internal static class Experiment
{
    /// <summary>The seed of every tuning run; it is not among the measured ones.</summary>
    public const int TuningSeed = 100;

    /// <summary>The hybrid that leaves the tuned base's rate as it is.</summary>
    public const string Plain = "base's lr, c_max = 1";

    private static readonly double[] HeavyBallRates = [0.01, 0.02, 0.05, 0.1, 0.2];
    private static readonly double[] AdamRates = [3e-4, 1e-3, 2e-3, 5e-3, 1e-2];
    private static readonly double[] LargeHeavyBallRates = [0.1, 0.3, 1, 3, 10];

    /// <summary>The base alone over rates x {constant, cosine}: ten trials a base.</summary>
    public static IEnumerable<RunSettings> CoarseTrials(TrainingTask task, BaseKind kind) =>
        from rate in kind == BaseKind.Adam ? AdamRates : task.LargeRates ? LargeHeavyBallRates : HeavyBallRates
        from cosine in new[] { false, true }
        select new RunSettings(task.Name, kind, rate, cosine, TuningSeed, null);

    /// <summary>The base alone on rates around the best so far: six trials a base.</summary>
    public static IEnumerable<RunSettings> FineTrials(RunSettings coarse) =>
        from factor in new[] { 0.5, 0.7, 0.85, 1.2, 1.4, 2 }
        select coarse with { LearningRate = coarse.LearningRate * factor };

    /// <summary>
    /// The hybrid at the centre over rates x alpha, with the tuned base's schedule: six trials a base. Their eigenpairs
    /// meet the runtime's tolerance only, which saves half of the products.
    /// </summary>
    public static IEnumerable<RunSettings> HybridTrials(RunSettings tunedBase)
    {
        // Adam's Newton part takes a mean of gradients, heavy-ball's a sum that is ten times as long. Heavy-ball's rate
        // is raised by up to three times, Adam's is not.
        (double[] factors, double[] alphas, double scale) = tunedBase.Base == BaseKind.Adam
            ? (new[] { 1.0, 2.0 }, new[] { 0.03, 0.1, 0.3 }, 1.0)
            : (new[] { 1.0, 0.6, 1 / 3.0 }, new[] { 0.01, 0.1 }, 3.0);
        return from factor in factors
               from alpha in alphas
               select tunedBase with
               {
                   LearningRate = tunedBase.LearningRate * factor,
                   Curvature = new CurvatureSettings { Alpha = alpha, MaxScale = scale, Tolerance = 1e-3 },
               };
    }

    /// <summary>The centre that the hybrid's best trial stands for: the same with the task's tolerance.</summary>
    public static RunSettings Centre(RunSettings trial, double tolerance) => trial with { Curvature = trial.Curvature! with { Tolerance = tolerance } };

    /// <summary>
    /// The measured settings, by the name they have in the report, in groups, what matters most first: all seeds of a
    /// group are run before the next one.
    /// </summary>
    /// <param name="alone">The tuned base.</param>
    /// <param name="hybrid">The tuned hybrid at the centre.</param>
    /// <param name="steps">The task's steps.</param>
    public static IEnumerable<(int Group, string Name, RunSettings Settings)> Variations(RunSettings alone, RunSettings hybrid, int steps)
    {
        CurvatureSettings centre = hybrid.Curvature!;
        (int, string, RunSettings) With(int group, string name, CurvatureSettings curvature) => (group, name, hybrid with { Curvature = curvature });
        yield return With(hybrid.Base == BaseKind.Adam ? 2 : 0, "centre", centre);
        if (hybrid.Base == BaseKind.Adam)
        {
            // Adam serves as a second opinion at the centre and on how the gain falls with staleness.
            yield return With(3, "once", centre with { Every = int.MaxValue });
            yield return With(4, "every 25", centre with { Every = 25 });
            yield break;
        }

        if (hybrid.LearningRate != alone.LearningRate)
        {
            // What the Newton part adds to the same rate is c_max = 1 against this.
            yield return (0, "base at the hybrid's lr", alone with { LearningRate = hybrid.LearningRate });

            // And what it adds to the tuned base, whose rate it leaves alone; then one factor at a time around that.
            RunSettings plain = hybrid with { LearningRate = alone.LearningRate, Curvature = centre with { MaxScale = 1 } };
            CurvatureSettings same = plain.Curvature;
            yield return (1, Plain, plain);
            yield return (2, $"{Plain}, alpha = 0", plain with { Curvature = same with { Alpha = 0 } });
            yield return (2, $"{Plain}, alpha = 0.1", plain with { Curvature = same with { Alpha = 0.1 } });
            yield return (2, $"{Plain}, once", plain with { Curvature = same with { Every = int.MaxValue } });
            yield return (3, $"{Plain}, every 25", plain with { Curvature = same with { Every = 25 } });
            yield return (3, $"{Plain}, random V", plain with { Curvature = same with { Kind = SubspaceKind.Random } });
            yield return (4, $"{Plain}, curvature batch 64", plain with { Curvature = same with { Batch = 64 } });
            yield return (5, $"{Plain}, curvature batch 1024", plain with { Curvature = same with { Batch = 1024 } });
            yield return (4, $"{Plain}, k = 5", plain with { Curvature = same with { Rank = 5 } });
            yield return (5, $"{Plain}, k = 20", plain with { Curvature = same with { Rank = 20 } });
            yield return (4, $"{Plain}, Gauss-Newton", plain with { Curvature = same with { Kind = SubspaceKind.GaussNewton } });
        }

        yield return With(1, "base at lr x scale", centre with { Kind = SubspaceKind.ScaleOnly });
        yield return With(1, "once", centre with { Every = int.MaxValue });
        yield return With(4, "every 25", centre with { Every = 25 });
        if (steps > centre.Warmup + 400)
        {
            // In shorter runs the same as once.
            yield return With(4, "every 400", centre with { Every = 400 });
        }

        yield return With(4, "k = 5", centre with { Rank = 5 });
        yield return With(5, "k = 20", centre with { Rank = 20 });
        yield return With(4, "curvature batch 64", centre with { Batch = 64 });
        yield return With(5, "curvature batch 1024", centre with { Batch = 1024 });
        yield return With(1, "c_max = 1", centre with { MaxScale = 1 });
        yield return With(4, "alpha = 0", centre with { Alpha = 0 });
        yield return With(6, "random V", centre with { Kind = SubspaceKind.Random });
        yield return With(4, "Gauss-Newton", centre with { Kind = SubspaceKind.GaussNewton });
        yield return centre.Tolerance < 1e-4
            ? With(3, "tolerance 1e-3", centre with { Tolerance = 1e-3 })
            : With(5, "tolerance 1e-5", centre with { Tolerance = 1e-5 });

        // A cosine over the whole budget keeps a faster method waiting: both once more in half of the steps.
        yield return (4, "base, half the steps", alone with { Budget = 0.5 });
        yield return (4, "centre, half the steps", hybrid with { Budget = 0.5 });
    }

    /// <summary>The trial with the lowest loss; runs that left the numbers do not count.</summary>
    /// <exception cref="InvalidOperationException">All left the numbers.</exception>
    public static RunResult Best(IEnumerable<RunResult> trials) =>
        trials.Where(trial => trial.Finite).MinBy(trial => trial.BestWithin(1))
        ?? throw new InvalidOperationException("No trial ended with a finite loss.");
}
