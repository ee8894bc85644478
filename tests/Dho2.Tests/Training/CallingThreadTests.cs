using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>Where a step's work is done: by one rank alone on the thread that made the trainer, unless something there keeps it from being the same.</summary>
public sealed class CallingThreadTests
{
    [Fact]
    public void OneRankStepsOnTheThreadThatMadeItsTrainer()
    {
        (List<Thread> threads, _) = Run((trainer, batch) => trainer.TrainStep(batch));
        Assert.NotEmpty(threads);
        Assert.All(threads, thread => Assert.Same(Thread.CurrentThread, thread));
    }

    [Fact]
    public void ManyRanksStepOnTheirOwn()
    {
        (List<Thread> threads, _) = Run((trainer, batch) => trainer.TrainStep(batch), stages: 2);
        Assert.NotEmpty(threads);
        Assert.All(threads, thread => Assert.StartsWith("Dho2 rank ", thread.Name, StringComparison.Ordinal));
    }

    [Fact]
    public void StepsFromOtherThreadsAreTheRanksAndTheSame()
    {
        double here = Run((trainer, batch) => trainer.TrainStep(batch)).Loss;
        (List<Thread> threads, double loss) = Run((trainer, batch) =>
        {
            StepResult? result = null;
            var other = new Thread(() => result = trainer.TrainStep(batch));
            other.Start();
            other.Join();
            return result!;
        });
        Assert.All(threads, thread => Assert.Equal("Dho2 rank 0", thread.Name));
        Assert.Equal(here, loss);
    }

    [Fact]
    public void WhatTheCallerHasSwitchedOffIsOnForTheRank()
    {
        double expected = Run((trainer, batch) => trainer.TrainStep(batch)).Loss;
        Assert.Equal(expected, Within(no_grad));
        Assert.Equal(expected, Within(() => inference_mode()));

        double Within(Func<IDisposable> mode) => Run((trainer, batch) =>
        {
            using IDisposable off = mode();
            return trainer.TrainStep(batch);
        }).Loss;
    }

    [Fact]
    public void ACallerWithOtherNativeThreadsKeepsThem()
    {
        int before = get_num_threads();
        try
        {
            (List<Thread> threads, _) = Run((trainer, batch) =>
            {
                set_num_threads(before + 1);
                StepResult result = trainer.TrainStep(batch);
                Assert.Equal(before + 1, get_num_threads());
                return result;
            });
            Assert.All(threads, thread => Assert.Equal("Dho2 rank 0", thread.Name));
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Theory]
    [InlineData(OptimizerKind.FirstOrder)]
    [InlineData(OptimizerKind.Hybrid)]
    public void DisposeScopesOfTheCallerGetNothingOfTheTrainers(OptimizerKind optimizer)
    {
        double[] Losses(bool scoped)
        {
            var losses = new List<double>();
            int estimates = 0;
            Run(
                (trainer, batch) =>
                {
                    trainer.CurvatureRefreshed += _ => estimates++;
                    for (int step = 0; step < 5; step++)
                    {
                        using DisposeScope? scope = scoped ? NewDisposeScope() : null;
                        losses.Add(trainer.TrainStep(batch).Loss);
                    }

                    return trainer.TrainStep(batch);
                },
                options: Options with
                {
                    Optimizer = optimizer,
                    Overrides = optimizer == OptimizerKind.FirstOrder ? new() : new() { Curvature = Curvature },
                });
            Assert.Equal(optimizer == OptimizerKind.Hybrid, estimates >= 2);
            return [.. losses];
        }

        double[] expected = Losses(scoped: false);
        Assert.Equal(5, expected.Distinct().Count());
        Assert.Equal(expected, Losses(scoped: true));
    }

    [Fact]
    public void AStepWithinAStepIsRefusedAndEndsTheRun()
    {
        Trainer? inner = null;
        using DisposeScope scope = NewDisposeScope();
        Batch batch = CreateBatch();
        using var world = World.Join();
        using var trainer = new Trainer(ChainModel.Define(1, beforeForward: (_, _) => inner!.TrainStep(batch)), world, Options);
        inner = trainer;
        Exception failure = Assert.ThrowsAny<Exception>(() => trainer.TrainStep(batch));
        Assert.Contains("A rank cannot start work on all ranks", failure.ToString(), StringComparison.Ordinal);
        InvalidOperationException later = Assert.Throws<InvalidOperationException>(() => trainer.TrainStep(batch));
        Assert.StartsWith("The run has ended with a failure before: ", later.Message, StringComparison.Ordinal);
        Assert.Same(failure, later.InnerException);
    }

    private static CurvatureOptions Curvature { get; } = new(
        Rank: 2, Smallest: 0, Every: 2, Warmup: 1, Batch: 0, Alpha: 0.05, MaxScale: 1, Scope: CurvatureScope.Global, Order: 8);

    private static TrainingOptions Options => new() { ThreadsPerRank = get_num_threads(), Optimizer = OptimizerKind.FirstOrder };

    private static Batch CreateBatch()
    {
        (Tensor points, Tensor labels) = ChainModel.Data(32, float32);
        return new([points], [labels]);
    }

    // The last of some steps, and the threads of all forwards.
    private static (List<Thread> Threads, double Loss) Run(Func<Trainer, Batch, StepResult> steps, int stages = 1, TrainingOptions? options = null)
    {
        var threads = new List<Thread>();
        PipelineDefinition definition = ChainModel.Define(stages, beforeForward: (_, _) =>
        {
            lock (threads)
            {
                threads.Add(Thread.CurrentThread);
            }
        });
        using DisposeScope scope = NewDisposeScope();
        using var world = World.Join();
        using var trainer = new Trainer(definition, world, options ?? Options);
        Batch batch = CreateBatch();
        trainer.TrainStep(batch);
        threads.Clear();
        double loss = steps(trainer, batch).Loss;
        return (threads, loss);
    }
}
