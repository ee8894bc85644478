using System;

namespace Dho2.Tests.Training;

public sealed class TrainingOptionsTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void ALearningRateIsAFiniteNumberAboveZero(double rate) => Refuses(nameof(TrainingOptions.LearningRate), () => new() { LearningRate = rate });

    [Theory]
    [InlineData(-1e-9)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void WeightsAndLimitsAreFiniteAndNotNegative(double value)
    {
        Refuses(nameof(TrainingOptions.GradientClip), () => new() { GradientClip = value });
        Refuses(nameof(TrainingOptions.FinalLearningRate), () => new() { FinalLearningRate = value });
        Refuses(nameof(TrainingOptions.L2Penalty), () => new() { L2Penalty = value });
        Refuses(nameof(TrainingOptions.DecoupledWeightDecay), () => new() { DecoupledWeightDecay = value });
    }

    [Fact]
    public void CountsHaveTheirLeast()
    {
        Refuses(nameof(TrainingOptions.Epochs), () => new() { Epochs = 0 });
        Refuses(nameof(TrainingOptions.ThreadsPerRank), () => new() { ThreadsPerRank = -1 });
    }

    private static void Refuses(string name, Func<TrainingOptions> create)
    {
        var refused = Assert.Throws<ArgumentOutOfRangeException>(create);
        Assert.Equal(name, refused.ParamName);
        Assert.Contains($"{name} must be", refused.Message, StringComparison.Ordinal);
    }
}
