using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>What is known of curvature estimates before a run starts.</summary>
/// <param name="Mode">When estimates are made, against training.</param>
/// <param name="Delay">
/// With dedicated ranks, the steps between a snapshot and the step before which its subspace takes force (D); 0 otherwise.
/// </param>
/// <param name="RetainsGraphs">
/// Whether the graphs of the whole curvature batch are kept over an estimate; if not, because that would not fit a
/// device, they are built anew for every product, for as many micro-batches at a time as there are stages.
/// </param>
/// <param name="Stages">For each stage, what its estimates cost.</param>
public sealed record CurvaturePlan(CurvatureMode Mode, int Delay, bool RetainsGraphs, EquatableArray<CurvatureStagePlan> Stages)
{
    /// <summary>The curvature of a plan; null where nothing is estimated.</summary>
    internal static CurvaturePlan? Of(
        ModelDescription model, ModelOptions options, IReadOnlyList<StagePlan> stages, long? modelSize, bool retainsGraphs)
    {
        if (options.Curvature is not { } curvature || curvature.Rank + (long)curvature.Smallest <= 0)
        {
            return null;
        }

        CurvatureStagePlan[] costs = stages.Select(stage => CurvatureStagePlan.Of(stage, stages, options, curvature, modelSize) with
        {
            ReusesTangents = CurvatureStagePlan.CanReuseTangents(model, stage, stages.Count),
        }).ToArray();
        return new(curvature.Mode, DelayOf(options, curvature, costs), retainsGraphs, costs.ToEquatableArray());
    }

    /// <summary>
    /// The number of steps that an estimate takes beside training where every stage has a device of its own on either
    /// side: a product takes as long as two gradients of its batch, building its graphs as one and a half, and no estimate
    /// makes more products than its order. Stages that each have a subspace take turns.
    /// </summary>
    private static int DelayOf(ModelOptions options, CurvatureOptions curvature, CurvatureStagePlan[] stages)
    {
        if (curvature.Mode != CurvatureMode.Dedicated || curvature.Delay > 0)
        {
            return curvature.Mode == CurvatureMode.Dedicated ? curvature.Delay : 0;
        }

        long products = curvature.Scope == CurvatureScope.Global
            ? stages.Max(stage => stage.Order ?? 0)
            : stages.Sum(stage => (long)(stage.Order ?? 0));
        long samples = (long)Math.Max(1, options.Replicas) * (curvature.Batch > 0 ? curvature.Batch : Math.Max(1, options.Batch));
        decimal steps = decimal.Ceiling(((2m * products) + 1.5m) * samples / Math.Max(1, options.Batch));
        return (int)Math.Min(int.MaxValue, steps + 1);
    }
}

/// <summary>What estimates cost on one stage.</summary>
/// <param name="Order">The most products of an estimate (m); 0 where the stage has none, null where parameters are unknown.</param>
/// <param name="ProductOperations">
/// Floating-point operations of one product over all stages that take part: about six forwards of the curvature batch.
/// Null where unknown.
/// </param>
public sealed record CurvatureStagePlan(int? Order, long? ProductOperations)
{
    /// <summary>
    /// Whether the downward sweep of a product differentiates what the upward sweep computed, instead of computing it
    /// again: on stages before the last, where the third derivatives of all operations are known to be right.
    /// </summary>
    public bool ReusesTangents { get; init; }

    internal static bool CanReuseTangents(ModelDescription model, StagePlan stage, int stages) =>
        stage.Index < stages - 1 && ThirdDerivatives.AreKnown(model, stage.Operations);

    internal static CurvatureStagePlan Of(
        StagePlan stage, IReadOnlyList<StagePlan> stages, ModelOptions options, CurvatureOptions curvature, long? modelSize)
    {
        long pairs = stage.CurvatureRank + (long)curvature.Smallest;
        bool isGlobal = curvature.Scope == CurvatureScope.Global;
        long? size = isGlobal ? modelSize : stage.Parameters is { } own ? MemoryModel.Sum(own.Select(p => (long?)p.Count)) : null;
        int? order = pairs == 0 ? 0 : size is { } n ? (int)Math.Min(n, LanczosOrder.Of(curvature, pairs, n)) : null;

        // A stage's own block needs the sweeps from there to the loss and back.
        long? forward = MemoryModel.Sum(stages.Where(s => isGlobal || s.Index >= stage.Index).Select(s => s.ForwardOperations));
        long batch = curvature.Batch > 0 ? curvature.Batch : options.Batch;
        long? scaled = forward is { } f ? (long)Math.Min(long.MaxValue, 6m * f * batch / Math.Max(1, options.Batch)) : null;
        return new(order, pairs == 0 ? 0 : scaled);
    }
}
