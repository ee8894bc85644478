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

    private static readonly Counter<long> Failures = Meter.CreateCounter<long>(
        "dho2.curvature.failures", "{estimate}", "Estimates that met a value that is not finite, after which the previous eigenpairs stayed.");

    private static readonly Histogram<double> Lateness = Meter.CreateHistogram<double>(
        "dho2.curvature.lateness", "s", "Time that training waited for an estimate of dedicated ranks at the step where it takes force.");

    private static readonly Histogram<double> Idle = Meter.CreateHistogram<double>(
        "dho2.curvature.idle", "s", "Time that dedicated ranks had nothing to do before an estimate.");

    private static readonly Gauge<double> CostFactor = Meter.CreateGauge<double>(
        "dho2.curvature.cost_factor", "1", "The time of training steps so far over what they would have taken without curvature.");

    private static readonly Counter<long> Trials = Meter.CreateCounter<long>(
        "dho2.curvature.trials", "{trial}", "Trials of curvature against the base optimizer alone, by what they came to.");

    private static readonly Gauge<double> StepRatio = Meter.CreateGauge<double>(
        "dho2.curvature.trial.step_ratio", "1", "Steps of the base over steps with curvature to the same loss, in the last trial.");

    private static readonly Gauge<double> CostRatio = Meter.CreateGauge<double>(
        "dho2.curvature.trial.cost_ratio", "1", "The time of a step with curvature over that of a step of the base, in the last trial.");

    /// <summary>Records what curvature costs so far; one rank does so for all.</summary>
    /// <param name="factor">The time of training steps so far over what they would have taken without curvature.</param>
    public static void RecordCost(double factor) => CostFactor.Record(factor);

    /// <summary>Records what a trial came to; one rank does so for all.</summary>
    /// <param name="compared">What it came to.</param>
    public static void Record(CurvatureCompared compared)
    {
        Trials.Add(1, new KeyValuePair<string, object?>("verdict", compared.Verdict.ToString()));
        StepRatio.Record(compared.StepRatio);
        CostRatio.Record(compared.CostRatio);
    }

    /// <summary>Records what an estimate of dedicated ranks cost in waiting; one rank does so for all.</summary>
    /// <param name="lateness">The time that training waited for it.</param>
    /// <param name="idle">The time that the dedicated ranks had nothing to do before it.</param>
    public static void RecordWaiting(System.TimeSpan lateness, System.TimeSpan idle)
    {
        Lateness.Record(lateness.TotalSeconds);
        Idle.Record(idle.TotalSeconds);
    }

    /// <summary>Records one estimate; one rank does so for all.</summary>
    /// <param name="estimate">The estimate.</param>
    /// <param name="stage">The stage whose diagonal block it describes; null for the Hessian of the whole model.</param>
    public static void Record(CurvatureEstimate estimate, int? stage)
    {
        KeyValuePair<string, object?> where = new("stage", stage?.ToString(CultureInfo.InvariantCulture) ?? "all");
        Products.Add(estimate.Products, where);
        Estimates.Add(1, where, new KeyValuePair<string, object?>("outcome", estimate.Outcome.ToString()));
        Duration.Record(estimate.Duration.TotalSeconds, where);
        if (estimate.Outcome == EstimateOutcome.NotFinite)
        {
            Failures.Add(1, where);
        }

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
