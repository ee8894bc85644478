using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2;

/// <summary>What some steps came to, one way: the loss before each, and its time in seconds without what was done for estimates.</summary>
internal sealed class StepSeries
{
    private readonly List<double> losses = [];
    private readonly List<double> seconds = [];

    /// <summary>The losses, in order.</summary>
    public IReadOnlyList<double> Losses => losses;

    /// <summary>The steps' number.</summary>
    public int Count => losses.Count;

    /// <summary>The mean time of a step; the first, which finds caches that the other way has left, does not count.</summary>
    public double MeanSeconds => Timed.Average();

    /// <summary>The variance of that mean.</summary>
    public double VarianceOfMean => Spread.OfSample(Timed) / Timed.Length;

    private double[] Timed => [.. seconds.Skip(seconds.Count > 1 ? 1 : 0)];

    /// <summary>Takes the next step.</summary>
    public void Add(double loss, TimeSpan time)
    {
        losses.Add(loss);
        seconds.Add(time.TotalSeconds);
    }
}

/// <summary>
/// Compares the same steps, trained by the base alone and with curvature. Both saw the same batches, so that what varies from batch
/// to batch is mostly common to both, and falls out of differences at the same step.
/// </summary>
internal static class PairedSteps
{
    // Two standard errors, of the loss and of the time each.
    private const double Errors = 2;

    // Of float32, in which losses usually come: no difference is clear of it.
    private const double Rounding = 1.2e-7;

    /// <summary>The comparison.</summary>
    /// <param name="firstStep">The first step, counted from 1 over the whole run.</param>
    /// <param name="alone">The base's steps; fewer than the others where it diverged.</param>
    /// <param name="curved">The steps with curvature.</param>
    /// <param name="estimateSeconds">What an estimate takes, spread over the steps from one to the next.</param>
    public static CurvatureCompared Compare(long firstStep, StepSeries alone, StepSeries curved, double estimateSeconds)
    {
        int steps = curved.Count;
        double baseSeconds = alone.Count > 0 ? alone.MeanSeconds : 0;
        double curvedSeconds = curved.MeanSeconds + estimateSeconds;
        bool timed = baseSeconds > 0 && curvedSeconds > 0;
        double cost = timed ? curvedSeconds / baseSeconds : 1;
        int tenth = Math.Max(1, steps / 10);
        var compared = new CurvatureCompared(firstStep, steps, double.PositiveInfinity, cost, CurvatureVerdict.Pays)
        {
            EstimateCost = timed ? estimateSeconds / baseSeconds : 0,
            CurvatureLoss = curved.Losses.TakeLast(tenth).Average(),
            BaseLoss = double.NaN,
            Advantage = double.PositiveInfinity,
        };
        if (alone.Count < steps)
        {
            return compared with { BaseDiverged = true };
        }

        double[] before = [.. alone.Losses], after = [.. curved.Losses];
        double relativeError = timed
            ? Math.Sqrt((alone.VarianceOfMean / (baseSeconds * baseSeconds)) + (curved.VarianceOfMean / (curvedSeconds * curvedSeconds)))
            : 0;
        double ratio = StepRatio(before, after, tenth);
        (double advantage, double error) = AtEqualTime(before, after, cost);
        (double least, double leastError) = AtEqualTime(before, after, cost * (1 + (Errors * relativeError)));
        (double most, double mostError) = AtEqualTime(before, after, cost / (1 + (Errors * relativeError)));

        // The two measures look at different parts of the steps: where they disagree, nothing is clear. Differences at the same
        // step tell more than losses at the same time, so that being behind, or not ahead, at a cost decides by itself.
        bool isDear = cost / (1 + (Errors * relativeError)) > 1;
        CurvatureVerdict verdict = least > Errors * leastError && ratio > cost ? CurvatureVerdict.Pays
            : most < -Errors * mostError && ratio < cost ? CurvatureVerdict.DoesNotPay
            : !isDear ? CurvatureVerdict.TooCloseToTell
            : ratio < 1 ? CurvatureVerdict.DoesNotPay
            : ratio == 1 ? CurvatureVerdict.NoGainSeen
            : CurvatureVerdict.TooCloseToTell;
        return compared with
        {
            StepRatio = ratio,
            Verdict = verdict,
            BaseLoss = alone.Losses.TakeLast(tenth).Average(),
            Advantage = advantage,
            AdvantageError = error,
        };
    }

