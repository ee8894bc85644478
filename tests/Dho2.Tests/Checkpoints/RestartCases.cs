using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Dho2.Checkpoints;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Optimizers;
using Dho2.Planning;
using Dho2.Tests.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Checkpoints;

/// <summary>Runs that are stopped and go on: every base, with and without curvature, alone and under both rules of ADMM.</summary>
internal static class RestartCases
{
    public const int StopAfter = 12;
    public const int SavedAt = 10;
    private const int StepsPerEpoch = 7;
    private const int Epochs = 3;

    private static readonly CurvatureOptions Global = new(
        Rank: 3, Smallest: 1, Every: 4, Warmup: 3, Batch: 0, Alpha: 0.05, MaxScale: 3, CurvatureScope.Global);

    /// <summary>All cases by name: what replaces the model's numbers, and the options.</summary>
    public static IReadOnlyDictionary<string, TrainingOptions> All { get; } = Create();

    /// <summary>Trains and says what it came to: the bits of every step's loss, of every epoch's evaluation, and of the final parameters.</summary>
    /// <param name="name">The case.</param>
    /// <param name="folder">Where its checkpoints are; null for none.</param>
    /// <param name="stop">Whether to fail after step <see cref="StopAfter"/>.</param>
    /// <param name="trial">Trials of curvature; null for none.</param>
    /// <param name="compared">Takes what they came to.</param>
    public static List<string> Run(string name, string? folder, bool stop, CurvatureTrial? trial = null, Action<CurvatureCompared>? compared = null)
    {
        var lines = new List<string>();
        TrainingOptions options = All[name];
        (Tensor points, Tensor labels) = ChainModel.Data(32 * StepsPerEpoch, float32);
        using (points)
        using (labels)
        {
            using var data = new TensorDataset(points, labels);
            using var world = World.Join();
            using var trainer = new Trainer(ChainModel.Define(2, blocks: 3, dropout: 0.1, batchNorm: true), world, options with
            {
                CurvatureTrial = trial,
                Checkpoints = folder is null ? null : new CheckpointOptions { Folder = Path.Combine(folder, name), Every = SavedAt },
            });
            if (trainer.Resumed is { } resumed)
            {
                lines.Add($"{name} resumed {resumed.Step}");
            }

            void Add(string what, long at, double value) =>
                lines.Add(string.Create(CultureInfo.InvariantCulture, $"{name} {what} {at} {BitConverter.DoubleToInt64Bits(value):x16}"));
            trainer.CurvatureRefreshed += refreshed => Add("eigenvalue", refreshed.Step, refreshed.Estimate.Eigenvalues[^1]);
            trainer.CurvatureCompared += compared;
            trainer.StepCompleted += step =>
            {
                Add("loss", step.Result.Step, step.Result.Loss);
                if (stop && step.Result.Step == StopAfter)
                {
                    throw new OperationCanceledException("stopped");
                }
            };
            trainer.EpochCompleted += epoch =>
            {
                Add("training loss", epoch.Epoch, epoch.TrainingLoss);
                Add("test loss", epoch.Epoch, epoch.Test!.Loss);
            };
            try
            {
                trainer.Fit(data, data);
            }
            catch (OperationCanceledException) when (stop)
            {
                return lines;
            }

            using nn.Module model = ChainModel.Define(1, blocks: 3, dropout: 0.1, batchNorm: true).Unsplit(0);
            trainer.CopyTo(model);
            foreach ((string parameter, Tensor value) in model.state_dict())
            {
                lines.Add($"{name} {parameter} {FileDigest.Of(value.contiguous().bytes)}");
            }
        }

        return lines;
    }

    private static Dictionary<string, TrainingOptions> Create()
    {
        var cases = new Dictionary<string, TrainingOptions>();
        foreach (BaseKind kind in Enum.GetValues<BaseKind>())
        {
            foreach ((string curvature, CurvatureOptions? options) in new[] { ("first-order", null), ("hybrid", Global) })
            {
                foreach ((string rule, AdmmOptions? admm) in new (string, AdmmOptions?)[]
                {
                    ("alone", null),
                    ("consensus", new AdmmOptions(4, 0.1, 1, AdmmRule.Consensus)),
                    ("dual", new AdmmOptions(4, 0.5, 1, AdmmRule.Dual)),
                })
                {
                    cases[$"{kind}-{curvature}-{rule}"] = Options(new()
                    {
                        Base = kind,
                        Curvature = options,
                        Admm = admm,
                        Replicas = admm is null ? 1 : 2,
                        Batch = admm is null ? 32 : 16,
                    });
                }
            }
        }

        cases["blocks"] = Options(new() { Curvature = Global with { Scope = CurvatureScope.Stage } });
        cases["amortized"] = Options(new() { Curvature = Global with { Mode = CurvatureMode.Amortized } });
        cases["dedicated"] = Options(new() { Curvature = Global with { Mode = CurvatureMode.Dedicated, Delay = 3 } });
        cases["amortized-consensus"] = Options(new()
        {
            Replicas = 2,
            Batch = 16,
            Curvature = Global with { Mode = CurvatureMode.Amortized },
            Admm = new AdmmOptions(4, 0.1, 1, AdmmRule.Consensus),
        });
        cases["reduced"] = Options(new() { Curvature = Global, Replicas = 2, Batch = 16 });
        foreach (BaseKind kind in new[] { BaseKind.HeavyBall, BaseKind.Adam })
        {
            cases[$"sharded-{kind}"] = Options(new() { Base = kind, Curvature = Global, Replicas = 2, Batch = 16, ShardOptimizer = true });
        }

        cases["sharded-first-order"] = Options(new() { Base = BaseKind.Adam, Replicas = 3, Batch = 12, ShardOptimizer = true });
        cases["sharded-blocks"] = Options(new() { Curvature = Global with { Scope = CurvatureScope.Stage }, Replicas = 2, Batch = 16, ShardOptimizer = true });
        cases["sharded-amortized"] = Options(new()
        {
            Curvature = Global with { Mode = CurvatureMode.Amortized },
            Replicas = 2,
            Batch = 16,
            ShardOptimizer = true,
        });
        cases["bfloat16"] = Options(new() { Curvature = Global }) with { Update = new HybridSettings { VectorType = ScalarType.BFloat16 } };
        cases["balanced"] = Options(new() { Replicas = 2, Batch = 16, Admm = new AdmmOptions(2, 0.1, 1, AdmmRule.Consensus) })
            with
        { ResidualBalance = new() { Ratio = 1.5 } };
        cases["schedule"] = Options(new()) with
        {
            FinalLearningRate = null,
            LearningRateSchedule = optimizer => optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience: 1),
        };
        cases["plateau"] = Options(new() { Curvature = Global }) with
        {
            FinalLearningRate = null,
            ScheduleUnit = ScheduleUnit.Epoch,
            LearningRateSchedule = optimizer => optim.lr_scheduler.ReduceLROnPlateau(optimizer, threshold: 1, patience: 0),
        };
        cases["random"] = Options(new() { Curvature = Global }) with { Update = new HybridSettings { RandomDirections = true } };
        return cases;
    }

    private static TrainingOptions Options(PlanOverrides overrides) => new()
    {
        LearningRate = overrides.Base == BaseKind.Adam ? 0.01 : 0.05,
        FinalLearningRate = 0.001,
        Epochs = Epochs,
        Seed = 5,
        GradientClip = 2,
        ThreadsPerRank = 1,
        Overrides = overrides,
    };
}
