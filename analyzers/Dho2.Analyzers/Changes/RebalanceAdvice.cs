using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Threading;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

/// <summary>Writes the planner's partition into the source, or moves one layer of the slowest stage to a neighbour.</summary>
internal static class RebalanceAdvice
{
    /// <summary>The changes, the whole partition first.</summary>
    public static IReadOnlyList<SourceChange> For(ModelDescription model, Plan plan, Placement placement, CancellationToken cancellation)
    {
        if (BalanceCheckProposal(model, plan, cancellation) is not { } proposal)
        {
            return [];
        }

        var changes = new List<SourceChange>();
        Location[] places = Enumerable.Range(0, model.Layers.Count).Select(placement.Layer).ToArray();
        if (places.Distinct().Count() == places.Length)
        {
            changes.Add(new(
                "rebalance",
                $"Balance the {proposal.Count} stages",
                Enumerable.Range(0, model.Layers.Count)
                    .Where(layer => model.Layers[layer].Stage != proposal.Stages[layer])
                    .Select(layer => new SourceEdit(places[layer], "Stage", proposal.Stages[layer]))
                    .ToImmutableArray()));
        }

        // One step on the way there: the layer at a stage's edge that the partition gives to its neighbour.
        for (int layer = 0; layer < model.Layers.Count; layer++)
        {
            if (model.Layers[layer].Stage is { } stage && System.Math.Abs(proposal.Stages[layer] - stage) == 1
                && plan.Stages[stage].Layers is { Count: > 1 } layers
                && layer == (proposal.Stages[layer] > stage ? layers[layers.Count - 1] : layers[0]))
            {
                changes.Add(ChangeAdvice.Put(layer, proposal.Stages[layer], model, placement) with { Key = "move" });
                break;
            }
        }

        return changes.Where(change => !change.Edits.IsEmpty).ToList();
    }

    private static PartitionProposal? BalanceCheckProposal(ModelDescription model, Plan plan, CancellationToken cancellation) =>
        StageChooser.Propose(model with { Options = plan.Options with { Stages = plan.Stages.Count } }, cancellation);
}
