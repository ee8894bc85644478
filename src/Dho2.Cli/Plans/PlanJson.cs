using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Cli.Plans;

/// <summary>What <c>dho2 plan --json</c> prints: all that the tables show, for programs.</summary>
/// <param name="Version">The version of this form; a reader of another one must not guess.</param>
/// <param name="Models">The pipeline classes of the project.</param>
internal sealed record PlanJson(int Version, IReadOnlyList<ModelJson> Models)
{
    private const int CurrentVersion = 1;

    /// <summary>Prints plans, each with the ways to share out devices that were asked for.</summary>
    public static void Write(IReadOnlyList<(PlannedModel Model, IReadOnlyList<World> Worlds)> models, TextWriter output) => output.WriteLine(JsonSerializer.Serialize(
        new PlanJson(CurrentVersion, [.. models.Select(m => new ModelJson(
            m.Model.Model.MetadataName,
            [.. m.Model.Diagnostics.Where(d => d.Severity >= DiagnosticSeverity.Warning).Select(DiagnosticJson.Of)],
            m.Model.Plan is null ? null : SplitJson.Of(m.Model),
            [.. m.Worlds.Select(WorldJson.Of)]))]),
        PlanJsonContext.Default.PlanJson));
}

/// <summary>A pipeline class.</summary>
/// <param name="Model">Its full name.</param>
/// <param name="Diagnostics">Warnings and errors about it, as the compiler has them.</param>
/// <param name="Plan">Its plan; null where none can be made.</param>
/// <param name="Worlds">Ways to share out devices, those that fit first, the quickest first among them; none unless asked for.</param>
internal sealed record ModelJson(string Model, IReadOnlyList<DiagnosticJson> Diagnostics, SplitJson? Plan, IReadOnlyList<WorldJson> Worlds);

/// <summary>Something that the compiler says.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Severity">Warning or Error.</param>
/// <param name="Message">What it says.</param>
/// <param name="File">Where; null where it is about no place.</param>
/// <param name="Line">The line, counted from 1.</param>
/// <param name="Column">The column, counted from 1.</param>
internal sealed record DiagnosticJson(string Id, string Severity, string Message, string? File, int? Line, int? Column)
{
    /// <summary>A diagnostic.</summary>
    public static DiagnosticJson Of(Diagnostic diagnostic)
    {
        FileLinePositionSpan place = diagnostic.Location.GetMappedLineSpan();
        string message = diagnostic.GetMessage(System.Globalization.CultureInfo.InvariantCulture);
        return place.IsValid
            ? new(diagnostic.Id, diagnostic.Severity.ToString(), message, place.Path, place.StartLinePosition.Line + 1, place.StartLinePosition.Character + 1)
            : new(diagnostic.Id, diagnostic.Severity.ToString(), message, null, null, null);
    }
}

