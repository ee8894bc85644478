using System.Collections.Generic;
using System.Diagnostics.Metrics;
using System.Globalization;

namespace Dho2.Curvature;

/// <summary>
/// What estimates cost and how they ended, as .NET metrics of the meter <c>Dho2</c>; every measurement carries the
/// stage whose block was estimated, or <c>all</c>.
/// </summary>
public static class CurvatureMetrics
{
    private static readonly Meter Meter = new("Dho2");

    private static readonly Counter<long> Products = Meter.CreateCounter<long>(
        "dho2.curvature.products", "{product}", "Hessian-vector products, those of gate and certificate included.");

    private static readonly Counter<long> Estimates = Meter.CreateCounter<long>(
        "dho2.curvature.estimates", "{estimate}", "Estimates, by how they ended.");

    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>(
        "dho2.curvature.duration", "s", "Time from an estimate's start to its result.");

    private static readonly Gauge<double> LargestEigenvalue = Meter.CreateGauge<double>(
        "dho2.curvature.eigenvalue.largest", null, "The largest eigenvalue in force.");

    private static readonly Histogram<double> ResidualBound = Meter.CreateHistogram<double>(
        "dho2.curvature.residual", null, "The largest residual bound of an estimate's pairs.");

    /// <summary>Records one estimate; one rank does so for all.</summary>
    /// <param name="estimate">The estimate.</param>
    /// <param name="stage">The stage whose diagonal block it describes; null for the Hessian of the whole model.</param>
    public static void Record(CurvatureEstimate estimate, int? stage)
    {
        KeyValuePair<string, object?> where = new("stage", stage?.ToString(CultureInfo.InvariantCulture) ?? "all");
        Products.Add(estimate.Products, where);
        Estimates.Add(1, where, new KeyValuePair<string, object?>("outcome", estimate.Outcome.ToString()));
        Duration.Record(estimate.Duration.TotalSeconds, where);
        if (estimate.Eigenvalues.Count > 0)
        {
            LargestEigenvalue.Record(estimate.Eigenvalues[^1], where);
        }

        if (estimate.ResidualBounds.Count > 0)
        {
            double worst = 0;
            foreach (double bound in estimate.ResidualBounds)
            {
                worst = double.Max(worst, bound);
            }

            ResidualBound.Record(worst, where);
        }
    }
}
