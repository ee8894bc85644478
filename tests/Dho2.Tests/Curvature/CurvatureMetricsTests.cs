using System;
using System.Collections.Generic;
using System.Diagnostics.Metrics;
using System.Linq;
using Dho2.Curvature;
using Dho2.Tests.Optimizers;

namespace Dho2.Tests.Curvature;

public class CurvatureMetricsTests
{
    [Fact]
    public void An_estimate_shows_in_the_metrics_with_its_stage_and_outcome()
    {
        List<(string Name, double Value, string Tags)> seen = [];
        using MeterListener listener = new()
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

        CurvatureMetrics.Record(
            Estimates.Of(null) with { Products = 17, Duration = TimeSpan.FromSeconds(2), Eigenvalues = [1, 5], ResidualBounds = [0.1, 0.2] }, 3);
        CurvatureMetrics.Record(Estimates.Of(null) with { Products = 4 }, null);

        Assert.Contains(("dho2.curvature.products", 17, "stage=3"), seen);
        Assert.Contains(("dho2.curvature.estimates", 1, "stage=3 outcome=KeptByGate"), seen);
        Assert.Contains(("dho2.curvature.duration", 2, "stage=3"), seen);
        Assert.Contains(("dho2.curvature.eigenvalue.largest", 5, "stage=3"), seen);
        Assert.Contains(("dho2.curvature.residual", 0.2, "stage=3"), seen);
        Assert.Contains(("dho2.curvature.products", 4, "stage=all"), seen);
        Assert.Equal(8, seen.Count);

        void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            seen.Add((instrument.Name, value, string.Join(" ", tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"))));
    }
}