/// <summary>A plan.</summary>
/// <param name="Hash">SHA-256 of its canonical text.</param>
/// <param name="Replicas">Replicas of the pipeline.</param>
/// <param name="Batch">Samples per step and replica.</param>
/// <param name="MicroBatches">The samples of each micro-batch.</param>
/// <param name="Schedule">The schedule's name.</param>
/// <param name="Base">The base optimizer's name.</param>
/// <param name="DeviceName">The device; null where none is named.</param>
/// <param name="Curvature">What is estimated; null for nothing.</param>
/// <param name="Admm">How replicas are tied together; null where gradients are reduced in every step.</param>
/// <param name="Stages">The stages, in order.</param>
/// <param name="Cuts">What crosses from each stage to the next.</param>
/// <param name="Shared">Parameters that several layers or stages share.</param>
/// <param name="Ranks">The instructions of each rank of one pipeline.</param>
/// <param name="Costs">What a step costs.</param>
/// <param name="Recommended">What would be quicker on as many devices, or fit; null where that is this plan, or work is unknown.</param>
internal sealed record SplitJson(
    string Hash,
    int Replicas,
    int Batch,
    IReadOnlyList<int> MicroBatches,
    string Schedule,
    string Base,
    string? DeviceName,
    CurvatureJson? Curvature,
    AdmmJson? Admm,
    IReadOnlyList<StageJson> Stages,
    IReadOnlyList<CutJson> Cuts,
    IReadOnlyList<SharedJson> Shared,
    IReadOnlyList<RankJson> Ranks,
    CostsJson Costs,
    RecommendationJson? Recommended)
{
    /// <summary>The plan of a model, which must have one.</summary>
    public static SplitJson Of(PlannedModel model)
    {
        Plan plan = model.Plan!;
        return new(
            plan.Hash,
            plan.Options.Replicas,
            plan.Options.Batch,
            [.. plan.MicroBatches],
            plan.Options.Schedule.ToString(),
            plan.Options.Base.ToString(),
            plan.Options.DeviceName,
            plan.Curvature is { } curvature && plan.Options.Curvature is { } options
                ? new(options.Rank, options.Smallest, options.Scope.ToString(), options.Every, curvature.Mode.ToString(), curvature.Stages.Max(s => s.Order), curvature.RetainsGraphs)
                : null,
            plan.Options.Admm is { } admm && plan.Options.Replicas > 1 ? new(admm.Rule.ToString(), admm.Period, admm.Sigma) : null,
            [.. model.Report!.Stages.Select(stage => StageJson.Of(model, stage))],
            [.. plan.Cuts.Select(cut => CutJson.Of(cut, plan.MicroBatches[0]))],
            [.. plan.Ties.Select(tie => new SharedJson(tie.Name, tie.Owner, [.. tie.Mirrors]))],
            [.. plan.Schedule.Select((instructions, rank) => new RankJson(rank, [.. instructions.Select(i => new InstructionJson(i.Kind.ToString(), i.MicroBatch, i.Stage))]))],
            CostsJson.Of(model),
            RecommendationJson.Of(model));
    }
}

/// <summary>Another way to run a model on as many devices.</summary>
/// <param name="Schedule">The schedule's name.</param>
/// <param name="MicroBatches">Micro-batches of a step.</param>
/// <param name="Recomputed">The stages that recompute their activations.</param>
/// <param name="StepRatio">The time of its step over that of the plan, by the prices of the search.</param>
/// <param name="PeakBytes">The most bytes that a device needs.</param>
internal sealed record RecommendationJson(string Schedule, int MicroBatches, IReadOnlyList<int> Recomputed, double StepRatio, long PeakBytes)
{
    /// <summary>The recommendation for a model; null where that is its plan, or there is none.</summary>
    public static RecommendationJson? Of(PlannedModel model) => model.Recommended is { } best
        ? new(
            best.Plan.Options.Schedule.ToString(),
            best.Plan.Options.MicroBatches,
            [.. best.Recomputed],
            (double)best.StepTime / model.Ways.First(way => way.IsCurrent).StepTime,
            best.PeakBytes)
        : null;
}

/// <summary>What is estimated of the curvature.</summary>
/// <param name="Rank">Largest eigenpairs.</param>
/// <param name="Smallest">Smallest eigenpairs.</param>
/// <param name="Scope">Of the whole model, or stage by stage.</param>
/// <param name="Every">Steps between two estimates.</param>
/// <param name="Mode">When estimates are made, against training.</param>
/// <param name="MostProducts">The most products of an estimate; null where unknown.</param>
/// <param name="RetainsGraphs">Whether graphs are kept over an estimate, not built anew for every product.</param>
internal sealed record CurvatureJson(int Rank, int Smallest, string Scope, int Every, string Mode, int? MostProducts, bool RetainsGraphs);

/// <summary>How replicas are tied together.</summary>
/// <param name="Rule">The update rule.</param>
/// <param name="Period">Local steps between two rounds.</param>
/// <param name="Sigma">The weight of the proximal term.</param>
internal sealed record AdmmJson(string Rule, int Period, double Sigma);

