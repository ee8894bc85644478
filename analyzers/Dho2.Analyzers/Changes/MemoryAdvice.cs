using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Analyzers;

/// <summary>Puts the levers that make a stage fit its device into words, and into changes of the source.</summary>
internal sealed class MemoryAdvice(ModelDescription model, Plan plan, int stage, Placement placement)
{
    /// <summary>The end of the message: what each change works on, and what the stage needs with it.</summary>
    public string Describe(IReadOnlyList<MemoryLever> levers) => levers.Count == 0
        ? "; neither a lower rank nor more micro-batches nor recomputed activations nor moving one layer would make it fit"
        : "; " + string.Join("; or ", levers.Select(Describe));

    private string Describe(MemoryLever lever)
    {
        string needed = PlanReport.FormatBytes(lever.Needed);
        string concerned = PlanReport.FormatBytes(lever.Concerned);
        return lever.Kind switch
        {
            MemoryLeverKind.Rank => $"curvature and its basis {concerned}: {(lever.Value == 0 ? "without" : $"rank {lever.Value}")} would fit ({needed})",
            MemoryLeverKind.MicroBatches => $"activations and graphs {concerned}: MicroBatches = {lever.Value} would fit ({needed})",
            MemoryLeverKind.Recompute => $"activations in flight {concerned}: recomputing stage {lever.Value} would fit ({needed})",
            _ => $"'{model.Layers[lever.Layer].Name}' {concerned}: on stage {lever.Value} it would fit ({needed}, and there {PlanReport.FormatBytes(lever.NeededThere)})",
        };
    }

    /// <summary>The changes; a lever without a place in the source has none.</summary>
    public IReadOnlyList<SourceChange> Changes(IReadOnlyList<MemoryLever> levers) =>
        levers.Select(Change).OfType<SourceChange>().Where(change => !change.Edits.IsEmpty).ToList();

    private SourceChange? Change(MemoryLever lever) => lever.Kind switch
    {
        MemoryLeverKind.Rank => new("rank", $"Lower the rank to {lever.Value}", RankEdits(lever.Value).ToImmutableArray()),
        MemoryLeverKind.MicroBatches when placement.Attribute("Pipeline") is { } place =>
            new("micro-batches", $"Use {lever.Value} micro-batches", [new SourceEdit(place, "MicroBatches", lever.Value)]),
        MemoryLeverKind.Recompute when OwnLayer() is { } layer =>
            new("recompute", $"Recompute the activations of stage {lever.Value}", [new SourceEdit(placement.Layer(layer), "Recompute", null)]),
        MemoryLeverKind.Layer => ChangeAdvice.Put(lever.Layer, lever.Value, model, placement),
        _ => null,
    };

    /// <summary>A layer of the stage whose member holds no layer of another.</summary>
    private int? OwnLayer()
    {
        int[] others = Enumerable.Range(0, model.Layers.Count).Where(layer => !plan.Stages[stage].Layers.Contains(layer)).ToArray();
        return plan.Stages[stage].Layers
            .Select(layer => (int?)layer)
            .FirstOrDefault(layer => others.All(other => placement.Layer(other) != placement.Layer(layer!.Value)));
    }

    private IEnumerable<SourceEdit> RankEdits(int rank)
    {
        CurvatureOptions curvature = plan.Options.Curvature!;
        bool isGlobal = curvature.Scope == CurvatureScope.Global;
        int[] stated = Enumerable.Range(0, model.Layers.Count)
            .Where(i => model.Layers[i].CurvatureRank is not null && (isGlobal || model.Layers[i].Stage == stage))
            .ToArray();
        if ((isGlobal || stated.Length == 0) && curvature.Rank > rank && placement.Attribute("Curvature") is { } place)
        {
            yield return new(place, "Rank", rank);
        }

        foreach (int layer in stated.Where(i => model.Layers[i].CurvatureRank > rank))
        {
            yield return new(placement.Layer(layer), "CurvatureRank", rank);
        }
    }
}
