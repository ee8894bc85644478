using System;
using System.Collections.Generic;
using System.Diagnostics.Metrics;
using System.IO;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using Dho2.Data;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>What a run says about how far it is.</summary>
public sealed class ProgressTests
{
    private static readonly TrainingStatus Status = new(TimeSpan.FromSeconds(155.4))
    {
        Idle = 0.314,
        PlannedIdle = 0.2,
        ResidentBytes = 88_200_000,
        PlannedBytes = 100L << 20,
        Eigenvalues = [12.345, 8.1, 0.55],
    };

    [Fact]
    public void ALineHasAllOfItAndLeavesOutWhatMattersLeastWhereItIsTooLong()
    {
        StepCompleted step = Step(200, TimeSpan.FromSeconds(60));
        const string whole = "epoch 2, step 200/404: loss 0.1235, 812 samples/s, 2 min 35 s left, idle 31 % (plan 20 %), memory 84.1 MiB (plan 100 MiB), eigenvalues 12.3 8.1 0.55";
        Assert.Equal(whole, step.ToText());
        for (int width = 0; width <= whole.Length; width++)
        {
            string text = step.ToText(width);
            Assert.True(text.Length <= width);
            Assert.StartsWith(text, whole, StringComparison.Ordinal);
        }

        Assert.Equal("epoch 2, step 200/404: loss 0.1235, 812 samples/s", step.ToText(60));
        Assert.Equal("epoch 2, step 200/404: loss 0.1235, 812 samples/s", (step with { Status = null }).ToText());
        Assert.EndsWith(", eigenvalues 12.3 8.1 0.55, curvature takes 20 % of the time", (step with { Status = Status with { CurvatureCost = 1.25 } }).ToText(), StringComparison.Ordinal);
        CurvatureCompared compared = new(801, 100, 1.06, 1.5, CurvatureVerdict.DoesNotPay);
        Assert.EndsWith(", eigenvalues 12.3 8.1 0.55, curvature does not pay (1.06 in steps, 0.71 in time)", (step with { Status = Status with { CurvatureCost = 1.25, Comparison = compared } }).ToText(), StringComparison.Ordinal);
        Assert.EndsWith(", 3 h 25 min left, memory 0 B (plan 0 B)", (step with { Status = new(TimeSpan.FromMinutes(205.9)) }).ToText(), StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutATerminalThereIsALineNowAndThen()
    {
        var output = new StringWriter { NewLine = "\n" };
        var line = new ProgressLine(output, width: null);
        for (int second = 1; second <= 60; second++)
        {
            line.Show(Step(second, TimeSpan.FromSeconds(second)) with { Status = new(TimeSpan.FromSeconds(60 - second)) });
        }

        line.Clear();
        Assert.Equal([10, 20, 30, 40, 50, 60], StepsOf(output));

        // Ten hours: every six minutes would be a hundred lines, but no silence is longer than five.
        output.GetStringBuilder().Clear();
        line = new ProgressLine(output, width: null);
        for (int minute = 1; minute <= 30; minute++)
        {
            line.Show(Step(minute, TimeSpan.FromMinutes(minute)) with { Status = new(TimeSpan.FromMinutes(600 - minute)) });
        }

        Assert.Equal([5, 10, 15, 20, 25, 30], StepsOf(output));
    }

    [Fact]
    public void InATerminalOneLineIsWrittenOverAndMakesRoom()
    {
        var output = new StringWriter { NewLine = "\n" };
        int width = 81;
        var line = new ProgressLine(output, () => width);
        line.Show(Step(100, TimeSpan.FromSeconds(1)));
        line.Show(Step(101, TimeSpan.FromSeconds(1.1)));
        width = 50;
        line.Show(Step(102, TimeSpan.FromSeconds(1.3)));
        line.Clear();
        line.Clear();

        string first = "epoch 2, step 100/404: loss 0.1235, 812 samples/s, 2 min 35 s left", second = "epoch 2, step 102/404: loss 0.1235, 812 samples/s";
        Assert.Equal($"\r{first}\r{second}{new string(' ', first.Length - second.Length)}\r{new string(' ', second.Length)}\r", output.ToString());
    }

    [Fact]
    public void TheStatusIsTheRunsOwn()
    {
        var steps = new List<StepCompleted>();
        double[] largest = [];
        PlanOverrides overrides = new() { Curvature = new(4, 1, Every: 100, Warmup: 5, Batch: 0, Alpha: 0.1, MaxScale: 3, CurvatureScope.Global) };
        Fit(2, overrides, beforeForward: null, trainer =>
        {
            trainer.StepCompleted += steps.Add;
            trainer.CurvatureRefreshed += refreshed => largest = [.. refreshed.Estimate.Eigenvalues.OrderDescending().Take(3)];
        }, trainer => Assert.All(steps, step => Assert.Equal(trainer.Plan.Stages.Sum(stage => stage.KnownBytes), step.Status!.PlannedBytes)));
        Assert.Equal(16, steps.Count);
        Assert.Equal(TimeSpan.Zero, steps[^1].Status!.Remaining);
        Assert.All(steps, step => Assert.InRange(step.Status!.Idle!.Value, 0, 1));
        Assert.All(steps, step => Assert.InRange(step.Status!.PlannedIdle, 0.1, 0.9));
        Assert.Empty(steps[0].Status!.Eigenvalues);
        Assert.Equal(3, largest.Length);
        Assert.Equal(largest, steps[^1].Status!.Eigenvalues);
        Assert.All(steps.SkipLast(1), step => Assert.Equal(
            step.Elapsed.TotalSeconds * (16 - step.Result.Step) / step.Result.Step, step.Status!.Remaining.TotalSeconds, 1e-3));
    }

    [Fact]
    public void ARankThatWaitsForASlowOneIsIdle()
    {
        var idle = new List<double>();

        // The second stage's work is nothing but sleep, and the first has next to none: one of two ranks waits.
        Fit(2, new(), (stage, _) => Thread.Sleep(stage == 1 ? 20 : 0), trainer => trainer.StepCompleted += step => idle.Add(step.Status!.Idle!.Value));
        Assert.InRange(idle[^1], 0.25, 0.75);
    }

    [Fact]
    public void TheMeterSaysWhatTheEventsSay()
    {
        var seen = new List<(string Name, double Value, int Thread)>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listening) =>
            {
                if (instrument.Meter.Name == "Dho2" && instrument.Name.StartsWith("dho2.training.", StringComparison.Ordinal))
                {
                    listening.EnableMeasurementEvents(instrument);
                }
            },
        };
        void Note(string name, double value)
        {
            lock (seen)
            {
                seen.Add((name, value, Environment.CurrentManagedThreadId));
            }
        }

        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Note(instrument.Name, value));
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Note(instrument.Name, value));
        listener.Start();
        var losses = new List<double>();
        int thread = 0;
        Fit(2, new(), beforeForward: null, trainer => trainer.StepCompleted += step =>
        {
            losses.Add(step.Result.Loss);
            thread = Environment.CurrentManagedThreadId;
        });

        // Other tests train meanwhile, on threads of their own.
        double[] Of(string name) => [.. seen.Where(s => s.Thread == thread && s.Name == name).Select(s => s.Value)];
        Assert.Equal(losses, Of("dho2.training.loss"));
        Assert.Equal(2 * 256, Of("dho2.training.samples").Sum());
        Assert.All(Of("dho2.training.idle"), share => Assert.InRange(share, 0, 1));
    }

    [Fact]
    public void OneRankHasNobodyToWaitFor()
    {
        StepCompleted? last = null;
        Fit(1, new(), beforeForward: null, trainer => trainer.StepCompleted += step => last = step);
        Assert.Null(last!.Status!.Idle);
        Assert.DoesNotContain("idle", last.ToText(), StringComparison.Ordinal);
    }

    private static StepCompleted Step(int step, TimeSpan elapsed) =>
        new(new StepResult(step, 0.12349, 1, 0.1, 64), 404, 2, 812.3, elapsed) { Status = Status };

    private static int[] StepsOf(StringWriter output) =>
        [.. output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(text => int.Parse(text.Split("step ")[1].Split('/')[0], System.Globalization.CultureInfo.InvariantCulture))];

    private static void Fit(int stages, PlanOverrides overrides, Action<int, int>? beforeForward, Action<Trainer> prepare, Action<Trainer>? look = null)
    {
        (Tensor points, Tensor labels) = ChainModel.Data(256, ScalarType.Float64);
        using TensorDataset data = new(points, labels);
        points.Dispose();
        labels.Dispose();
        using var world = World.Join();
        using var trainer = new Trainer(
            ChainModel.Define(stages, beforeForward: beforeForward), world, new TrainingOptions { LearningRate = 0.1, Epochs = 2, Overrides = overrides with { DType = DType.Float64 } });
        prepare(trainer);
        trainer.Fit(data);
        look?.Invoke(trainer);
    }
}
