using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;

namespace Dho2.Benchmarks.Communication;

/// <summary>
/// What a training step of the sample's network spends on communication: how long ranks are in calls of their
/// communicators, where they also wait for what others compute, and how long the same calls take with nothing to wait for.
/// </summary>
internal static class StepTrafficTable
{
    private const int WarmUp = 3;
    private static readonly TimeSpan JoinLimit = TimeSpan.FromMinutes(5);

    /// <summary>Measures and, on the leader, prints a row for each number of replicas that the world has ranks for.</summary>
    public static void Run(World world, bool quick)
    {
        int[] replicas = world.Size is { } size ? [size / StepNetStages] : [1, 2];
        List<string> rows = [.. replicas.Select(count => Measure(world, count, quick ? 10 : 40))];
        if (world.IsLeader)
        {
            Console.WriteLine("One training step of the MNIST sample's network (batch 256 a replica, 4 micro-batches, one thread a rank); slowest rank; median of steps");
            Console.WriteLine();
            Console.WriteLine("| stages x replicas | step, ms | in calls, waiting for others included, ms | the same calls alone, ms | of the step | calls | bytes sent |");
            Console.WriteLine("|---|---|---|---|---|---|---|");
            rows.ForEach(Console.WriteLine);
        }
    }

    /// <summary>The stages of the network.</summary>
    public const int StepNetStages = 2;

    private static string Measure(World world, int replicas, int steps)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var recording = new RecordingWorld(world);
        using Trainer trainer = StepNet.CreateTrainer(recording, new TrainingOptions
        {
            LearningRate = 0.01,
            ThreadsPerRank = 1,
            Overrides = new PlanOverrides { Replicas = replicas },
        });
        torch.manual_seed(1);
        int samples = trainer.Plan.Options.Batch * replicas;
        var batch = new Batch([torch.rand(samples, 1, 28, 28)], [torch.randint(0, 10, [samples], torch.ScalarType.Int64)]);
        var elapsed = new List<double>();
        var inside = recording.Ranks.Select(_ => new List<double>()).ToArray();
        for (int step = 0; step < WarmUp + steps; step++)
        {
            // The last one is kept, and not counted: keeping takes time.
            bool isLast = step == WarmUp + steps - 1;
            foreach ((_, CallRecorder recorder) in recording.Ranks)
            {
                recorder.IsRecording = isLast;
                recorder.Inside = TimeSpan.Zero;
            }

            long start = Stopwatch.GetTimestamp();
            trainer.TrainStep(batch);
            if (step >= WarmUp && !isLast)
            {
                elapsed.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                for (int i = 0; i < inside.Length; i++)
                {
                    inside[i].Add(recording.Ranks[i].Recorder.Inside.TotalMilliseconds);
                }
            }
        }

        double[] alone = Repeat(recording.Ranks, steps);
        double[] worst =
        [
            Median(elapsed), inside.Max(Median), alone.Max(), recording.Ranks.Max(r => r.Recorder.Calls), trainer.Traffic.Max(t => t.Sent),
        ];
        if (recording.Ranks.Count == 1)
        {
            recording.Ranks[0].Rank.AllReduce(worst, Reduction.Max);
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {StepNetStages} x {replicas} | {worst[0]:0.0} | {worst[1]:0.0} | {worst[2]:0.00} | {worst[2] / worst[0]:P1} | {worst[3]:0} | {worst[4]:#,0} |");
    }

    /// <summary>The calls of one step, made again and again by all ranks; milliseconds for each rank of this process.</summary>
    private static double[] Repeat(IReadOnlyList<(ICommunicator Rank, CallRecorder Recorder)> ranks, int turns)
    {
        double[] times = new double[ranks.Count];
        Exception? failure = null;
        Thread[] threads = [.. ranks.Select((rank, i) => new Thread(() =>
        {
            try
            {
                torch.set_num_threads(1);
                var each = new List<double>();
                for (int turn = 0; turn < turns; turn++)
                {
                    rank.Rank.Barrier();
                    long start = Stopwatch.GetTimestamp();
                    rank.Recorder.Repeat();
                    each.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                }

                times[i] = Median(each);
            }
            catch (Exception e)
            {
                failure ??= e;
                rank.Rank.Abort(e);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join(JoinLimit));
        return failure is null ? times : throw new InvalidOperationException("The calls of a step could not be made again.", failure);
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
