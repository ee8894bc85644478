using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using Dho2.Checkpoints;
using Dho2.Curvature;
using Dho2.Planning;
using Dho2.Records;
using TorchSharp;

namespace Dho2;

/// <summary>What a run writes into its manifests, and what it demands of those it goes on from.</summary>
internal static class RunManifest
{
    /// <summary>Makes the manifest of a checkpoint.</summary>
    public static CheckpointManifest Of(TrainingSetup setup, long step, int epoch, IReadOnlyList<RankReceipt> receipts) => new()
    {
        Model = setup.Plan.Model,
        Step = step,
        Epoch = epoch,
        Created = DateTimeOffset.UtcNow,
        Versions = Versions(),
        Plan = PlanOf(setup),
        Configuration = ConfigurationOf(setup),
        Parameters = [.. receipts.SelectMany(r => r.Parameters).OrderBy(p => p.Stage)],
        Buffers = [.. receipts.SelectMany(r => r.Buffers).OrderBy(b => b.Stage)],
        Files = [.. receipts.SelectMany(r => r.Files)],
    };

    /// <summary>Makes the manifest of a run's record.</summary>
    public static RecordManifest RecordOf(TrainingSetup setup, string transport) => new()
    {
        Model = setup.Plan.Model,
        Started = DateTimeOffset.UtcNow,
        Versions = Versions(),
        Plan = PlanOf(setup),
        Configuration = ConfigurationOf(setup),
        Transport = transport,
        Stages =
        [
            .. PlanReport.Of(setup.Plan, setup.Description).Stages.Zip(setup.Plan.Stages, (report, stage) => new RecordedStage(
                stage.Index,
                [.. report.Layers],
                report.Parameters,
                stage.CurvatureRank,
                [.. stage.Memory.Select(term => new RecordedTerm(term.Kind.ToString(), PlanReport.NameOf(term.Kind), term.Bytes, stage.PeakTerms.Contains(term), Lasts(term.Kind)))],
                stage.PeakBytes,
                stage.KnownBytes,
                DeviceMemory.Of(stage, setup.Description, setup.Plan.Options))),
        ],
        Ranks =
        [
            .. Enumerable.Range(0, setup.Layout.Size).Select(rank => (Rank: rank, Place: setup.Layout.PlaceOf(rank))).Select(rank =>
                new RecordedRank(rank.Rank, rank.Place.Role == RankRole.Worker, rank.Place.Replica, setup.Layout.StagesAt(rank.Place.Position))),
        ],
    };

    /// <summary>Refuses checkpoints that this run cannot go on from.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="stage">The rank's stage.</param>
    /// <param name="parameters">The rank's parameters.</param>
    /// <param name="count">Parameters of all stages.</param>
    /// <exception cref="CheckpointException">It is of another model, seed or base.</exception>
    public static void Check(TrainingSetup setup, CheckpointFolder folder, int stage, IReadOnlyList<Pipelines.FlatSegment> parameters, int count)
    {
        CheckpointManifest manifest = folder.Manifest;
        void Refuse(string cause) => throw new CheckpointException(System.IO.Path.Combine(folder.Path, CheckpointManifest.FileName), cause);
        if (manifest.Model != setup.Plan.Model)
        {
            Refuse($"it is of the model {manifest.Model}; this run trains {setup.Plan.Model}.");
        }

        Dictionary<string, StoredTensor> stored = manifest.Parameters.ToDictionary(p => p.Name, StringComparer.Ordinal);
        foreach (Pipelines.FlatSegment parameter in parameters)
        {
            string shape = string.Join(", ", parameter.Shape);
            string type = Checkpoints.TensorMemory.TypeOf(setup.DType).Name();
            if (!stored.TryGetValue(parameter.Name, out StoredTensor? found))
            {
                Refuse($"it has no parameter '{parameter.Name}' ({shape}), which stage {stage} of this run has.");
            }
            else if (!found.Shape.SequenceEqual(parameter.Shape) || found.Type != type)
            {
                Refuse($"its '{found.Name}' is {found.Type} of shape ({string.Join(", ", found.Shape)}); this run's is {type} of shape ({shape}).");
            }
        }

        if (stored.Count != count)
        {
            Refuse($"it has {stored.Count} parameters; this run's model has {count}.");
        }

        Dictionary<string, string> own = ConfigurationOf(setup);
        foreach (string name in new[] { "seed", "base" })
        {
            if (manifest.Configuration.GetValueOrDefault(name) != own[name])
            {
                Refuse($"its run has the {name} {manifest.Configuration.GetValueOrDefault(name)}, this one {own[name]}: it cannot go on from there. (Trainer.LoadWeights takes the weights alone.)");
            }
        }
    }

    private static Dictionary<string, string> Versions() => new()
    {
        ["dho2"] = VersionOf(typeof(Trainer).Assembly),
        ["torchsharp"] = VersionOf(typeof(torch).Assembly),
        ["runtime"] = RuntimeInformation.FrameworkDescription,
    };

    private static StoredPlan PlanOf(TrainingSetup setup) => new(
        setup.Plan.Hash,
        setup.Stages,
        setup.Replicas,
        ModelDescriptionText.Write(setup.Description with { Options = setup.Plan.Options }));

    private static bool Lasts(MemoryKind kind) =>
        kind is MemoryKind.Parameters or MemoryKind.Gradients or MemoryKind.Optimizer or MemoryKind.Curvature or MemoryKind.Admm;

    private static Dictionary<string, string> ConfigurationOf(TrainingSetup setup)
    {
        TrainingOptions options = setup.Options;
        ModelOptions plan = setup.Plan.Options;
        var numbers = new Dictionary<string, string>
        {
            ["seed"] = Text(options.Seed),
            ["base"] = plan.Base.ToString(),
            ["optimizer"] = options.Optimizer.ToString(),
            ["learning_rate"] = Text(options.LearningRate),
            ["final_learning_rate"] = options.FinalLearningRate is { } final ? Text(final) : "constant",
            ["epochs"] = Text(options.Epochs),
            ["batch"] = Text(plan.Batch),
            ["micro_batches"] = Text(plan.MicroBatches),
            ["schedule"] = plan.Schedule.ToString(),
            ["gradient_clip"] = Text(options.GradientClip),
            ["l2_penalty"] = Text(options.L2Penalty),
            ["decoupled_weight_decay"] = Text(options.DecoupledWeightDecay),
            ["threads_per_rank"] = Text(options.ThreadsPerRank),
        };
        if (setup.Curvature is { } curvature)
        {
            numbers["curvature"] = curvature.ToString();
            numbers["curvature.local"] = setup.HasLocalCurvature.ToString();
            numbers["curvature.blocks"] = (curvature.Scope == CurvatureScope.Stage).ToString();
        }

        if (setup.Admm is { } admm)
        {
            numbers["admm"] = admm.ToString();
        }

        return numbers;
    }

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);

    private static string VersionOf(Assembly assembly) =>
        (assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? assembly.GetName().Version?.ToString() ?? "unknown").Split('+')[0];
}
