using System;
using System.Collections.Generic;
using System.Diagnostics;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Experiments;

/// <summary>Makes one run: a model on one stage, trained for the task's budget, its loss followed on fixed samples.</summary>
internal sealed class TrainingRun : IDisposable
{
    private const int Measurements = 25;
    private const int Chunk = 250;

    private readonly TrainingTask task;
    private readonly RunSettings settings;
    private readonly TrainingState state;
    private readonly ITrainingMethod method;
    private readonly Generator sampler;
    private readonly int steps;

    /// <param name="task">The task.</param>
    /// <param name="settings">The run's settings.</param>
    /// <param name="create">Makes what moves the parameters; the runtime's own optimizer by default.</param>
    public TrainingRun(TrainingTask task, RunSettings settings, Func<TrainingState, ITrainingMethod>? create = null)
    {
        this.task = task;
        this.settings = settings;
        steps = (int)Math.Round(settings.Budget * task.Steps);
        state = new TrainingState(task, settings);
        method = create?.Invoke(state) ?? new HybridMethod(state);
        sampler = new Generator((ulong)StageContext.SeedOf(settings.Seed, "training samples"));
    }

    /// <summary>Trains for the whole budget.</summary>
    public RunResult Run()
    {
        Stopwatch clock = Stopwatch.StartNew();
        TimeSpan processor = ProcessorTime();
        int every = Math.Max(1, task.Steps / Measurements);
        List<int> measured = [];
        List<double> losses = [];
        for (int step = 0; step <= steps; step++)
        {
            if (step % every == 0 || step == steps)
            {
                measured.Add(step);
                losses.Add(TrainingState.Digits(Loss()));
                if (!double.IsFinite(losses[^1]))
                {
                    break;
                }
            }

            if (step < steps)
            {
                Advance(step);
            }
        }

        (double testLoss, double? accuracy) = Test();
        return method.Describe(new RunResult(
            settings, [.. measured], [.. losses], TrainingState.Digits(testLoss), accuracy, [], 0, [], [], [],
            Math.Round(clock.Elapsed.TotalSeconds, 1), Math.Round((ProcessorTime() - processor).TotalSeconds, 1)));
    }

    /// <summary>Makes one step, and what is due before it.</summary>
    /// <param name="step">Steps made so far.</param>
    public void Advance(int step)
    {
        method.Prepare(step);
        method.Share = settings.Cosine ? 0.5 * (1 + Math.Cos(Math.PI * step / steps)) : 1;
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets) = task.Take(randint(0, task.Samples, [task.Batch], ScalarType.Int64, generator: sampler));
        method.Step(inputs, targets);
    }

    public void Dispose()
    {
        method.Dispose();
        state.Dispose();
        sampler.Dispose();
    }

    private double Loss()
    {
        (Tensor inputs, Tensor targets) = task.EvaluationSamples();
        return Evaluate(inputs, targets).Loss;
    }

    private (double Loss, double? Accuracy) Test()
    {
        (Tensor inputs, Tensor targets) = task.TestSamples();
        return Evaluate(inputs, targets);
    }

    // In chunks, so that activations stay small; takes over both tensors.
    private (double Loss, double? Accuracy) Evaluate(Tensor inputs, Tensor targets)
    {
        using IDisposable noGrad = no_grad();
        long count = inputs.shape[0];
        double loss = 0;
        double hits = 0;
        for (long first = 0; first < count; first += Chunk)
        {
            using DisposeScope scope = NewDisposeScope();
            long size = Math.Min(Chunk, count - first);
            Tensor part = targets.narrow(0, first, size);
            Tensor[] results = state.Stage.Forward([inputs.narrow(0, first, size)]);
            loss += task.Model.Loss(results, [part]).item<float>() * size;
            hits += task.HasAccuracy ? results[0].argmax(1).eq(part).to_type(ScalarType.Float64).sum().item<double>() : 0;
        }

        inputs.Dispose();
        targets.Dispose();
        return (loss / count, task.HasAccuracy ? hits / count : null);
    }

    private static TimeSpan ProcessorTime() => Environment.CpuUsage.TotalTime;
}
