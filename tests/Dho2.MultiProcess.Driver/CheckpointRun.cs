using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading;
using Dho2.Checkpoints;
using Dho2.Communication;
using Dho2.Data;
using Dho2.Planning;
using Dho2.Tests.Training;
using TorchSharp;

namespace Dho2.MultiProcess.Driver;

/// <summary>
/// Trains a small model that saves, in whatever world it is started, and goes on where an earlier start has ended:
/// <c>FOLDER|none STAGES REPLICAS KIND LOSSES [KILLED-RANK STEP]</c>. Losses are written with all their bits.
/// </summary>
internal static class CheckpointRun
{
    private const int Blocks = 6;
    private const int StepsPerEpoch = 5;
    private const int Epochs = 3;

    // Of all replicas together, so that every layout takes the same steps.
    private const int Batch = 32;
    private const int MicroBatches = 4;

    public static int Run(string folder, int stages, int replicas, string kind, string losses, int killedRank, long killedAt)
    {
        torch.set_num_threads(1);
        using World world = World.Join();
        try
        {
            Train(world, folder, stages, replicas, kind, losses, killedRank, killedAt);
            return 0;
        }
        catch (Exception e)
        {
            return world.Report(e);
        }
    }

    private static void Train(World world, string folder, int stages, int replicas, string kind, string losses, int killedRank, long killedAt)
    {
        (torch.Tensor points, torch.Tensor labels) = ChainModel.Data(Batch * StepsPerEpoch, torch.ScalarType.Float64);
        using var data = new TensorDataset(points, labels);
        bool isKilled = killedRank >= 0 && Launcher.Detect().Rank == killedRank;
        int forwards = 0;
        void CountForward(int stage, int microBatch)
        {
            // Every step has as many forwards of a stage as micro-batches: the rank ends in the middle of a step.
            if (isKilled && ++forwards > killedAt * (MicroBatches / replicas))
            {
                // Files are written beside training, which on a busy machine may be far ahead of them.
                while (new CheckpointStore(folder).Steps.Count == 0)
                {
                    Thread.Sleep(1);
                }

                Process.GetCurrentProcess().Kill();
            }
        }

        using var trainer = new Trainer(ChainModel.Define(stages, Blocks, dropout: 0.1, beforeForward: CountForward), world, new TrainingOptions
        {
            LearningRate = 0.03,
            FinalLearningRate = 0.001,
            Epochs = Epochs,
            Seed = 4,
            GradientClip = 2,
            ThreadsPerRank = 1,
            Checkpoints = folder == "none" ? null : new CheckpointOptions { Folder = folder, Every = 2 },
            Overrides = new PlanOverrides
            {
                DType = DType.Float64,
                Replicas = replicas,
                Batch = Batch / replicas,
                MicroBatches = MicroBatches / replicas,
                ShardOptimizer = kind == "sharded",
                Curvature = kind == "admm" ? null : new CurvatureOptions(3, 0, 100, 3, 0, 0.05, 3, CurvatureScope.Global),
                Admm = kind == "admm" ? new AdmmOptions(3, 0.1, 1, AdmmRule.Consensus) : null,
            },
        });
        using StreamWriter? file = world.IsLeader ? new StreamWriter(losses) { AutoFlush = true } : null;
        if (trainer.Resumed is { } resumed)
        {
            file?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"resumed {resumed.Step}"));
        }

        trainer.StepCompleted += step => file?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{step.Result.Step} {step.Result.Loss:R}"));
        trainer.Fit(data);
        Evaluation evaluation = trainer.Evaluate(data);
        file?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"end {evaluation.Loss:R}"));
    }
}
