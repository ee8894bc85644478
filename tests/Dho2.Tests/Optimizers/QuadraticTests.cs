using System;
using System.Linq;
using Dho2.Curvature;
using Dho2.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Optimizers;

/// <summary>
/// Quadratics <c>x'Hx/2</c> of 100 dimensions in eigen-coordinates, from 0.5 in every one of them but the second, which is
/// 1; 200 steps. The expected values were computed elsewhere and are printed to six digits.
/// </summary>
public class QuadraticTests
{
    private const int Dimensions = 100;
    private const int Kept = 10;

    public static TheoryData<string, double, double, double, double> Table => new()
    {
        { "5, 1, 1/1.5, ...", 0.626922, 1.92454e-4, 1.49986e-5, 1.50185e-6 },
        { "200, 1, 1/1.5, ...", 25.0831, 7.69812e-3, 1.49986e-5, 1.5019e-6 },
        { "1.10", 1.48876, 1.34899e-3, 7.87408e-3, 2.87497e-4 },
        { "1.12", 9.32416, 9.72646e-3, 0.0363639, 3.1219e-3 },
        { "1.16", 303.208, 0.253002, 0.664104, 0.0662707 },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public void Final_values_are_the_known_ones(string name, double descent, double heavyBall, double fosiDescent, double fosiHeavyBall)
    {
        double[] spectrum = Spectrum(name);
        double largest = spectrum.Max();
        double smallest = spectrum.Min();
        double descentRate = 2 / (largest + smallest);
        double heavyBallRate = 2 / Math.Pow(Math.Sqrt(largest) + Math.Sqrt(smallest), 2);
        Check(descent, Run(spectrum, BaseKind.Sgd, descentRate, hybrid: false));
        Check(heavyBall, Run(spectrum, BaseKind.HeavyBall, heavyBallRate, hybrid: false));
        Check(fosiDescent, Run(spectrum, BaseKind.Sgd, descentRate, hybrid: true));
        Check(fosiHeavyBall, Run(spectrum, BaseKind.HeavyBall, heavyBallRate, hybrid: true));
    }

    private static void Check(double expected, double actual) => Assert.InRange(actual / expected, 1 - 5e-6, 1 + 5e-6);

    private static double[] Spectrum(string name) => [.. Enumerable.Range(0, Dimensions).Select(i => name switch
    {
        "5, 1, 1/1.5, ..." => i == 0 ? 5 : Math.Pow(1.5, 1 - i),
        "200, 1, 1/1.5, ..." => i == 0 ? 200 : Math.Pow(1.5, 1 - i),
        _ => 1e-3 * Math.Pow(double.Parse(name, System.Globalization.CultureInfo.InvariantCulture), i),
    })];

    private static double Run(double[] spectrum, BaseKind kind, double rate, bool hybrid)
    {
        using DisposeScope scope = NewDisposeScope();
        ShardedSpace space = new([new ParameterSegment("x", 0, Dimensions)], null, ScalarType.Float64);
        using HybridOptimizer optimizer = new(space, new HybridSettings
        {
            Base = kind,
            LearningRate = rate,
            Alpha = 1,
            Floor = 0,
            MaxScale = double.MaxValue,
            Momentum = kind == BaseKind.HeavyBall ? NewtonMomentum.Mean : NewtonMomentum.LikeBase,
        });
        Tensor hessian = tensor(spectrum);
        if (hybrid)
        {
            int[] kept = [.. Enumerable.Range(0, Dimensions).OrderByDescending(i => spectrum[i]).Take(Kept).Reverse()];
            Tensor rows = space.ZeroRows(Kept);
            for (int i = 0; i < Kept; i++)
            {
                rows[i, kept[i]] = 1;
            }

            optimizer.Refresh(Estimates.Of(new Subspace(rows, [.. kept.Select(i => spectrum[i])], 0)));
            Assert.Equal(spectrum[kept[^1]] / spectrum[kept[0]], optimizer.Scale, 1e-9);
        }

        Tensor x = full(Dimensions, 0.5, ScalarType.Float64);
        x[1] = 1;
        for (int step = 0; step < 200; step++)
        {
            using DisposeScope stepScope = NewDisposeScope();
            optimizer.Step(x, hessian * x);
        }

        return (hessian * x * x).sum().item<double>() / 2;
    }
}
