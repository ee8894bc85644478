using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Dho2.Planning;

/// <summary>
/// Makes the plan of a partitioned training run: who computes what, what crosses every cut, in which order, and what it
/// needs. Generator, analyzers and runtime call the same method, so that they agree; nothing depends on the host.
/// </summary>
public static class Planner
{
    /// <summary>Plans a model.</summary>
    /// <param name="model">The model; odd descriptions, as of half-typed code, give problems and no exception.</param>
    /// <param name="overrides">Numbers in place of the attributes'; structure (stages, cuts) does not depend on them.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static PlanResult Plan(ModelDescription model, PlanOverrides? overrides = null, CancellationToken cancellation = default)
    {
        var problems = new List<PlanProblem>();
        if (ValueUses.FindInconsistency(model) is { } inconsistency)
        {
            problems.Add(new(ProblemKind.DescriptionInconsistent, PlanSite.Model, inconsistency));
            return new(null, problems.ToEquatableArray());
        }

        return Plan(model, (overrides ?? new()).Apply(model.Options), ShapeInference.Infer(model, cancellation), problems, cancellation);
    }

    /// <summary>
    /// Plans a variant of a model whose shapes are known, to see what it would need: it has no hash, and nobody asks
    /// whether another partition were better.
    /// </summary>
    /// <param name="variant">The model with other stages, ranks or numbers.</param>
    /// <param name="inference">What is known of the model's shapes, which are the variant's too.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    internal static PlanResult Price(ModelDescription variant, InferenceResult inference, CancellationToken cancellation) =>
        Plan(variant, variant.Options, inference, [], cancellation, isFinal: false);

    private static PlanResult Plan(
        ModelDescription model, ModelOptions options, InferenceResult inference, List<PlanProblem> problems, CancellationToken cancellation, bool isFinal = true)
    {
        model = StageChooser.Fill(model, inference, cancellation);
        StageAssignment? assignment = StageAssignment.Make(model, inference.Values, problems, cancellation);
        if (assignment is null)
        {
            OptionChecks.Check(model, options, 1, problems);
            return new(null, problems.Concat(inference.Problems).ToEquatableArray());
        }

        OptionChecks.Check(model, options, assignment.Stages, problems);
        if (options.DType != model.Options.DType && ElementTypes.CanCompute(options.DType))
        {
            inference = ShapeInference.Infer(model with { Options = options }, cancellation);
        }

        EquatableArray<CutPlan> cuts = CutBuilder.Build(model, assignment, inference.Values, problems);
        EquatableArray<TiePlan> ties = TieFinder.Find(model, inference, assignment, problems);
        problems.AddRange(inference.Problems);
        if (problems.Any(p => p.Kind is ProblemKind.ValueCannotCross or ProblemKind.TieImpossible))
        {
            return new(null, problems.ToEquatableArray());
        }

        Plan plan = Assemble(model, OptionChecks.Clamp(options), assignment, inference, cuts, ties);
        PlanChecks.Check(model, plan, problems);
        CurvatureChecks.Check(model, plan, inference, problems);
        BatchStatisticsCheck.Check(model, plan, problems);
        if (isFinal)
        {
            plan = plan with { Hash = PlanHash.Of(model, plan) };
            BalanceCheck.Check(model, plan, inference, problems, cancellation);
        }

        return new(plan, problems.ToEquatableArray());
    }

    private static Plan Assemble(
        ModelDescription model, ModelOptions options, StageAssignment assignment, InferenceResult inference, EquatableArray<CutPlan> cuts, EquatableArray<TiePlan> ties)
    {
        EquatableArray<int> microBatches = MicroBatches.Split(options.Batch, options.MicroBatches);
        EquatableArray<EquatableArray<Instruction>> schedule = ScheduleBuilder.Build(options.Schedule, assignment.Stages, microBatches.Count, options.StagesPerRank);
        ScheduleSimulation run = ScheduleSimulator.Run(schedule, ScheduleCosts.Uniform(assignment.Stages, 1, 2));
        bool[] recomputed = Recomputation.Of(model, options, assignment.Stages, run);
        StagePlan[] stages = Enumerable.Range(0, assignment.Stages)
            .Select(s => StagePlanOf(s, model, options, assignment, inference, ties) with { Recomputes = recomputed[s] })
            .ToArray();
        long? size = MemoryModel.Sum(stages.Select(s => s.Parameters is { } p ? MemoryModel.Sum(p.Select(x => (long?)x.Count)) : null));
        InferenceResult products = MemoryModel.InferenceOfProducts(model, options, inference);
        StageContents[] contents = stages.Select(s => ContentsOf(s, model, inference, products, assignment, cuts)).ToArray();
        bool retains = true;
        StagePlan[] priced = Price();
        if (options.Curvature is not null && (Overflows(s => s.KnownBytes) || Overflows(s => s.DedicatedBytes ?? 0)))
        {
            retains = false;
            priced = Price();
        }

        return new(
            model.MetadataName,
            options,
            priced.ToEquatableArray(),
            cuts,
            microBatches,
            schedule,
            Hash: "",
            CurvaturePlan.Of(model, options, priced, size, retains),
            ties);

        bool Overflows(Func<StagePlan, long> bytes) => priced.Any(s => bytes(s) > DeviceMemory.LeftFor(s, priced, model, options, bytes));

        StagePlan[] Price()
        {
            var memory = new MemoryModel(model, options, inference, products, microBatches, run, retains);
            return stages.Zip(contents, (stage, held) => stage with
            {
                Memory = memory.Of(held, size, ties),
                EstimatesBesideSteps = options.Curvature is { Mode: not CurvatureMode.Blocking },
                DedicatedBytes = memory.DedicatedOf(held, size),
            }).ToArray();
        }
    }

