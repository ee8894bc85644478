using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics.Metrics;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>What a run tells of its estimates, by the trainer's events and by the metrics of the meter <c>Dho2</c>: both say the same.</summary>
public sealed class CurvatureObservabilityTests
{
    private const int Products = 6;

    private static readonly CurvatureOptions Options = new(
        Rank: 2, Smallest: 1, Every: 4, Warmup: 3, Batch: 0, Alpha: 0.1, MaxScale: 3, CurvatureScope.Global);

    private static readonly LanczosSettings Fixed = new() { Tolerance = 0, MaxOrder = Products, CertificateProducts = 0, BasisType = ScalarType.Float64 };

    [Theory]
    [InlineData(CurvatureMode.Blocking)]
    [InlineData(CurvatureMode.Amortized)]
    [InlineData(CurvatureMode.Dedicated)]
    public void EventsAndMetricsTellTheSameOfEveryEstimate(CurvatureMode mode)
    {
        using Measurements measured = new();
        List<CurvatureRefreshed> events = [];
        using var world = World.Join();
        using (Trainer trainer = new(ChainModel.Define(2, blocks: 3), world, new()
        {
            Estimation = Fixed,
            Overrides = new() { DType = DType.Float64, Curvature = Options with { Mode = mode, Delay = mode == CurvatureMode.Dedicated ? 1 : 0, Every = 10 } },
        }))
        {
            trainer.CurvatureRefreshed += events.Add;
            using DisposeScope scope = NewDisposeScope();
            (Tensor points, Tensor labels) = ChainModel.Data(32, float64);
            for (int i = 0; i < 21; i++)
            {
                trainer.TrainStep(new([points], [labels]));
            }
        }

        Assert.Equal(2, events.Count);
        Assert.Equal(events.Select(e => (double)e.Estimate.Products), measured.Of("dho2.curvature.products"));
        Assert.All(events, e => Assert.Equal(Products, e.Estimate.Products));
        Assert.Equal(["outcome=OrderReached", "outcome=OrderReached"], measured.Tags("dho2.curvature.estimates", "outcome"));
        Assert.Equal(["stage=all", "stage=all"], measured.Tags("dho2.curvature.products", "stage"));
        Assert.Equal(events.Select(e => e.Estimate.Duration.TotalSeconds), measured.Of("dho2.curvature.duration"));
        Assert.All(events, e => Assert.True(e.Estimate.Duration > TimeSpan.Zero));
        Assert.Equal(events.Select(e => e.Estimate.ResidualBounds.Max()), measured.Of("dho2.curvature.residual"));
        Assert.All(events, e => Assert.Equal(3, e.Estimate.ResidualBounds.Count));
        Assert.Equal(events.Select(e => e.Estimate.Eigenvalues[^1]), measured.Of("dho2.curvature.eigenvalue.largest"));
        Assert.Empty(measured.Of("dho2.curvature.failures"));

        // Only ranks of their own can be late or idle.
        bool isDedicated = mode == CurvatureMode.Dedicated;
        Assert.Equal(isDedicated ? events.Select(e => e.Lateness.TotalSeconds) : [], measured.Of("dho2.curvature.lateness"));
        Assert.Equal(isDedicated ? events.Select(e => e.DedicatedIdle.TotalSeconds) : [], measured.Of("dho2.curvature.idle"));
        Assert.All(events, e => Assert.Equal(isDedicated, e.DedicatedIdle > TimeSpan.Zero));
        Assert.All(events, e => Assert.Equal(isDedicated, e.Lateness > TimeSpan.Zero));
    }