    // Which way is ahead, the paired differences over the last quarter say; by how many steps, the smoothed losses.
    private static double StepRatio(double[] alone, double[] curved, int window)
    {
        int steps = alone.Length;
        double[] differences = [.. alone.Zip(curved, (a, c) => a - c)];
        double[] last = [.. differences.TakeLast(Math.Max(2, steps / 4))];
        double ahead = last.Average();
        double error = Math.Sqrt(Math.Max(Spread.OfSample(last), Spread.OfSeries(differences)) / last.Length);
        if (!(Math.Abs(ahead) > Errors * Math.Max(error, RoundingOf(alone))))
        {
            return 1;
        }

        return ahead > 0
            ? (double)steps / StepsAbove(curved, Smoothed(alone, steps, window), window)
            : (double)StepsAbove(alone, Smoothed(curved, steps, window), window) / steps;
    }

    // Counted rather than searched for: the first step below would be the luckiest one.
    private static int StepsAbove(double[] losses, double level, int window) =>
        Math.Min(losses.Length, window + Enumerable.Range(window, losses.Length - window + 1).Count(end => Smoothed(losses, end, window) > level));

    private static double Smoothed(double[] losses, int end, int window) => losses.AsSpan(end - window, window).ToArray().Average();

    /// <summary>How much lower the loss is with curvature after the same time, over the last quarter of it, and the standard error of that.</summary>
    private static (double Advantage, double Error) AtEqualTime(double[] alone, double[] curved, double cost)
    {
        int steps = alone.Length;
        double[] ofBase = Weights(steps, Math.Min(steps, steps * cost));
        double[] ofCurved = Weights(steps, Math.Min(steps, steps / cost));
        double[] common = [.. alone.Zip(curved, (a, c) => (a + c) / 2)], differences = [.. alone.Zip(curved, (a, c) => a - c)];
        double advantage = 0, commonWeight = 0, pairedWeight = 0;
        for (int t = 0; t < steps; t++)
        {
            advantage += (ofBase[t] * alone[t]) - (ofCurved[t] * curved[t]);
            commonWeight += Math.Pow(ofBase[t] - ofCurved[t], 2);
            pairedWeight += Math.Pow((ofBase[t] + ofCurved[t]) / 2, 2);
        }

        // What batches have in common counts as noise only where the two means are over different ones.
        double error = Math.Sqrt((Spread.OfSeries(common) * commonWeight) + (Spread.OfSeries(differences) * pairedWeight));
        return (advantage, Math.Max(error, RoundingOf(alone)));
    }

    private static double RoundingOf(double[] losses) => Rounding * losses.Average(Math.Abs);

    // A mean over the last quarter of the first steps.
    private static double[] Weights(int steps, double first)
    {
        int end = Math.Clamp((int)Math.Round(first), 1, steps);
        int length = Math.Max(1, end / 4);
        return [.. Enumerable.Range(0, steps).Select(t => t >= end - length && t < end ? 1.0 / length : 0)];
    }
}

/// <summary>Variances.</summary>
internal static class Spread
{
    private const int Tenths = 10;

    // The variance of a second difference of independent numbers, in variances of one: 1 + 4 + 1.
    private const double SquaresInABend = 6;

    /// <summary>Of a sample; 0 for one number.</summary>
    public static double OfSample(IReadOnlyList<double> values)
    {
        double mean = values.Average();
        return values.Count < 2 ? 0 : values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1);
    }

    /// <summary>
    /// Of a series without its trend, such that over n it is the variance of a mean of n: by the differences of neighbours (von Neumann
    /// et al. 1941), or by how means over tenths of the series bend, which shows numbers that go up and down together; whichever is more.
    /// </summary>
    public static double OfSeries(IReadOnlyList<double> values)
    {
        int length = Math.Max(1, values.Count / Tenths);
        double[] means = [.. values.Skip(values.Count % length).Chunk(length).Select(chunk => chunk.Average())];
        double[] bends = Differences(Differences(means));
        return Math.Max(MeanSquare(Differences(values)) / 2, length * MeanSquare(bends) / SquaresInABend);
    }

    private static double[] Differences(IReadOnlyList<double> values) => [.. values.Zip(values.Skip(1), (one, next) => next - one)];

    private static double MeanSquare(double[] values) => values.Length == 0 ? 0 : values.Average(value => value * value);
}