/// <summary>A stage.</summary>
/// <param name="Stage">Its number.</param>
/// <param name="Rank">The rank, within a replica's pipeline, that holds it.</param>
/// <param name="Layers">The names of its layers.</param>
/// <param name="Parameters">The number of its parameters; null where unknown.</param>
/// <param name="Eigenpairs">Largest eigenpairs kept for it.</param>
/// <param name="ForwardOperations">Floating-point operations of one forward over a step's batch; null where unknown.</param>
/// <param name="Memory">Bytes by kind.</param>
/// <param name="PeakBytes">The most bytes at one time; null where a term is unknown.</param>
/// <param name="KnownBytes">The same over the terms that are known.</param>
/// <param name="DeviceBytes">Bytes of its device; null where not stated.</param>
/// <param name="Recomputes">Whether it recomputes its activations.</param>
internal sealed record StageJson(
    int Stage,
    int Rank,
    IReadOnlyList<string> Layers,
    long? Parameters,
    int Eigenpairs,
    long? ForwardOperations,
    IReadOnlyList<MemoryJson> Memory,
    long? PeakBytes,
    long KnownBytes,
    long? DeviceBytes,
    bool Recomputes)
{
    /// <summary>A stage of a planned model.</summary>
    public static StageJson Of(PlannedModel model, StageReport stage)
    {
        HashSet<MemoryKind> peak = [.. model.Plan!.Stages[stage.Index].PeakTerms.Select(term => term.Kind)];
        return new(
            stage.Index,
            model.Plan.RankOf(stage.Index),
            [.. stage.Layers],
            stage.Parameters,
            stage.CurvatureRank,
            stage.ForwardOperations,
            [.. stage.Memory.Select(term => new MemoryJson(term.Kind.ToString(), PlanReport.NameOf(term.Kind), term.Bytes, peak.Contains(term.Kind)))],
            stage.PeakBytes,
            stage.KnownBytes,
            PlanFacts.DeviceOf(model, stage.Index),
            model.Plan.Stages[stage.Index].Recomputes);
    }
}

/// <summary>A term of a stage's memory.</summary>
/// <param name="Kind">What it is for.</param>
/// <param name="Name">The same as people read it.</param>
/// <param name="Bytes">Bytes; null where unknown.</param>
/// <param name="InPeak">Whether it is in use at the peak: the memory of estimates and that of steps may take turns.</param>
internal sealed record MemoryJson(string Kind, string Name, long? Bytes, bool InPeak);

/// <summary>A cut.</summary>
/// <param name="Stage">The stage before it.</param>
/// <param name="Values">What crosses.</param>
internal sealed record CutJson(int Stage, IReadOnlyList<CutValueJson> Values)
{
    /// <summary>A cut, for micro-batches of a size.</summary>
    public static CutJson Of(CutPlan cut, int samples) => new(
        cut.Index,
        [
            .. cut.Values.Select(value => new CutValueJson(
                value.Name,
                value.Type is { } type ? ElementTypes.NameOf(type.DType) : null,
                value.Type is { } shaped ? [.. shaped.Shape.Select(dimension => dimension.ToString())] : null,
                PlanFacts.BytesOf(value, samples),
                value.Differentiable)),
        ]);
}

/// <summary>A value that crosses a cut.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type; null where unknown, or where it is no tensor.</param>
/// <param name="Shape">Its dimensions: numbers, symbols, or a question mark; N is the batch.</param>
/// <param name="BytesPerMicroBatch">Bytes of a micro-batch; null where unknown.</param>
/// <param name="Differentiable">Whether a gradient comes back for it.</param>
internal sealed record CutValueJson(string Name, string? Type, IReadOnlyList<string>? Shape, long? BytesPerMicroBatch, bool Differentiable);

/// <summary>A parameter that several layers or stages share.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Owner">The stage that stores and updates it.</param>
/// <param name="Mirrors">The other stages that use it.</param>
internal sealed record SharedJson(string Name, int Owner, IReadOnlyList<int> Mirrors);

/// <summary>What a rank does in a step.</summary>
/// <param name="Rank">The rank, within a replica's pipeline.</param>
/// <param name="Instructions">What it does, in order.</param>
internal sealed record RankJson(int Rank, IReadOnlyList<InstructionJson> Instructions);