    [Fact]
    public void AnEstimateThatIsNotFiniteIsSurvivedAndCounted()
    {
        PipelineDefinition chain = ChainModel.Define(2, blocks: 3);

        // |0|^1.5 has a slope of 0 and no finite curvature. It counts in batches that have the last class.
        PipelineDefinition definition = new()
        {
            DescriptionText = chain.DescriptionText,
            PlanHash = chain.PlanHash,
            Stages = chain.Stages,
            Unsplit = chain.Unsplit,
            Loss = (results, targets) => chain.Loss(results, targets) + (targets[0].max().ToInt64() == 2 ? results[0].mul(0).abs().pow(1.5).sum() : 0),
        };
        using Measurements measured = new();
        List<CurvatureRefreshed> events = [];
        List<double> losses = [];
        List<double> vectors = [];
        using var world = World.Join();
        using (Trainer trainer = new(definition, world, new()
        {
            Estimation = Fixed,
            Overrides = new() { DType = DType.Float64, Curvature = Options },
        }))
        {
            trainer.CurvatureRefreshed += events.Add;
            using DisposeScope scope = NewDisposeScope();
            (Tensor points, Tensor labels) = ChainModel.Data(32, float64);
            Tensor easy = labels.clamp(0, 1);
            for (int step = 1; step <= 12; step++)
            {
                // Estimates are due before steps 3, 7 and 11.
                losses.Add(trainer.TrainStep(new([points], [step is 7 ? labels : easy])).Loss);
                vectors.Add(trainer.Ranks[0].Optimizer.Subspace?.Vectors.sum().ToDouble() ?? 0);
            }
        }

        Assert.Equal([EstimateOutcome.OrderReached, EstimateOutcome.NotFinite, EstimateOutcome.OrderReached], events.Select(e => e.Estimate.Outcome));
        Assert.Equal([0, 1, 1], events.Select(e => e.Estimate.NonFiniteEstimates));
        Assert.Equal(events[0].Estimate.Eigenvalues, events[1].Estimate.Eigenvalues);
        Assert.Empty(events[1].Estimate.ResidualBounds);
        Assert.Equal(vectors[2], vectors[6]);
        Assert.NotEqual(vectors[6], vectors[10]);
        Assert.All(losses, loss => Assert.True(double.IsFinite(loss)));
        Assert.Equal([1.0], measured.Of("dho2.curvature.failures"));
        Assert.Equal(["outcome=OrderReached", "outcome=NotFinite", "outcome=OrderReached"], measured.Tags("dho2.curvature.estimates", "outcome"));
        Assert.Equal(2, measured.Of("dho2.curvature.residual").Count);
    }

    [Fact]
    public void EstimatesThatTheGateKeepsAreCounted()
    {
        using Measurements measured = new();
        List<CurvatureRefreshed> events = [];
        using var world = World.Join();
        using (Trainer trainer = new(ChainModel.Define(2, blocks: 3), world, new()
        {
            LearningRate = 1e-300,
            Estimation = new() { GateTolerance = 0.1, BasisType = ScalarType.Float64 },
            Overrides = new() { DType = DType.Float64, Curvature = Options with { Alpha = 0 } },
        }))
        {
            trainer.CurvatureRefreshed += events.Add;
            using DisposeScope scope = NewDisposeScope();
            (Tensor points, Tensor labels) = ChainModel.Data(32, float64);
            for (int i = 0; i < 8; i++)
            {
                trainer.TrainStep(new([points], [labels]));
            }
        }

        Assert.Equal(2, events.Count);
        Assert.NotEqual(EstimateOutcome.KeptByGate, events[0].Estimate.Outcome);
        Assert.Equal(EstimateOutcome.KeptByGate, events[1].Estimate.Outcome);
        Assert.InRange(events[1].Estimate.GateProducts, 1, 4);
        Assert.Equal(events[1].Estimate.GateProducts, events[1].Estimate.Products);
        Assert.Equal(events[0].Estimate.Eigenvalues, events[1].Estimate.Eigenvalues);
        Assert.Equal("outcome=KeptByGate", measured.Tags("dho2.curvature.estimates", "outcome")[1]);
        Assert.Equal(events.Select(e => (double)e.Estimate.Products), measured.Of("dho2.curvature.products"));
    }

    /// <summary>What instruments of the meter have recorded since this was made.</summary>
    private sealed class Measurements : IDisposable
    {
        private readonly ConcurrentQueue<(string Name, double Value, string[] Tags)> seen = [];
        private readonly MeterListener listener;

        public Measurements()
        {
            listener = new MeterListener
            {
                InstrumentPublished = (instrument, self) =>
                {
                    if (instrument.Meter.Name == "Dho2")
                    {
                        self.EnableMeasurementEvents(instrument);
                    }
                },
            };
            listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, value, tags));
            listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, value, tags));
            listener.Start();
        }

        public IReadOnlyList<double> Of(string name) => [.. seen.Where(m => m.Name == name).Select(m => m.Value)];

        public IReadOnlyList<string> Tags(string name, string key) =>
            [.. seen.Where(m => m.Name == name).Select(m => m.Tags.Single(tag => tag.StartsWith(key + "=", StringComparison.Ordinal)))];

        public void Dispose() => listener.Dispose();

        private void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            seen.Enqueue((instrument.Name, value, [.. tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}")]));
    }
}
