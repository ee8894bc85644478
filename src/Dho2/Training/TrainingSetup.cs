using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;

namespace Dho2;

/// <summary>What all ranks of a run agree on: definition, plan and options, and what follows from them.</summary>
internal sealed class TrainingSetup
{
    /// <summary>Plans the run.</summary>
    /// <exception cref="ArgumentException">The plan has errors, or the options do not fit.</exception>
    public TrainingSetup(PipelineDefinition definition, TrainingOptions options)
    {
        Definition = definition;
        Options = options;
        Description = ModelDescriptionText.Parse(definition.DescriptionText);
        PlanResult result = Planner.Plan(Description, OverridesFor(Description.Options, options));
        if (result.Plan is null || result.HasErrors)
        {
            throw new ArgumentException(
                $"{Description.Name} cannot be trained with these numbers: {string.Join(" ", result.Problems.Where(p => p.Severity == ProblemSeverity.Error).Select(p => p.Message))}",
                nameof(options));
        }

        if (Planner.Plan(Description).Plan?.Hash is { } hash && hash != definition.PlanHash)
        {
            throw new ArgumentException(
                $"{Description.Name} was generated for plan {definition.PlanHash}, this library plans {hash}: rebuild it with the version of Dho2 that it runs with.",
                nameof(definition));
        }

        if (options is { LearningRateSchedule: not null, FinalLearningRate: not null })
        {
            throw new ArgumentException("LearningRateSchedule and FinalLearningRate both set the rate: give one of them.", nameof(options));
        }

        Plan = result.Plan;
        ComputeType = ScalarTypeOf(Plan.Options.DType);
        DType = ScalarTypeOf(ElementTypes.MasterOf(Plan.Options.DType));
        if (Plan.Layout.StagesPerRank > 1 && definition.Ties.Count > 0)
        {
            throw new ArgumentException(
                $"{Description.Name} ties '{definition.Ties[0].Name}' over stages; interleaved stages cannot share parameters yet: use another schedule.", nameof(options));
        }

        if (HasLocalCurvature && Plan.Curvature?.Mode == CurvatureMode.Dedicated)
        {
            throw new ArgumentException(
                "Ranks of their own estimate one curvature for all replicas: with LocalCurvature, estimates are Blocking or Amortized.", nameof(options));
        }

        if (options.CurvatureTrial is { } trial && Curvature is { } curvature)
        {
            CheckTrial(trial, curvature);
        }
    }

    public PipelineDefinition Definition { get; }

    public TrainingOptions Options { get; }

    public ModelDescription Description { get; }

    public Plan Plan { get; }

    /// <summary>The element type of what is trained: parameters, the gradients that are reduced, and all state of the update.</summary>
    public torch.ScalarType DType { get; }

    /// <summary>The element type that stages compute in: of what modules have, of activations and of cuts.</summary>
    public torch.ScalarType ComputeType { get; }

    public int Stages => Plan.Stages.Count;

    /// <summary>Which rank of the world holds what.</summary>
    public RankLayout Layout => new(Stages, Replicas, Plan.Layout.StagesPerRank, Plan.Curvature?.Mode == CurvatureMode.Dedicated);

    public int Replicas => Plan.Options.Replicas;

    /// <summary>The curvature to estimate; null where there is none.</summary>
    public CurvatureOptions? Curvature =>
        Plan.Options.Curvature is { } curvature && curvature.Rank + curvature.Smallest > 0 ? curvature : null;

    /// <summary>What is estimated: the Hessian of the whole model (null), or the diagonal blocks of those stages that have a rank.</summary>
    public IReadOnlyList<int?> EstimatedStages =>
        Curvature is not { } curvature ? []
        : curvature.Scope == CurvatureScope.Global ? [null]
        : [.. Plan.Stages.Where(stage => stage.CurvatureRank + curvature.Smallest > 0).Select(stage => (int?)stage.Index)];

    /// <summary>Whether eigenpairs are estimated anew before a step, counted from 1.</summary>
    public bool IsRefreshDue(long step) =>
        Curvature is { } curvature && step >= curvature.Warmup && (step - curvature.Warmup) % curvature.Every == 0;

    /// <summary>How products are computed, the plan's choice filled in.</summary>
    public PipelineHessianSettings Products => Options.Products with
    {
        RetainGraphs = Options.Products.RetainGraphs ?? Plan.Curvature?.RetainsGraphs,
        ReusesTangentsOf = Options.Products.ReuseTangents is null && Plan.Curvature is { } curvature ? [.. curvature.Stages.Select(stage => stage.ReusesTangents)] : null,
    };

    /// <summary>How replicas are tied together; null where gradients are reduced in every step, or where there is one replica.</summary>
    public AdmmOptions? Admm => Replicas > 1 ? Plan.Options.Admm : null;

