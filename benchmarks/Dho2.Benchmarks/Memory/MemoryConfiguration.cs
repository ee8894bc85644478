using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;

namespace Dho2.Benchmarks.Memory;

/// <summary>One training run whose memory is measured.</summary>
/// <param name="Name">Its name in the table.</param>
/// <param name="Definition">The model.</param>
/// <param name="Base">The base optimizer.</param>
/// <param name="HasCurvature">Whether curvature is estimated before the first step.</param>
/// <param name="Batch">Samples of a step, for the full table.</param>
/// <param name="IsHeldOut">Whether the memory model was never adjusted to it.</param>
/// <param name="Schedule">The schedule.</param>
internal sealed record MemoryConfiguration(
    string Name, Func<PipelineDefinition> Definition, BaseKind Base, bool HasCurvature, int Batch, bool IsHeldOut, Schedule Schedule = Schedule.OneForwardOneBackward)
{
    /// <summary>
    /// All of them. The half that is held out was named before anything was measured, and nothing is ever adjusted to it;
    /// batches and schedules are chosen for peaks above 1 GiB on the largest stage.
    /// </summary>
    public static IReadOnlyList<MemoryConfiguration> All { get; } =
    [
        new("mlp, 1 stage, adam, gpipe", () => Mlp1.Pipeline, BaseKind.Adam, false, 65536, IsHeldOut: false, Schedule.GPipe),
        new("mlp, 2 stages, heavy-ball, curvature", () => Mlp2.Pipeline, BaseKind.HeavyBall, true, 40960, IsHeldOut: false),
        new("mlp, 4 stages, adam, curvature", () => Mlp4.Pipeline, BaseKind.Adam, true, 65536, IsHeldOut: false),
        new("cnn, 1 stage, heavy-ball, gpipe", () => Cnn1.Pipeline, BaseKind.HeavyBall, false, 2560, IsHeldOut: false, Schedule.GPipe),
        new("vgg, 2 stages, adam, gpipe", () => Vgg2.Pipeline, BaseKind.Adam, false, 2048, IsHeldOut: false, Schedule.GPipe),
        new("resnet, 2 stages, heavy-ball, curvature", () => ResNet2.Pipeline, BaseKind.HeavyBall, true, 1536, IsHeldOut: false),
        new("transformer, 2 stages, adam, gpipe", () => Transformer2.Pipeline, BaseKind.Adam, false, 768, IsHeldOut: false, Schedule.GPipe),
        new("transformer, 2 stages, adam, curvature", () => Transformer2.Pipeline, BaseKind.Adam, true, 448, IsHeldOut: false),
        new("lstm, 1 stage, adam, curvature", () => Lstm1.Pipeline, BaseKind.Adam, true, 8192, IsHeldOut: false),
        new("mlp, 1 stage, heavy-ball, curvature", () => Mlp1.Pipeline, BaseKind.HeavyBall, true, 32768, IsHeldOut: true),
        new("mlp, 2 stages, adam, gpipe", () => Mlp2.Pipeline, BaseKind.Adam, false, 98304, IsHeldOut: true, Schedule.GPipe),
        new("mlp, 4 stages, heavy-ball", () => Mlp4.Pipeline, BaseKind.HeavyBall, false, 131072, IsHeldOut: true),
        new("cnn, 2 stages, adam, curvature", () => Cnn2.Pipeline, BaseKind.Adam, true, 1024, IsHeldOut: true),
        new("vgg, 4 stages, heavy-ball", () => Vgg4.Pipeline, BaseKind.HeavyBall, false, 3072, IsHeldOut: true),
        new("resnet, 4 stages, adam", () => ResNet4.Pipeline, BaseKind.Adam, false, 3584, IsHeldOut: true),
        new("transformer, 4 stages, heavy-ball, curvature", () => Transformer4.Pipeline, BaseKind.HeavyBall, true, 896, IsHeldOut: true),
        new("lstm, 2 stages, heavy-ball, gpipe", () => Lstm2.Pipeline, BaseKind.HeavyBall, false, 16384, IsHeldOut: true, Schedule.GPipe),
    ];

    /// <summary>
    /// Two models on 1, 2, 4 and 8 stages, with all micro-batches in flight: with fewer in flight one stage alone needs less.
    /// </summary>
    public static IReadOnlyList<MemoryConfiguration> OnDevices { get; } =
    [
        .. OnStages("resnet-110", false, 256, () => ResNet110On1.Pipeline, () => ResNet110On2.Pipeline, () => ResNet110On4.Pipeline, () => ResNet110On8.Pipeline),
        .. OnStages("transformer", false, 384, () => TransformerOn1.Pipeline, () => TransformerOn2.Pipeline, () => TransformerOn4.Pipeline, () => TransformerOn8.Pipeline),
        .. OnStages(
            "resnet-110", true, 64, () => ResNet110On1.Pipeline, () => ResNet110CurvatureOn2.Pipeline, () => ResNet110CurvatureOn4.Pipeline, () => ResNet110CurvatureOn8.Pipeline),
        .. OnStages("transformer", true, 96, () => TransformerOn1.Pipeline, () => TransformerOn2.Pipeline, () => TransformerOn4.Pipeline, () => TransformerOn8.Pipeline),
    ];

    /// <summary>Micro-batches of a step.</summary>
    public int MicroBatches { get; init; } = 4;

    /// <summary>The configuration of a name.</summary>
    /// <param name="name">The name.</param>
    public static MemoryConfiguration Find(string name) => All.Concat(OnDevices).Single(configuration => configuration.Name == name);

    /// <summary>The plan of the run.</summary>
    /// <param name="divisor">What the batch is divided by.</param>
    public Plan Plan(int divisor) =>
        Planner.Plan(ModelDescriptionText.Parse(Definition().DescriptionText), Options(divisor).Overrides).Plan
        ?? throw new InvalidOperationException($"'{Name}' has no plan.");

    /// <summary>The run's options.</summary>
    /// <param name="divisor">What the batch is divided by.</param>
    public TrainingOptions Options(int divisor) => new()
    {
        Optimizer = HasCurvature ? OptimizerKind.Hybrid : OptimizerKind.FirstOrder,
        ThreadsPerRank = 1,

        // An estimate before every step, made in full: products of a stand-in's numbers never converge.
        Estimation = new() { Tolerance = 0, CertificateProducts = 0 },
        Overrides = new()
        {
            Base = Base,
            Batch = Batch / divisor,
            MicroBatches = MicroBatches,
            Schedule = Schedule,
            Curvature = new(HasCurvature ? 2 : 0, 0, 1, 1, Batch / divisor, 0.1, 1, CurvatureScope.Global, Order: HasCurvature ? 4 : 0),
        },
    };

    private static IEnumerable<MemoryConfiguration> OnStages(string name, bool hasCurvature, int batch, params Func<PipelineDefinition>[] models) =>
        models.Select((model, i) => new MemoryConfiguration(
            $"{name}{(hasCurvature ? ", curvature" : "")}, {1 << i} stage{(i > 0 ? "s" : "")}", model, BaseKind.Adam, hasCurvature, batch, IsHeldOut: false, Schedule.GPipe)
        {
            MicroBatches = 8,
        });
}
