using System;
using System.Text;

namespace Dho2;

/// <summary>What a trial of curvature came to.</summary>
public enum CurvatureVerdict
{
    /// <summary>The difference is not clear of the noise of losses and times.</summary>
    TooCloseToTell,

    /// <summary>In the same time curvature comes to a lower loss than the base optimizer alone.</summary>
    Pays,

    /// <summary>
    /// In the same time the base optimizer alone comes to a lower loss; or it does so in the same steps, and they do not take longer.
    /// </summary>
    DoesNotPay,

    /// <summary>After the same steps the losses do not differ, as far as can be told, and steps with curvature take longer.</summary>
    NoGainSeen,
}

/// <summary>
/// The same steps, on the same batches and from the same state, by the base optimizer alone and with curvature. Times are rank
/// 0's; the losses are those that training reports, before each update.
/// </summary>
/// <param name="FirstStep">The first of the steps, counted from 1 over the whole run.</param>
/// <param name="Steps">Their number.</param>
/// <param name="StepRatio">
/// Steps that the base takes over steps that curvature takes to the same loss, smoothed over a tenth of the steps: above 1 where
/// curvature saves steps, 1 where the losses do not differ by two standard errors; infinite where the base diverged. Where curvature
/// has not come to the base's last loss, it is the share of its steps after which the base had come to curvature's.
/// </param>
/// <param name="CostRatio">The mean time of a step with curvature, its share of an estimate included, over that of a step of the base.</param>
/// <param name="Verdict">Whether curvature pays, as far as can be told.</param>
public sealed record CurvatureCompared(long FirstStep, int Steps, double StepRatio, double CostRatio, CurvatureVerdict Verdict)
{
    /// <summary>The part of <see cref="CostRatio"/> that is the estimate, its time spread over the steps from one to the next.</summary>
    public double EstimateCost { get; init; }

    /// <summary>The base's mean loss over the last tenth of the steps; not a number where it diverged.</summary>
    public double BaseLoss { get; init; }

    /// <summary>The mean loss with curvature over the last tenth of the steps.</summary>
    public double CurvatureLoss { get; init; }

    /// <summary>
    /// How much lower the loss is with curvature than with the base alone after the same time: the means over the last quarter of
    /// the time that both have; negative where it is higher.
    /// </summary>
    public double Advantage { get; init; }

    /// <summary>The standard error of <see cref="Advantage"/>, as far as losses that vary from batch to batch make one.</summary>
    public double AdvantageError { get; init; }

    /// <summary>Whether the base alone came to a loss or gradient that is not finite.</summary>
    public bool BaseDiverged { get; init; }

    /// <summary>Whether training goes on with the base alone because of it.</summary>
    public bool Dropped { get; init; }

    /// <summary>How many times as fast, by the clock, curvature comes to the same loss: the ratio of steps over that of costs.</summary>
    public double Gain => StepRatio / CostRatio;

    /// <summary>All of it in a few sentences: what was compared, what came out, and what to do.</summary>
    public string ToText()
    {
        var text = new StringBuilder();
        text.Append(Verdict switch
        {
            CurvatureVerdict.Pays => "Curvature pays here",
            CurvatureVerdict.DoesNotPay => "Curvature does not pay here",
            CurvatureVerdict.NoGainSeen => "No gain of curvature is seen here",
            _ => "Whether curvature pays here is too close to tell",
        });
        text.Append(Invariant($": steps {FirstStep} to {FirstStep + Steps - 1} were trained from the same state on the same batches, by the base optimizer alone and with curvature. "));
        text.Append(BaseDiverged
            ? Invariant($"The base alone diverged; with curvature the loss came to {CurvatureLoss:G4}. A step with curvature takes {CostRatio:0.00} times the time.")
            : Invariant($"The base came to a loss of {BaseLoss:G4}, curvature to {CurvatureLoss:G4}: {StepRatio:0.00} steps of the base for one with curvature, which takes {CostRatio:0.00} times the time ({EstimateCost:0.00} of it for the estimate), so {Gain:0.00} times the pace. In the same time its loss is {Math.Abs(Advantage):G2} {(Advantage < 0 ? "higher" : "lower")} (standard error {AdvantageError:G2})."));
        if (Advice is { } advice)
        {
            text.Append(' ').Append(advice);
        }

        return text.ToString();
    }

    /// <summary>Whether curvature costs more than can be seen to come back.</summary>
    internal bool IsUnpaid => Verdict is CurvatureVerdict.DoesNotPay or CurvatureVerdict.NoGainSeen;

    private string? Advice => Verdict switch
    {
        CurvatureVerdict.Pays => null,
        _ when Dropped => "Training goes on with the base alone.",
        _ when IsUnpaid && EstimateCost > (CostRatio - 1) / 2 => "Raise Every, estimate on a smaller Batch, or set Optimizer = FirstOrder.",
        _ when IsUnpaid => "Lower Rank, or set Optimizer = FirstOrder.",
        _ => "More steps of the trial (CurvatureTrial.Steps), or a later one (AfterEstimate), may tell.",
    };

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
