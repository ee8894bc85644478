using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Dho2.Planning;

/// <summary>Finds single changes with which a stage fits its device, by planning anew with each.</summary>
public static class MemoryLevers
{
    /// <summary>The changes that suffice: the largest rank, the fewest micro-batches, recomputed activations, and a layer at the stage's edge that a neighbour can hold.</summary>
    /// <param name="model">The model.</param>
    /// <param name="plan">Its plan.</param>
    /// <param name="stage">The stage that does not fit.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public static IReadOnlyList<MemoryLever> Find(ModelDescription model, Plan plan, int stage, CancellationToken cancellation = default)
    {
        StagePlan before = plan.Stages[stage];

        // Shapes depend on none of what is changed.
        InferenceResult inference = ShapeInference.Infer(model, cancellation);
        return new[] { RankFor(), MicroBatchesFor(), Recompute(), MoveFrom() }.OfType<MemoryLever>().ToList();

        // The stages' plans after a change; null where one of them does not fit.
        StagePlan[]? Fitting(ModelDescription changed, params int[] stages) =>
            Planner.Price(changed, inference, cancellation) is { Plan: { } other, HasStructuralErrors: false }
            && other.Stages.Count == plan.Stages.Count
            && stages.All(s => other.Stages[s].KnownBytes <= DeviceMemory.LeftFor(other.Stages[s], other.Stages, changed, other.Options, stage => stage.KnownBytes))
                ? stages.Select(s => other.Stages[s]).ToArray()
                : null;

        MemoryLever? RankFor()
        {
            int tooLarge = before.CurvatureRank;
            if (tooLarge == 0 || Fitting(WithRank(model, plan, stage, 0), stage) is not { } after)
            {
                return null;
            }

            int fits = 0;
            while (tooLarge - fits > 1)
            {
                int middle = fits + ((tooLarge - fits) / 2);
                if (Fitting(WithRank(model, plan, stage, middle), stage) is { } better)
                {
                    fits = middle;
                    after = better;
                }
                else
                {
                    tooLarge = middle;
                }
            }

            return new(MemoryLeverKind.Rank, fits, Bytes(MemoryKind.Curvature, MemoryKind.Basis), after[0].KnownBytes);
        }

        MemoryLever? MicroBatchesFor()
        {
            for (long count = 2L * plan.Options.MicroBatches; count <= plan.Options.Batch; count *= 2)
            {
                if (Fitting(model with { Options = model.Options with { MicroBatches = (int)count } }, stage) is { } after)
                {
                    return new(MemoryLeverKind.MicroBatches, (int)count, Bytes(MemoryKind.Activations, MemoryKind.Temporary, MemoryKind.Graphs), after[0].KnownBytes);
                }
            }

            return null;
        }

        MemoryLever? Recompute() =>
            !before.Recomputes && Fitting(WithRecomputed(model, stage), stage) is [{ Recomputes: true } after]
                ? new(MemoryLeverKind.Recompute, stage, Bytes(MemoryKind.Activations), after.KnownBytes)
                : null;

        MemoryLever? MoveFrom()
        {
            int[] order = before.Operations.Select(o => model.Operations[o].Layer).Where(l => l >= 0).Distinct().ToArray();
            foreach ((int layer, int target) in order.Length < 2 ? [] : new[] { (order[order.Length - 1], stage + 1), (order[0], stage - 1) })
            {
                if (target >= 0 && target < plan.Stages.Count && Fitting(WithStage(model, layer, target), stage, target) is { } after)
                {
                    return new(MemoryLeverKind.Layer, target, before.KnownBytes - after[0].KnownBytes, after[0].KnownBytes, layer, after[1].KnownBytes);
                }
            }

            return null;
        }

        // What of these kinds is in use at the peak.
        long Bytes(params MemoryKind[] kinds) => before.PeakTerms.Where(term => kinds.Contains(term.Kind)).Aggregate(0L, (sum, term) => SafeInteger.Add(sum, term.Bytes ?? 0) ?? long.MaxValue);
    }

    /// <summary>The model with a lower rank wherever the stage's is stated.</summary>
    private static ModelDescription WithRank(ModelDescription model, Plan plan, int stage, int rank)
    {
        CurvatureOptions curvature = model.Options.Curvature!;
        bool isGlobal = curvature.Scope == CurvatureScope.Global;
        bool isOwn = !isGlobal && plan.Stages[stage].Layers.Any(l => model.Layers[l].CurvatureRank is not null);
        return model with
        {
            Options = isOwn ? model.Options : model.Options with { Curvature = curvature with { Rank = Math.Min(curvature.Rank, rank) } },
            Layers = model.Layers
                .Select(layer => isGlobal || layer.Stage == stage ? layer with { CurvatureRank = Lower(layer.CurvatureRank, rank) } : layer)
                .ToEquatableArray(),
        };
    }

    private static ModelDescription WithRecomputed(ModelDescription model, int stage)
    {
        RecomputeOptions stated = model.Options.Recompute ?? RecomputeOptions.None;
        return model with { Options = model.Options with { Recompute = stated with { Stages = stated.Stages.Append(stage).ToEquatableArray() } } };
    }

    private static int? Lower(int? stated, int rank) => stated is { } value ? Math.Min(value, rank) : null;

    private static ModelDescription WithStage(ModelDescription model, int layer, int stage) => model with
    {
        Layers = model.Layers.Select((l, i) => i == layer ? l with { Stage = stage } : l).ToEquatableArray(),
    };
}