    private static StageContents ContentsOf(
        StagePlan stage, ModelDescription model, InferenceResult inference, InferenceResult products, StageAssignment assignment, EquatableArray<CutPlan> cuts)
    {
        int[] incoming = stage.Index > 0 ? cuts[stage.Index - 1].Values.Select(v => v.Value).ToArray() : [];
        int[] outgoing = stage.Index < cuts.Count ? cuts[stage.Index].Values.Select(v => v.Value).ToArray() : [];
        return new(
            stage.Index,
            assignment.Stages,
            stage.Layers,
            stage.CurvatureRank,
            stage.Parameters is { } parameters ? MemoryModel.Sum(parameters.Select(p => (long?)p.Count)) : null,
            Activations(inference),
            ReferenceEquals(products, inference) ? null : Activations(products),
            incoming,
            outgoing,
            CurvatureStagePlan.CanReuseTangents(model, stage, assignment.Stages))
        {
            Recomputes = stage.Recomputes,
            MayWorkInPlace = stage.Recomputes && InPlaceOperations.MayBeAmong(model, stage.Operations),
        };

        StageActivations Activations(InferenceResult inferred) => StageActivations.Of(
            stage.Operations, model, inferred, incoming, outgoing, stage.Index == 0, stage.Index == assignment.Stages - 1);
    }

    private static StagePlan StagePlanOf(
        int stage, ModelDescription model, ModelOptions options, StageAssignment assignment, InferenceResult inference, EquatableArray<TiePlan> ties)
    {
        var mirrored = new HashSet<string>(ties.SelectMany(tie => tie.Uses).Where(use => use.Layer >= 0).Select(use => use.Name));
        int[] layers = Enumerable.Range(0, model.Layers.Count).Where(l => model.Layers[l].Stage == stage).ToArray();
        int[] operations = Enumerable.Range(0, model.Operations.Count).Where(o => assignment.Operations[o] == stage).ToArray();
        return new(
            stage,
            layers.ToEquatableArray(),
            operations.ToEquatableArray(),
            layers.All(l => inference.Layers[l].Parameters is not null)
                ? layers.SelectMany(l => inference.Layers[l].Parameters!.Value).Where(p => !mirrored.Contains(p.Name)).ToEquatableArray()
                : null,
            RankOf(options, model, layers),
            WorkOf(operations, inference, options.Batch),
            Memory: default)
        {
            Buffers = layers.All(l => inference.Layers[l].Buffers is not null)
                ? layers.SelectMany(l => inference.Layers[l].Buffers!.Value).ToEquatableArray()
                : null,
        };
    }

    /// <summary>
    /// The eigenpairs kept for a stage: the largest rank among its layers, else the curvature's. One subspace for the
    /// whole model has one rank, the largest that is asked for.
    /// </summary>
    private static int RankOf(ModelOptions options, ModelDescription model, int[] layers)
    {
        if (options.Curvature is not { Rank: var rank } curvature || rank == 0)
        {
            return 0;
        }

        return curvature.Scope == CurvatureScope.Global
            ? Math.Max(rank, model.Layers.Max(l => l.CurvatureRank) ?? 0)
            : layers.Max(l => model.Layers[l].CurvatureRank) ?? rank;
    }

    private static long? WorkOf(int[] operations, InferenceResult inference, int batch)
    {
        Dimension work = Dimension.Of(0);
        foreach (int operation in operations)
        {
            work += inference.Operations[operation].Work;
        }

        return work.Evaluate(symbol => symbol == ShapeInference.Batch ? batch : null);
    }
}
