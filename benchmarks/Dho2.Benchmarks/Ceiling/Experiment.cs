using System;
using System.Collections.Generic;
using System.Linq;
using Dho2;

namespace Dho2.Benchmarks.Ceiling;

/// <summary>
/// The design of the experiment: which runs there are. Tuning picks each base's rate and rate schedule, then the
/// hybrid's rate and alpha at the centre; the factors vary one at a time around it.
/// </summary>
internal sealed class Experiment
{
    /// <summary>The seed of every tuning run; it is not among the measured ones.</summary>
    public const int TuningSeed = 100;

    /// <summary>The centre of the hybrid's settings.</summary>
    public static readonly CurvatureSettings Centre = new();

    private static readonly double[] HeavyBallRates = [0.01, 0.02, 0.05, 0.1, 0.2];
    private static readonly double[] AdamRates = [3e-4, 1e-3, 2e-3, 5e-3, 1e-2];
    private static readonly double[] LargeHeavyBallRates = [0.1, 0.3, 1, 3, 10];

    /// <summary>The base alone over rates x {constant, cosine}: ten trials a base.</summary>
    public static IEnumerable<RunSettings> BaseTrials(CeilingTask task, BaseKind kind) =>
        from rate in kind == BaseKind.Adam ? AdamRates : task.LargeRates ? LargeHeavyBallRates : HeavyBallRates
        from cosine in new[] { false, true }
        select new RunSettings(task.Name, kind, rate, cosine, TuningSeed, null);

    /// <summary>The hybrid at the centre over rates x alpha, with the tuned base's schedule: six trials a base.</summary>
    public static IEnumerable<RunSettings> HybridTrials(RunSettings tunedBase) =>
        from factor in new[] { 1.0, 1 / 3.0 }
        from alpha in new[] { 0.01, 0.03, 0.1 }
        select tunedBase with
        {
            LearningRate = tunedBase.LearningRate * factor,
            Curvature = Centre with { Alpha = alpha, MaxScale = tunedBase.Base == BaseKind.Adam ? 1 : Centre.MaxScale },
        };

    /// <summary>The varied settings, by the name they have in the report, around a tuned hybrid.</summary>
    public static IEnumerable<(string Name, RunSettings Settings)> Variations(RunSettings hybrid)
    {
        CurvatureSettings centre = hybrid.Curvature!;
        (string, RunSettings) With(string name, CurvatureSettings curvature) => (name, hybrid with { Curvature = curvature });
        yield return With("centre", centre);
        yield return With("every 25", centre with { Every = 25 });
        yield return With("every 400", centre with { Every = 400 });
        yield return With("once", centre with { Every = int.MaxValue });
        yield return With("k = 5", centre with { Rank = 5 });
        yield return With("k = 20", centre with { Rank = 20 });
        yield return With("curvature batch 64", centre with { Batch = 64 });
        yield return With("curvature batch 1024", centre with { Batch = 1024 });
        yield return With("c_max = 1", centre with { MaxScale = 1 });
        yield return With("alpha = 0", centre with { Alpha = 0 });
        yield return With("random V", centre with { Kind = SubspaceKind.Random });
        yield return With("base at lr x scale", centre with { Kind = SubspaceKind.ScaleOnly });
        yield return With("Gauss-Newton", centre with { Kind = SubspaceKind.GaussNewton });
    }

    /// <summary>The trial with the lowest loss at the end; runs that left the numbers do not count.</summary>
    public static RunResult Best(IEnumerable<RunResult> trials) =>
        trials.Where(trial => trial.Finite).MinBy(trial => trial.BestWithin(1))
        ?? throw new InvalidOperationException("No trial ended with a finite loss.");
}