/// <summary>An instruction.</summary>
/// <param name="Kind">What to do.</param>
/// <param name="MicroBatch">The micro-batch.</param>
/// <param name="Stage">The stage that it is done for.</param>
internal sealed record InstructionJson(string Kind, int MicroBatch, int Stage);

/// <summary>What a step costs. Times are picoseconds, by the plan's prices: they compare plans, and foretell no seconds.</summary>
/// <param name="BubbleOfEqualStages">The share of all ranks' time in which they wait, if all stages cost the same.</param>
/// <param name="Bubble">The same by the plan's prices; null, like the times, where the work of an operation is unknown.</param>
/// <param name="ForwardTimes">Stage by stage the time of a micro-batch's forward.</param>
/// <param name="BackwardTimes">The same of its backward.</param>
/// <param name="StepTime">The time of a step, reduction included.</param>
/// <param name="ReductionTime">The part of it that reduces over replicas.</param>
/// <param name="Work">What each rank computes when.</param>
internal sealed record CostsJson(
    double BubbleOfEqualStages,
    double? Bubble,
    IReadOnlyList<long>? ForwardTimes,
    IReadOnlyList<long>? BackwardTimes,
    long? StepTime,
    long? ReductionTime,
    IReadOnlyList<WorkJson>? Work)
{
    /// <summary>The costs of a model's plan.</summary>
    public static CostsJson Of(PlannedModel model)
    {
        double equal = model.Report!.BubblePartsPerMillion / 1e6;
        return model.Forecast is not { } forecast
            ? new(equal, null, null, null, null, null, null)
            : new(
                equal,
                forecast.Simulation.BubbleFraction,
                [.. forecast.Costs.Forward],
                [.. forecast.Costs.Backward],
                forecast.Time,
                forecast.Reduction,
                [.. forecast.Simulation.Work.Select(w => new WorkJson(w.Rank, w.Instruction.Kind.ToString(), w.Instruction.MicroBatch, w.Instruction.Stage, w.Start, w.End))]);
    }
}

/// <summary>A computation.</summary>
/// <param name="Rank">The rank that does it.</param>
/// <param name="Kind">What it does.</param>
/// <param name="MicroBatch">The micro-batch.</param>
/// <param name="Stage">The stage.</param>
/// <param name="Start">When it begins, in picoseconds from the step's start.</param>
/// <param name="End">When it ends.</param>
internal sealed record WorkJson(int Rank, string Kind, int MicroBatch, int Stage, long Start, long End);

/// <summary>A way to share devices out over stages and replicas.</summary>
/// <param name="Stages">Stages.</param>
/// <param name="Replicas">Replicas.</param>
/// <param name="Batch">Samples per step, of all replicas.</param>
/// <param name="PeakBytes">The most bytes that a device needs; null where unknown.</param>
/// <param name="Fits">Whether every device has room; null where that is not known.</param>
/// <param name="Bubble">The share of all ranks' time in which they wait.</param>
/// <param name="StepTime">Picoseconds of a step, reduction included.</param>
/// <param name="ReductionTime">The part of it that reduces over replicas.</param>
/// <param name="SamplesPerSecond">Samples of all replicas in a second, by the plan's prices.</param>
internal sealed record WorldJson(
    int Stages, int Replicas, long Batch, long? PeakBytes, bool? Fits, double Bubble, long StepTime, long ReductionTime, double SamplesPerSecond)
{
    /// <summary>A way.</summary>
    public static WorldJson Of(World world) => new(
        world.Plan.Stages.Count,
        world.Plan.Options.Replicas,
        (long)world.Plan.Options.Batch * world.Plan.Options.Replicas,
        world.PeakBytes,
        world.DeviceMemory is null || world.PeakBytes is null ? null : world.Fits,
        world.Forecast.Simulation.BubbleFraction,
        world.Forecast.Time,
        world.Forecast.Reduction,
        world.SamplesPerSecond);
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, WriteIndented = true, NewLine = "\n")]
[JsonSerializable(typeof(PlanJson))]
internal sealed partial class PlanJsonContext : JsonSerializerContext;
