using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Cli.Plans;

/// <summary>One way to share devices out over stages and replicas, priced by its plan.</summary>
/// <param name="Plan">The plan.</param>
/// <param name="Forecast">The time of its step.</param>
/// <param name="Devices">Devices that it needs.</param>
/// <param name="DeviceMemory">Bytes of a device; null where not stated.</param>
internal sealed record World(Plan Plan, StepForecast Forecast, int Devices, long? DeviceMemory)
{
    // Beyond this, stages are hardly more than a layer each.
    private const int MostStages = 128;

    /// <summary>The most bytes that a device needs; null where a term is not known.</summary>
    public long? PeakBytes => Plan.Stages.Any(s => s.PeakBytes is null) ? null : PeakOfRanks().Max();

    /// <summary>Whether every device has room for its stages.</summary>
    public bool Fits => DeviceMemory is null || PeakBytes is null || PeakBytes <= DeviceMemory;

    /// <summary>Samples of all replicas in a second, by the plan's prices.</summary>
    public double SamplesPerSecond => (double)Plan.Options.Batch * Plan.Options.Replicas / (Forecast.Time * 1e-12);

    /// <summary>All ways to use so many devices, those that fit first, the quickest first among them.</summary>
    /// <param name="model">The model.</param>
    /// <param name="request">What replaces the source's numbers; its stages and replicas are tried one after the other.</param>
    /// <param name="devices">The devices.</param>
    public static IReadOnlyList<World> AllOf(ModelDescription model, PlanRequest request, int devices) =>
    [
        .. Enumerable.Range(1, Math.Min(MostStages, devices))
            .Select(stages => TryPlan(model, request, stages, devices))
            .OfType<World>()
            .OrderByDescending(world => world.Fits)
            .ThenByDescending(world => world.SamplesPerSecond),
    ];

    private static World? TryPlan(ModelDescription model, PlanRequest request, int stages, int devices)
    {
        int ranks = StageLayout.Of(request.Schedule ?? model.Options.Schedule, stages, model.Options.StagesPerRank).Ranks;
        if (devices % ranks != 0)
        {
            return null;
        }

        try
        {
            (ModelDescription cut, PlanResult result) = (request with { Stages = stages, Replicas = devices / ranks }).Plan(model);
            return result.Plan is { } plan && StepForecast.Of(plan, cut) is { } forecast
                ? new World(plan, forecast, devices, plan.Options.DeviceMemory)
                : null;
        }
        catch (ArgumentException)
        {
            // It has fewer places to cut at.
            return null;
        }
    }

    // A rank that holds several stages holds all their memory.
    private IEnumerable<long> PeakOfRanks() => Plan.Stages.GroupBy(s => Plan.RankOf(s.Index)).Select(rank => rank.Sum(s => s.PeakBytes!.Value));
}