    /// <summary>Whether each replica estimates the curvature of its own samples alone.</summary>
    public bool HasLocalCurvature => Admm is { Rule: AdmmRule.Consensus, LocalCurvature: true };

    /// <summary>A rank's instructions for a number of micro-batches: the plan's for a full step, others for a smaller last batch.</summary>
    public IReadOnlyList<Instruction> Instructions(int rank, int microBatches) =>
        microBatches == 0 ? []
        : microBatches == Plan.MicroBatches.Count ? Plan.Schedule[rank]
        : ScheduleBuilder.Build(Plan.Options.Schedule, Stages, microBatches, Plan.Options.StagesPerRank)[rank];

    /// <summary>The optimizer's settings.</summary>
    public HybridSettings HybridSettings => Options.Update with
    {
        Base = Plan.Options.Base,
        LearningRate = Options.LearningRate,
        Alpha = Curvature?.Alpha ?? Options.Update.Alpha,
        MaxScale = Curvature?.MaxScale ?? Options.Update.MaxScale,
        Sigma = Admm?.Sigma ?? 0,
        MaxGradientNorm = Options.GradientClip,
        L2 = Options.L2Penalty,
        WeightDecay = Options.DecoupledWeightDecay,
        Seed = Options.Seed,
        Rates = Admm?.Rule == AdmmRule.Dual ? NewtonRates.Shifted : NewtonRates.Magnitude,
        Blocks = Curvature?.Scope == CurvatureScope.Stage ? Stages : 1,
    };

    /// <summary>The estimator's settings for one stage; the same for all where one subspace spans them.</summary>
    public LanczosSettings LanczosSettings(int stage) => Options.Estimation with
    {
        Largest = Plan.Stages[stage].CurvatureRank,
        Smallest = Curvature!.Smallest,
        MaxOrder = Options.Estimation.MaxOrder ?? (Curvature.Order > 0 ? Curvature.Order : null),
        L2 = Options.L2Penalty,
        Seed = Options.Seed,
    };

    /// <summary>The same run with as many replicas as a world has room for, where neither option nor world leaves the number open.</summary>
    /// <param name="worldSize">The number of ranks that a launcher has started; null where a run may have any.</param>
    public TrainingSetup FitTo(int? worldSize)
    {
        if (worldSize is not { } size || Layout.Size == size || Options.Overrides?.Replicas is not null)
        {
            return this;
        }

        RankLayout layout = Layout;
        int fitting = Enumerable.Range(1, size).FirstOrDefault(r => new RankLayout(layout.Stages, r, layout.Chunks, layout.DedicatedCurvature).Size == size);
        return fitting == 0 ? this : new TrainingSetup(Definition, Options with { Overrides = (Options.Overrides ?? new()) with { Replicas = fitting } });
    }

    private void CheckTrial(CurvatureTrial trial, CurvatureOptions curvature)
    {
        if (curvature.Mode == CurvatureMode.Dedicated)
        {
            throw new ArgumentException(
                "CurvatureTrial compares times of steps; estimates by ranks of their own (Dedicated) take none of them: leave it out, or estimate Blocking or Amortized.", nameof(trial));
        }

        if (curvature.Mode == CurvatureMode.Amortized && HasLocalCurvature)
        {
            throw new ArgumentException(
                "With LocalCurvature, Amortized estimates take force on each replica at a step of its own, so that replicas cannot make a CurvatureTrial together: estimate Blocking.", nameof(trial));
        }

        int steps = trial.StepsFor(curvature.Every);
        if (steps < CurvatureTrial.FewestSteps || steps > curvature.Every)
        {
            throw new ArgumentException(
                $"A CurvatureTrial of {steps} steps does not fit between two estimates, which are {curvature.Every} steps apart; it takes at least {CurvatureTrial.FewestSteps} steps.", nameof(trial));
        }
    }

    private static PlanOverrides OverridesFor(ModelOptions attributes, TrainingOptions options)
    {
        PlanOverrides overrides = options.Overrides ?? new();
        if ((overrides.Curvature ?? attributes.Curvature) is not { } curvature)
        {
            return overrides;
        }

        return options.Optimizer == OptimizerKind.FirstOrder
            ? overrides with { Curvature = curvature with { Rank = 0, Smallest = 0 } }
            : overrides;
    }


    private static torch.ScalarType ScalarTypeOf(DType type) => type switch
    {
        Dho2.DType.Float32 => torch.ScalarType.Float32,
        Dho2.DType.Float64 => torch.ScalarType.Float64,
        Dho2.DType.BFloat16 => torch.ScalarType.BFloat16,
        _ => throw new ArgumentException($"Models compute in float32, float64 or bfloat16, not in {type}."),
    };
}
