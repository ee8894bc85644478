using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Admm;
using Dho2.Data;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Admm;

/// <summary>How the replicas of a run are tied together.</summary>
internal enum ReplicaRule
{
    /// <summary>Gradients are reduced in every step.</summary>
    Synchronous,

    /// <summary>Parameters are averaged once a period, and nothing else ties them.</summary>
    Averaging,

    /// <summary>Consensus ADMM.</summary>
    Consensus,
}

/// <summary>One run; also the key of its stored result.</summary>
internal sealed record AdmmSettings(
    ReplicaRule Rule, bool Hybrid, int Replicas, int Period, double Sigma, double Relaxation, bool Balance, double LearningRate, int Epochs, int Samples, long Seed);

/// <summary>What a run came to.</summary>
internal sealed record AdmmResult(
    AdmmSettings Settings, double TestLoss, double Accuracy, double[] AccuracyByEpoch, long Steps, double BytesPerRank, double LastPrimal, double LastDual, double LastSigma, double Seconds);

/// <summary>Trains on MNIST with the classes divided among the replicas: each sees its own and no others.</summary>
internal sealed class AdmmRun(string folder)
{
    private const int Classes = 10;

    public AdmmResult Run(AdmmSettings settings)
    {
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        using LabelledImages train = Mnist.LoadTraining(folder, Mnist.Mean, Mnist.Deviation);
        using LabelledImages test = Mnist.LoadTest(folder, Mnist.Mean, Mnist.Deviation);
        TensorDataset[] shards = [.. Enumerable.Range(0, settings.Replicas).Select(replica => Shard(train, settings, replica))];
        using TensorDataset testSet = new(test.Images, test.Labels);
        using var world = World.Join(TimeSpan.FromMinutes(10));
        using Trainer trainer = AdmmNet.CreateTrainer(world, Options(settings));
        double bytes = 0;
        StepResult last = null!;
        AdmmRound? round = null;
        List<double> accuracies = [];
        trainer.StepCompleted += step =>
        {
            last = step.Result;
            bytes += step.Result.Traffic!.Sent;
            round = step.Result.Round ?? round;
        };
        trainer.EpochCompleted += epoch => accuracies.Add(epoch.Test!.Accuracy!.Value);
        Evaluation evaluation;
        try
        {
            trainer.Fit(shards, testSet);
            evaluation = trainer.Evaluate(testSet);
        }
        catch (TrainingDivergedException)
        {
            evaluation = new Evaluation(double.NaN, 0, 0);
        }

        Array.ForEach(shards, shard => shard.Dispose());
        return new AdmmResult(
            settings, evaluation.Loss, evaluation.Accuracy ?? 0, [.. accuracies], last?.Step ?? 0, bytes,
            round?.PrimalResidual ?? 0, round?.DualResidual ?? 0, round?.Sigma ?? 0, System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    private static TrainingOptions Options(AdmmSettings settings) => new()
    {
        LearningRate = settings.LearningRate,
        FinalLearningRate = settings.LearningRate / 10,
        Epochs = settings.Epochs,
        Seed = settings.Seed,
        GradientClip = 3,
        ThreadsPerRank = 1,
        Optimizer = settings.Hybrid ? OptimizerKind.Hybrid : OptimizerKind.FirstOrder,
        ResidualBalance = settings.Balance ? new ResidualBalanceSettings() : null,
        Overrides = new PlanOverrides
        {
            Replicas = settings.Replicas,
            WithoutAdmm = settings.Rule == ReplicaRule.Synchronous,

            // Without a pull the dual variable has no effect either: what is left is averaging.
            Admm = settings.Rule switch
            {
                ReplicaRule.Synchronous => null,
                ReplicaRule.Averaging => new AdmmOptions(settings.Period, 1e-30, 1, AdmmRule.Consensus),
                _ => new AdmmOptions(settings.Period, settings.Sigma, settings.Relaxation, AdmmRule.Consensus),
            },
        },
    };

    /// <summary>The first samples of a replica's own classes: those whose number leaves the replica's when divided by the replicas.</summary>
    private static TensorDataset Shard(LabelledImages all, AdmmSettings settings, int replica)
    {
        using DisposeScope scope = NewDisposeScope();
        long[] labels = all.Labels.data<long>().ToArray();
        long[] own =
        [
            .. Enumerable.Range(0, labels.Length)
                .Where(i => labels[i] * settings.Replicas / Classes == replica)
                .Take(settings.Samples / settings.Replicas)
                .Select(i => (long)i),
        ];
        Tensor index = tensor(own);
        return new TensorDataset(all.Images.index_select(0, index), all.Labels.index_select(0, index));
    }
}
