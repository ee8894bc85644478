using System;
using System.Linq;

namespace Dho2.Tests.Training;

/// <summary>What is said of two series of losses whose course is known.</summary>
public sealed class PairedStepsTests
{
    private const int Steps = 100;

    [Theory]
    [InlineData(1.5, CurvatureVerdict.Pays)]
    [InlineData(8, CurvatureVerdict.DoesNotPay)]
    public void TheRatiosOfStepsAndOfCostsAreWhatTheyAre(double cost, CurvatureVerdict verdict)
    {
        // Three steps of the base for one with curvature, and batches whose losses differ by a hundredth.
        CurvatureCompared compared = Compare(t => Math.Exp(-0.01 * t), t => Math.Exp(-0.03 * t), cost, noise: 0.01);
        Assert.Equal(verdict, compared.Verdict);
        Assert.InRange(compared.StepRatio, 2.5, 3.5);
        Assert.Equal(cost, compared.CostRatio, 1e-9);
        Assert.Equal(cost - 1, compared.EstimateCost, 1e-9);
        Assert.Equal(compared.StepRatio / cost, compared.Gain, 1e-9);
        Assert.Equal(verdict == CurvatureVerdict.Pays, compared.Advantage > 2 * compared.AdvantageError);
    }

    [Fact]
    public void WhereCurvatureIsBehindTheRatioIsTheInverse()
    {
        CurvatureCompared compared = Compare(t => Math.Exp(-0.03 * t), t => Math.Exp(-0.01 * t), cost: 1, noise: 0);
        Assert.Equal(CurvatureVerdict.DoesNotPay, compared.Verdict);
        Assert.InRange(compared.StepRatio, 1 / 3.5, 1 / 2.5);
        Assert.True(compared.Advantage < 0);
    }

    [Fact]
    public void ACostForNothingDoesNotPay()
    {
        CurvatureCompared compared = Compare(t => 1 - (0.002 * t), t => 1 - (0.002 * t), cost: 1.5, noise: 0);
        Assert.Equal((CurvatureVerdict.DoesNotPay, 1.0), (compared.Verdict, compared.StepRatio));
    }

    [Fact]
    public void WhereNothingMovesNoGainIsSeen()
    {
        CurvatureCompared compared = Compare(_ => 1, _ => 1, cost: 3, noise: 0);
        Assert.Equal((CurvatureVerdict.NoGainSeen, 1.0), (compared.Verdict, compared.StepRatio));
        Assert.Equal(0, compared.Advantage, 1e-12);
        Assert.Equal(CurvatureVerdict.TooCloseToTell, Compare(_ => 1, _ => 1, cost: 1, noise: 0).Verdict);
    }

