using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;

namespace Dho2;

/// <summary>Writes a step and how the run is doing as one line.</summary>
internal static class ProgressText
{
    /// <summary>The line.</summary>
    /// <param name="step">The step.</param>
    /// <param name="width">The most characters: what matters least is left out first.</param>
    public static string Of(StepCompleted step, int width)
    {
        string line = FormattableString.Invariant($"epoch {step.Epoch}, step {step.Result.Step}/{step.TotalSteps}: loss {step.Result.Loss:0.0000}");
        foreach (string part in Parts(step))
        {
            string longer = $"{line}, {part}";
            if (longer.Length > width)
            {
                break;
            }

            line = longer;
        }

        return line.Length > width ? line[..Math.Max(0, width)] : line;
    }

    private static IEnumerable<string> Parts(StepCompleted step)
    {
        yield return FormattableString.Invariant($"{step.SamplesPerSecond:0} samples/s");
        if (step.Status is not { } status)
        {
            yield break;
        }

        yield return $"{TimeOf(status.Remaining)} left";
        if (status.Idle is { } idle)
        {
            yield return FormattableString.Invariant($"idle {100 * idle:0} % (plan {100 * status.PlannedIdle:0} %)");
        }

        yield return $"memory {PlanReport.FormatBytes(status.ResidentBytes)} (plan {PlanReport.FormatBytes(status.PlannedBytes)})";
        if (status.Eigenvalues.Count > 0)
        {
            yield return $"eigenvalues {string.Join(" ", status.Eigenvalues.Select(value => value.ToString("G3", CultureInfo.InvariantCulture)))}";
        }

        if (status.Comparison is { } compared)
        {
            yield return FormattableString.Invariant($"curvature {VerdictOf(compared.Verdict)} ({compared.StepRatio:0.00} in steps, {compared.Gain:0.00} in time)");
        }
        else if (status.CurvatureCost is { } cost)
        {
            yield return FormattableString.Invariant($"curvature takes {100 * (1 - (1 / cost)):0} % of the time");
        }
    }

    private static string VerdictOf(CurvatureVerdict verdict) => verdict switch
    {
        CurvatureVerdict.Pays => "pays",
        CurvatureVerdict.DoesNotPay => "does not pay",
        CurvatureVerdict.NoGainSeen => "shows no gain",
        _ => "is too close to tell",
    };

    private static string TimeOf(TimeSpan time) => time switch
    {
        { TotalHours: >= 1 } => FormattableString.Invariant($"{(long)time.TotalHours} h {time.Minutes} min"),
        { TotalMinutes: >= 1 } => FormattableString.Invariant($"{time.Minutes} min {time.Seconds} s"),
        _ => FormattableString.Invariant($"{Math.Ceiling(time.TotalSeconds):0} s"),
    };
}
