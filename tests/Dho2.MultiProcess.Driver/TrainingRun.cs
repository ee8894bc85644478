using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using Dho2.Data;
using Dho2.Planning;
using Dho2.Tests.Training;
using TorchSharp;

namespace Dho2.MultiProcess.Driver;

/// <summary>
/// Trains a small model, in whatever world it is started, and does what goes wrong where it is asked to: on one rank, in
/// one kind of work, from one step on.
/// </summary>
internal static class TrainingRun
{
    public static int Run(string[] arguments)
    {
        Dictionary<string, string> options = [];
        for (int i = 0; i + 1 < arguments.Length; i += 2)
        {
            options[arguments[i]] = arguments[i + 1];
        }

        string Text(string name, string otherwise) => options.GetValueOrDefault("--" + name, otherwise);
        int Number(string name, int otherwise) => int.Parse(Text(name, otherwise.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);

        torch.set_num_threads(1);
        var fault = new Fault(Text("fault", "none"), Number("fault-rank", 0), Text("fault-at", "Forward"), Number("fault-step", 2), Number("fault-delay", 0), Text("fault-mark", ""));
        if (fault.IsOnRankOfTheEnvironment && fault.Kind == "absent")
        {
            Thread.Sleep(Timeout.Infinite);
        }

        World world;
        try
        {
            world = World.Join();
        }
        catch (CommunicationException e)
        {
            Console.Error.WriteLine(e.Message);
            return 3;
        }

        using (world)
        {
            if (world is { IsLeader: true, PreviousFailure: { } previous })
            {
                Console.WriteLine($"previous: {previous}");
            }

            try
            {
                fault.Watch(world);
                Train(world, fault, Text("kind", "plain"), Number("stages", 2), Number("replicas", 0), Number("epochs", 2), Text("losses", ""), Text("record", ""), Number("buckets", 1));
                return 0;
            }
            catch (Exception e)
            {
                return world.Report(e);
            }
        }
    }

    private static void Train(World world, Fault fault, string kind, int stages, int replicas, int epochs, string losses, string record, int buckets)
    {
        (torch.Tensor points, torch.Tensor labels) = ChainModel.Data(320, torch.ScalarType.Float32);
        using var data = new TensorDataset(points, labels);
        PlanOverrides overrides = new()
        {
            MicroBatches = 4,
            Batch = fault is { Kind: "build", IsHere: true } ? 40 : 32,
            Replicas = replicas > 0 ? replicas : null,
            Curvature = kind is "curvature" or "dedicated"
                ? new CurvatureOptions(2, 0, 3, 1, 0, 0.01, 3, CurvatureScope.Global, Mode: kind == "dedicated" ? CurvatureMode.Dedicated : CurvatureMode.Blocking)
                : null,
            Admm = kind == "admm" ? new AdmmOptions(2, 0.1, 1, AdmmRule.Consensus) : null,
        };
        using var trainer = new Trainer(
            ChainModel.Define(stages, dropout: 0.1, beforeForward: (_, _) => fault.Here()), world, new TrainingOptions
            {
                LearningRate = 0.05,
                Epochs = epochs,
                GradientBuckets = buckets,
                Overrides = overrides,
                Record = record.Length > 0 ? new RecordOptions { Folder = record } : null,
            });
        using StreamWriter? file = losses.Length > 0 && world.IsLeader ? new StreamWriter(losses) { AutoFlush = true } : null;
        trainer.StepCompleted += step => file?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{step.Result.Loss:R} {step.Result.GradientNorm:R}"));
        trainer.Fit(data);
        Evaluation evaluation = trainer.Evaluate(data);
        file?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{evaluation.Loss:R} {evaluation.Accuracy:R}"));
        if (world.IsLeader)
        {
            Console.WriteLine($"trained over {world.Transport}");
        }
    }

    /// <summary>What goes wrong.</summary>
    private sealed class Fault(string kind, int rank, string at, int step, int delay, string mark)
    {
        private RankActivity? activity;

        public string Kind => kind;

        /// <summary>Whether this process's rank is the one, once the world was joined.</summary>
        public bool IsHere => activity is not null;

        /// <summary>Whether this process's rank is the one, by the launcher's variables.</summary>
        public bool IsOnRankOfTheEnvironment => Launcher.Detect().Rank == rank;

        public void Watch(World world)
        {
            if (kind == "none" || world is not ProcessWorld processes || Launcher.Detect().Rank != rank)
            {
                return;
            }

            activity = processes.Activity;
            if (kind == "kill")
            {
                new Thread(() =>
                {
                    while (!IsNow())
                    {
                        Thread.SpinWait(20);
                    }

                    // Anywhere within a few steps.
                    long start = Stopwatch.GetTimestamp();
                    while (Stopwatch.GetElapsedTime(start).TotalMicroseconds < delay)
                    {
                        Thread.SpinWait(20);
                    }

                    Mark();
                    Process.GetCurrentProcess().Kill();
                })
                { IsBackground = true }.Start();
            }
        }

        /// <summary>Called in every forward of this process's stage.</summary>
        public void Here()
        {
            if (activity is null || kind is not ("hang" or "throw" or "exit") || !IsNow())
            {
                return;
            }

            Mark();
            if (kind == "hang")
            {
                Thread.Sleep(Timeout.Infinite);
            }
            else if (kind == "throw")
            {
                throw new InvalidOperationException("out of paper");
            }
            else if (kind == "exit")
            {
                Environment.Exit(5);
            }
        }

        /// <summary>Notes when it went wrong: how long the others take is counted from there.</summary>
        private void Mark()
        {
            if (mark.Length > 0)
            {
                File.WriteAllText(mark, DateTime.UtcNow.ToString("O", CultureInfo.InvariantCulture));
            }
        }

        private bool IsNow() => activity?.Current is { } now && now.Step >= step && now.Doing.Contains(at, StringComparison.OrdinalIgnoreCase);
    }
}
