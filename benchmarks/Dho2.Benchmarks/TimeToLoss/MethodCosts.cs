using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2;
using Dho2.Benchmarks.Experiments;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>What methods cost, in milliseconds of processor time: medians of rounds in which each was measured once.</summary>
/// <param name="Rounds">Rounds.</param>
/// <param name="Threads">Threads.</param>
/// <param name="Steps">A step, by method; of a hybrid without estimates.</param>
/// <param name="Products">
/// A product with the Hessian, by the samples that it is over, with all else that an estimate does divided among its products.
/// </param>
internal sealed record MethodCosts(int Rounds, int Threads, Dictionary<string, double> Steps, Dictionary<int, double> Products)
{
    /// <summary>The name that a task's costs are stored under.</summary>
    public static string NameFor(string task) => $"costs.{task}";

    /// <summary>A step of some settings.</summary>
    public double Step(RunSettings settings) => Steps[MethodOf(settings)];

    /// <summary>A product of some settings' estimates; 0 where they make none.</summary>
    public double Product(RunSettings settings) => settings.Curvature is { } curvature ? Products[curvature.Batch] : 0;

    /// <summary>Time of a run up to a step, estimates made by then included.</summary>
    /// <param name="run">The run.</param>
    /// <param name="steps">Steps, also parts of one.</param>
    public double TimeTo(RunResult run, double steps) => (steps * Step(run.Settings)) + Estimates(run, steps);

    /// <summary>Time of the estimates that are made before a step.</summary>
    public double Estimates(RunResult run, double steps) => Product(run.Settings) * (run.Refreshes ?? []).Zip(run.Products).Where(e => e.First < steps).Sum(e => (double)e.Second);

    /// <summary>What is measured in one.</summary>
    public static string MethodOf(RunSettings settings) =>
        settings.Preconditioner is { } preconditioner ? preconditioner.Kind.ToString()
        : settings.Curvature is { Kind: not SubspaceKind.ScaleOnly } curvature ? $"{settings.Base} k={curvature.Rank}"
        : settings.Base.ToString();

    /// <summary>Measures all methods of a task, taking turns of whole cycles of K-FAC's inverses, after a round that does not count.</summary>
    /// <param name="task">The task.</param>
    /// <param name="rounds">Rounds at least.</param>
    /// <param name="least">How long to go on with further rounds: short steps need many.</param>
    /// <param name="threads">Threads.</param>
    public static MethodCosts Measure(TrainingTask task, int rounds, TimeSpan least, int threads)
    {
        const int Cycle = 20;
        RunSettings HeavyBall(CurvatureSettings? curvature = null) => new(task.Name, BaseKind.HeavyBall, 1e-3, false, 1, curvature);
        CurvatureSettings curvature = Design.Curvature(task) with { Warmup = 0, Every = Cycle };
        CurvatureSettings cheap = curvature with { Batch = Design.CheapBatch(curvature) };
        RunSettings[] measured =
        [
            HeavyBall(), HeavyBall() with { Base = BaseKind.Adam }, HeavyBall(curvature), HeavyBall(curvature) with { Base = BaseKind.Adam },
            HeavyBall(cheap),
            HeavyBall() with { Base = BaseKind.Sgd, LearningRate = 0.1, Preconditioner = new(PreconditionerKind.LimitedBfgs, 0.3) },
            HeavyBall() with { Preconditioner = new(PreconditionerKind.Kfac, 0.03) },
        ];
        Participant[] participants = [.. measured.Select(settings => new Participant(task, settings))];
        try
        {
            int round = -1;
            long start = Stopwatch.GetTimestamp();
            for (; round < rounds || Stopwatch.GetElapsedTime(start) < least; round++)
            {
                // In turns from the first to the last and back: what one leaves behind falls to another every time.
                foreach (Participant participant in round % 2 == 0 ? participants : participants.Reverse())
                {
                    participant.Run((round + 1) * Cycle, Cycle, counts: round >= 0);
                }
            }

            return new MethodCosts(
                round,
                threads,
                participants.GroupBy(p => MethodOf(p.Settings)).ToDictionary(g => g.Key, g => Median([.. g.SelectMany(p => p.Steps)])),
                participants.Where(p => p.Settings.Curvature is not null).GroupBy(p => p.Settings.Curvature!.Batch)
                    .ToDictionary(g => g.Key, g => Median([.. g.SelectMany(p => p.Products)])));
        }
        finally
        {
            Array.ForEach(participants, p => p.Dispose());
        }
    }

    private static double Median(List<double> values) => Math.Round(values.Order().ElementAt(values.Count / 2), 3);

    private sealed class Participant : IDisposable
    {
        private readonly TrainingState state;
        private readonly ITrainingMethod method;
        private readonly Generator sampler = new(1);

        public Participant(TrainingTask task, RunSettings settings)
        {
            Settings = settings;
            state = new TrainingState(task, settings);
            method = TimeToLossTable.Create(state);
        }

        public RunSettings Settings { get; }

        public List<double> Steps { get; } = [];

        public List<double> Products { get; } = [];

        // An estimate, where the method makes one, and then some steps.
        public void Run(int first, int count, bool counts)
        {
            int before = ProductsSoFar();
            double estimate = Milliseconds(() => method.Prepare(first));
            int products = ProductsSoFar() - before;
            double steps = Milliseconds(() =>
            {
                for (int step = first; step < first + count; step++)
                {
                    using DisposeScope scope = NewDisposeScope();
                    if (step > first)
                    {
                        method.Prepare(step);
                    }

                    (Tensor inputs, Tensor targets) = state.Task.Take(randint(0, state.Task.Samples, [state.Task.Batch], ScalarType.Int64, generator: sampler));
                    method.Step(inputs, targets);
                }
            });
            if (counts)
            {
                Steps.Add(steps / count);
                if (products > 0)
                {
                    Products.Add(estimate / products);
                }
            }
        }

        public void Dispose()
        {
            method.Dispose();
            state.Dispose();
            sampler.Dispose();
        }

        private int ProductsSoFar() => method.Describe(new RunResult(Settings, [], [], 0, null, [], 0, [], [], [], 0, 0)).Products.Sum();

        private static double Milliseconds(Action action)
        {
            TimeSpan before = Environment.CpuUsage.TotalTime;
            action();
            return (Environment.CpuUsage.TotalTime - before).TotalMilliseconds;
        }
    }
}
