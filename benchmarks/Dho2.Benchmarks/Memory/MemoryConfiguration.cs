using System;
using System.Collections.Generic;
using Dho2.Pipelines;

namespace Dho2.Benchmarks.Memory;

/// <summary>One training run whose memory is measured.</summary>
/// <param name="Name">Its name in the table.</param>
/// <param name="Definition">The model.</param>
/// <param name="Base">The base optimizer.</param>
/// <param name="HasCurvature">Whether curvature is estimated before the first step.</param>
/// <param name="Batch">Samples of a step, for the full table.</param>
/// <param name="IsHeldOut">Whether the memory model was never adjusted to it.</param>
internal sealed record MemoryConfiguration(
    string Name, Func<PipelineDefinition> Definition, BaseKind Base, bool HasCurvature, int Batch, bool IsHeldOut)
{
    /// <summary>
    /// All of them. The half that is held out was named before anything was measured, and nothing is ever adjusted to it;
    /// batches are chosen for peaks above 1 GiB on the largest stage.
    /// </summary>
    public static IReadOnlyList<MemoryConfiguration> All { get; } =
    [
        new("mlp, 1 stage, adam", () => Mlp1.Pipeline, BaseKind.Adam, false, 65536, IsHeldOut: false),
        new("mlp, 2 stages, heavy-ball, curvature", () => Mlp2.Pipeline, BaseKind.HeavyBall, true, 32768, IsHeldOut: false),
        new("mlp, 4 stages, adam, curvature", () => Mlp4.Pipeline, BaseKind.Adam, true, 65536, IsHeldOut: false),
        new("cnn, 1 stage, heavy-ball", () => Cnn1.Pipeline, BaseKind.HeavyBall, false, 2048, IsHeldOut: false),
        new("vgg, 2 stages, adam", () => Vgg2.Pipeline, BaseKind.Adam, false, 2048, IsHeldOut: false),
        new("resnet, 2 stages, heavy-ball, curvature", () => ResNet2.Pipeline, BaseKind.HeavyBall, true, 512, IsHeldOut: false),
        new("transformer, 2 stages, adam", () => Transformer2.Pipeline, BaseKind.Adam, false, 512, IsHeldOut: false),
        new("lstm, 1 stage, adam, curvature", () => Lstm1.Pipeline, BaseKind.Adam, true, 4096, IsHeldOut: false),
        new("mlp, 1 stage, heavy-ball, curvature", () => Mlp1.Pipeline, BaseKind.HeavyBall, true, 32768, IsHeldOut: true),
        new("mlp, 2 stages, adam", () => Mlp2.Pipeline, BaseKind.Adam, false, 65536, IsHeldOut: true),
        new("mlp, 4 stages, heavy-ball", () => Mlp4.Pipeline, BaseKind.HeavyBall, false, 131072, IsHeldOut: true),
        new("cnn, 2 stages, adam, curvature", () => Cnn2.Pipeline, BaseKind.Adam, true, 1024, IsHeldOut: true),
        new("vgg, 4 stages, heavy-ball", () => Vgg4.Pipeline, BaseKind.HeavyBall, false, 2048, IsHeldOut: true),
        new("resnet, 4 stages, adam", () => ResNet4.Pipeline, BaseKind.Adam, false, 2048, IsHeldOut: true),
        new("transformer, 4 stages, heavy-ball, curvature", () => Transformer4.Pipeline, BaseKind.HeavyBall, true, 256, IsHeldOut: true),
        new("lstm, 2 stages, heavy-ball", () => Lstm2.Pipeline, BaseKind.HeavyBall, false, 16384, IsHeldOut: true),
    ];

    /// <summary>The run's options.</summary>
    /// <param name="divisor">What the batch is divided by.</param>
    public TrainingOptions Options(int divisor) => new()
    {
        Optimizer = HasCurvature ? OptimizerKind.Hybrid : OptimizerKind.FirstOrder,
        ThreadsPerRank = 1,

        // The first estimate comes before the first step. It is made in full: products of a stand-in's numbers never converge.
        Estimation = new() { Tolerance = 0, CertificateProducts = 0 },
        Overrides = new()
        {
            Base = Base,
            Batch = Batch / divisor,
            MicroBatches = 4,
            Curvature = HasCurvature ? new(4, 0, 1000, 1, Batch / divisor, 0.1, 1, CurvatureScope.Global, Order: 8) : null,
        },
    };
}
