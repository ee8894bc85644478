using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Analyzers;

/// <summary>Puts the levers that make a stage fit its device into words, and into changes of the source.</summary>
internal sealed class MemoryAdvice(ModelDescription model, Plan plan, int stage, Placement placement)
{
    // More would be a list to study, and no message to read.
    private const int MostLevers = 3;

    /// <summary>The end of the message: what each change works on, and what the stage needs with it; and what all stages would fit with.</summary>
    /// <param name="levers">Single changes that suffice for the stage; of many, those that work on most are named.</param>
    /// <param name="way">The quickest way in which all stages fit; null where none is known.</param>
    public string Describe(IReadOnlyList<MemoryLever> levers, FittingWay? way)
    {
        var largest = new HashSet<MemoryLever>(levers.OrderByDescending(lever => lever.Concerned).Take(MostLevers));
        IEnumerable<string> changes = levers.Where(largest.Contains).Select(Describe);
        if (way is not null && !levers.Any(lever => IsSame(lever, way)) && Describe(way) is { Length: > 0 } named)
        {
            changes = changes.Append($"the quickest for all stages: {named} would fit (at most {PlanReport.FormatBytes(way.PeakBytes)})");
        }

        string text = string.Join("; or ", changes);
        return text.Length > 0
            ? "; " + text
            : "; neither a lower rank nor more micro-batches nor recomputed activations nor moving one layer would make it fit";
    }

    private static string Describe(FittingWay way)
    {
        string[] numbers =
        [
            .. way.Schedule is { } schedule ? [$"Schedule = Schedule.{schedule}"] : System.Array.Empty<string>(),
            .. way.MicroBatches is { } count ? [$"MicroBatches = {count}"] : System.Array.Empty<string>(),
            .. way.Recomputed.Count > 0 ? [$"[Recompute({string.Join(", ", way.Recomputed)})]"] : System.Array.Empty<string>(),
        ];
        return string.Join(", ", numbers);
    }

    /// <summary>Whether a way is one change, and a lever names it already.</summary>
    private static bool IsSame(MemoryLever lever, FittingWay way) => way.Schedule is null && lever.Kind switch
    {
        MemoryLeverKind.MicroBatches => way.MicroBatches == lever.Value && way.Recomputed.Count == 0,
        MemoryLeverKind.Recompute => way.MicroBatches is null && way.Recomputed is { Count: 1 } stages && stages[0] == lever.Value,
        _ => false,
    };

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