    [Fact]
    public void BehindAfterTheSameStepsAtACostDecidesEvenWhereLossesVaryMuch()
    {
        CurvatureCompared compared = Compare(t => 1 - (0.0011 * t), t => 1 - (0.001 * t), cost: 1.1, noise: 0.3);
        Assert.Equal(CurvatureVerdict.DoesNotPay, compared.Verdict);
        Assert.True(Math.Abs(compared.Advantage) < 2 * compared.AdvantageError);
    }

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(0.2, 0, 1.1)]
    [InlineData(0.2, 0.5, 1.1)]
    public void NoiseAloneSeldomMakesAGain(double common, double memory, double cost)
    {
        // Noise of the batches, common to both, that may go up and down for some steps together, and of what each way makes of it.
        int decided = Enumerable.Range(0, 300).Count(seed =>
        {
            var random = new Random(seed);
            double[] batches = new double[Steps];
            for (int t = 0; t < Steps; t++)
            {
                batches[t] = (t > 0 ? memory * batches[t - 1] : 0) + (common * Normal(random));
            }

            CurvatureVerdict verdict = Compare(t => 1 + batches[t] + (0.05 * Normal(random)), t => 1 + batches[t] + (0.05 * Normal(random)), cost, noise: 0).Verdict;
            return verdict is CurvatureVerdict.Pays || (cost == 1 && verdict is CurvatureVerdict.DoesNotPay);
        });
        Assert.InRange(decided, 0, 30);
    }

    [Fact]
    public void TimesThatVaryMakeAVerdictOnTimesUncertain()
    {
        // Half as dear again on average, but by times that differ a hundredfold.
        CurvatureCompared Of(params double[] seconds)
        {
            StepSeries alone = new(), curved = new();
            for (int t = 0; t < Steps; t++)
            {
                alone.Add(1 - (0.002 * t), TimeSpan.FromSeconds(1));
                curved.Add(1 - (0.002 * t), TimeSpan.FromSeconds(seconds[t % seconds.Length]));
            }

            return PairedSteps.Compare(1, alone, curved, 0);
        }

        Assert.Equal(CurvatureVerdict.DoesNotPay, Of(1.5).Verdict);
        Assert.Equal(CurvatureVerdict.TooCloseToTell, Of([.. Enumerable.Repeat(0.15, 24), 33.9]).Verdict);
    }

    [Fact]
    public void ABaseThatDivergesIsNoAlternative()
    {
        StepSeries alone = new(), curved = new();
        alone.Add(1, TimeSpan.FromSeconds(1));
        for (int t = 0; t < 8; t++)
        {
            curved.Add(1 - (0.1 * t), TimeSpan.FromSeconds(2));
        }

        CurvatureCompared compared = PairedSteps.Compare(17, alone, curved, 1);
        Assert.True(compared.BaseDiverged);
        Assert.Equal((CurvatureVerdict.Pays, double.PositiveInfinity, 3.0), (compared.Verdict, compared.StepRatio, compared.CostRatio));
        Assert.Equal(
            "Curvature pays here: steps 17 to 24 were trained from the same state on the same batches, by the base optimizer alone and with curvature. "
            + "The base alone diverged; with curvature the loss came to 0.3. A step with curvature takes 3.00 times the time.",
            compared.ToText());
    }

    [Fact]
    public void TheTextSaysWhatToDo()
    {
        var compared = new CurvatureCompared(801, 100, 1.064, 1.48, CurvatureVerdict.DoesNotPay)
        {
            EstimateCost = 0.4,
            BaseLoss = 0.43211,
            CurvatureLoss = 0.4255,
            Advantage = -0.0123,
            AdvantageError = 0.002,
        };
        Assert.Equal(
            "Curvature does not pay here: steps 801 to 900 were trained from the same state on the same batches, by the base optimizer alone and with curvature. "
            + "The base came to a loss of 0.4321, curvature to 0.4255: 1.06 steps of the base for one with curvature, which takes 1.48 times the time (0.40 of it for the estimate), "
            + "so 0.72 times the pace. In the same time its loss is 0.012 higher (standard error 0.002). "
            + "Raise Every, estimate on a smaller Batch, or set Optimizer = FirstOrder.",
            compared.ToText());
        Assert.EndsWith("Lower Rank, or set Optimizer = FirstOrder.", (compared with { EstimateCost = 0.1 }).ToText(), StringComparison.Ordinal);
        Assert.EndsWith("Training goes on with the base alone.", (compared with { Dropped = true }).ToText(), StringComparison.Ordinal);
        Assert.Contains("too close to tell", (compared with { Verdict = CurvatureVerdict.TooCloseToTell }).ToText(), StringComparison.Ordinal);
    }

    private static CurvatureCompared Compare(Func<int, double> alone, Func<int, double> curved, double cost, double noise)
    {
        var random = new Random(1);
        StepSeries one = new(), other = new();
        for (int t = 0; t < Steps; t++)
        {
            double batch = noise * Normal(random);
            one.Add(alone(t) + batch, TimeSpan.FromSeconds(2));
            other.Add(curved(t) + batch, TimeSpan.FromSeconds(2));
        }

        return PairedSteps.Compare(1, one, other, 2 * (cost - 1));
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
