using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Dho2.Analyzers;
using Dho2.Modeling;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Cli.Plans;

/// <summary>What was asked for in place of what the source says; null leaves that.</summary>
/// <param name="Stages">Stages to cut the model into, wherever its attributes put its layers.</param>
/// <param name="Replicas">Replicas of the pipeline.</param>
/// <param name="MicroBatches">Micro-batches per step.</param>
/// <param name="Batch">Samples per step and replica.</param>
/// <param name="Schedule">The schedule.</param>
/// <param name="Profile">A device of the table.</param>
/// <param name="Memory">Bytes of the device.</param>
/// <param name="Recompute">The stages that recompute their activations, and no others.</param>
internal sealed record PlanRequest(
    int? Stages = null, int? Replicas = null, int? MicroBatches = null, int? Batch = null, Schedule? Schedule = null, DeviceProfile? Profile = null, long? Memory = null,
    RecomputeOptions? Recompute = null)
{
    private PlanOverrides Overrides => new() { Replicas = Replicas, MicroBatches = MicroBatches, Batch = Batch, Schedule = Schedule, Recompute = Recompute };

    /// <summary>Plans a model with these numbers.</summary>
    /// <param name="model">The model as its source says.</param>
    /// <returns>The model with the device and stages asked for, and its plan.</returns>
    /// <exception cref="ArgumentException">It cannot be cut into so many stages, or has no stage that is to recompute.</exception>
    public (ModelDescription Model, PlanResult Result) Plan(ModelDescription model)
    {
        if (Profile is not null || Memory is not null)
        {
            model = model with
            {
                Options = model.Options with { DeviceName = Profile?.Name ?? model.Options.DeviceName, DeviceMemory = Memory ?? Profile?.MemoryBytes },
                Layers = model.Layers.Select(layer => layer with { DeviceMemory = null }).ToEquatableArray(),
            };
        }

        if (Stages is { } stages)
        {
            // Cut for the numbers that it is to run with.
            ModelDescription asked = model with { Options = Overrides.Apply(model.Options) with { Stages = stages } };
            PartitionProposal proposal = StageChooser.Propose(asked) is { } found && found.Count == stages
                ? found
                : throw new ArgumentException($"{model.Name} cannot be cut into {Count(stages, "stage")}: it has too few places to cut at, or work that is not known.");
            model = model with
            {
                Layers = model.Layers.Select((layer, i) => layer with { Stage = proposal.Stages[i], StageIsAutomatic = false }).ToEquatableArray(),
            };
        }

        PlanResult result = Planner.Plan(model, Overrides);
        if (result.Plan is { } plan && Recompute?.Stages.FirstOrDefault(stage => stage >= plan.Stages.Count, -1) is >= 0 and { } missing)
        {
            throw new ArgumentException($"{model.Name} has no stage {missing} that could recompute; it has {(plan.Stages.Count == 1 ? "stage 0" : $"stages 0 to {plan.Stages.Count - 1}")}.");
        }

        return (model, result);
    }

    private static string Count(int number, string what) => $"{number} {what}{(number == 1 ? "" : "s")}";
}

/// <summary>A pipeline class of a project, planned.</summary>
/// <param name="Model">The model, with the device and stages that were asked for.</param>
/// <param name="Plan">Its plan; null where none can be made.</param>
/// <param name="Diagnostics">What the compiler would say about these numbers.</param>
internal sealed record PlannedModel(ModelDescription Model, Plan? Plan, IReadOnlyList<Diagnostic> Diagnostics)
{
    private readonly Lazy<PlanReport?> report = new(() => Plan is null ? null : PlanReport.Of(Plan, Model));
    private readonly Lazy<IReadOnlyList<Recommendation>> ways = new(() => Plan is null ? [] : Recommender.Recommend(Model with { Options = Plan.Options }));
    private readonly Lazy<StepForecast?> forecast = new(() => Plan is null ? null : StepForecast.Of(Plan, Model));

    /// <summary>The plan's rows; null where there is none.</summary>
    public PlanReport? Report => report.Value;

    /// <summary>The time of a step by the plan's prices; null where work or sizes are not known.</summary>
    public StepForecast? Forecast => forecast.Value;

    /// <summary>Ways to run the model on as many devices, the best first; none where work is not known.</summary>
    public IReadOnlyList<Recommendation> Ways => ways.Value;

    /// <summary>What to run it with in place of this plan; null where nothing else fits that is quicker, or fits at all.</summary>
    public Recommendation? Recommended => Ways is [{ IsCurrent: false, Fits: true } best, ..] ? best : null;

    /// <summary>The step as it is drawn: by the plan's prices, else with stages of equal cost.</summary>
    public ScheduleSimulation Step => Forecast?.Simulation ?? ScheduleSimulator.Run(Plan!.Schedule, ScheduleCosts.OfEqualStages(Plan));

    /// <summary>Whether something is an error.</summary>
    public bool HasErrors => Plan is null || Diagnostics.Any(d => d.Severity == DiagnosticSeverity.Error);

    /// <summary>Reads and plans a class; null where no user wrote a part of it.</summary>
    /// <param name="type">The class.</param>
    /// <param name="project">Its project.</param>
    /// <param name="request">What replaces the source's numbers.</param>
    public static PlannedModel? Of(INamedTypeSymbol type, ProjectCompilation project, PlanRequest request)
    {
        if (ModelReader.Read(type, project.Compilation, CancellationToken.None) is not { } reading)
        {
            return null;
        }

        (ModelDescription model, PlanResult result) = request.Plan(project.Device.ApplyTo(reading.Model.Description));
        return new PlannedModel(model, result.Plan, [.. PipelineAnalyzer.Diagnose(reading, model, result, CancellationToken.None)]);
    }
}
