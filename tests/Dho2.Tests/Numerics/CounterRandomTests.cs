using System;
using System.Linq;
using Dho2.Numerics;
using static TorchSharp.torch;

namespace Dho2.Tests.Numerics;

public class CounterRandomTests
{
    [Fact]
    public void Numbers_have_mean_0_and_variance_1_and_no_correlation()
    {
        const int Count = 200_000;
        double[] numbers = Draw(Count, 1, "a", 0);
        double error = 5 / Math.Sqrt(Count);
        Assert.Equal(0, numbers.Average(), error);
        Assert.Equal(1, numbers.Average(v => v * v), 2 * error);
        Assert.Equal(0, numbers.Zip(numbers.Skip(1), (a, b) => a * b).Average(), error);
        Assert.Equal(0, numbers.Zip(Draw(Count, 1, "b", 0), (a, b) => a * b).Average(), error);
        Assert.Equal(0, numbers.Zip(Draw(Count, 2, "a", 0), (a, b) => a * b).Average(), error);
    }

    [Fact]
    public void A_part_can_be_drawn_alone()
    {
        double[] whole = Draw(100_000, 3, "w", 0);
        Assert.Equal(whole[70_000..70_500], Draw(500, 3, "w", 70_000));
    }

    private static double[] Draw(int count, long seed, string name, long start)
    {
        using Tensor vector = zeros(count, float64);
        CounterRandom.Fill(vector, seed, name, start);
        return vector.data<double>().ToArray();
    }
}
