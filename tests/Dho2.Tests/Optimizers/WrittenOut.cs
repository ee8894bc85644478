using System;
using System.Linq;
using Dho2.Optimizers;

namespace Dho2.Tests.Optimizers;

/// <summary>The hybrid update as its authors write it, on whole vectors, with the momentum as a vector.</summary>
internal sealed class WrittenOut(HybridSettings settings, int size)
{
    private double[][] rows = [];
    private double[] rates = [];
    private double[] velocity = new double[size];
    private double[] first = new double[size];
    private double[] second = new double[size];
    private int steps;

    public double Scale { get; private set; } = 1;

    public void Refresh(double[][] vectors, double[] values, int smallest)
    {
        rows = vectors;
        double floor = settings.Floor * values.Max(Math.Abs);
        rates = [.. values.Select(v => 1 / (Math.Max(Math.Abs(v), floor) + settings.Sigma))];
        Scale = Math.Clamp(rates[smallest] / rates[^1], 1, settings.MaxScale);
    }

    public void Step(double[] theta, double[] gradient, double rate)
    {
        steps++;
        double d = settings.Decay;
        double[] g = Map((x, y) => x + (settings.L2 * y), gradient, theta);
        double[] g1 = Project(g, null);
        double[] g2 = Map((x, y) => x - y, g, g1);
        NewtonMomentum momentum = settings.Momentum != NewtonMomentum.LikeBase ? settings.Momentum : settings.Base switch
        {
            BaseKind.Sgd => NewtonMomentum.None,
            BaseKind.HeavyBall => NewtonMomentum.Sum,
            BaseKind.Nesterov => NewtonMomentum.LookAhead,
            _ => NewtonMomentum.Mean,
        };
        velocity = momentum switch
        {
            NewtonMomentum.None => g1,
            NewtonMomentum.Sum => Map((x, v) => x + (d * v), g1, velocity),
            NewtonMomentum.LookAhead => Map((x, v) => ((1 + d) * x) + (d * d * v), g1, velocity),
            _ => Map((x, v) => ((1 - d) * x) + (d * v), g1, velocity),
        };
        double[] newton = Project(velocity, rates);
        double[] step = Base(g2, rate);
        step = Map((x, y) => x - (rate * settings.WeightDecay * y), step, theta);
        step = Map((x, y) => x - y, step, Project(step, null));
        double alpha = settings.Alpha * rate / settings.LearningRate;
        for (int i = 0; i < size; i++)
        {
            theta[i] += (Scale * step[i]) - (alpha * newton[i]);
        }
    }

    private double[] Base(double[] g, double rate)
    {
        double d = settings.BaseSettings.Decay;
        double d2 = settings.BaseSettings.SecondDecay;
        switch (settings.Base)
        {
            case BaseKind.Sgd:
                return [.. g.Select(x => -rate * x)];
            case BaseKind.Adam:
                first = Map((m, x) => (d * m) + ((1 - d) * x), first, g);
                second = Map((v, x) => (d2 * v) + ((1 - d2) * x * x), second, g);
                return Map((m, v) => -rate * m / (1 - Math.Pow(d, steps)) / (Math.Sqrt(v / (1 - Math.Pow(d2, steps))) + settings.BaseSettings.Epsilon), first, second);
            default:
                first = Map((b, x) => (d * b) + x, first, g);
                return settings.Base == BaseKind.HeavyBall
                    ? [.. first.Select(b => -rate * b)]
                    : Map((b, x) => -rate * (x + (d * b)), first, g);
        }
    }

    // V' diag(weights) V x
    private double[] Project(double[] x, double[]? weights)
    {
        double[] result = new double[size];
        for (int k = 0; k < rows.Length; k++)
        {
            double along = rows[k].Zip(x, (a, b) => a * b).Sum() * (weights?[k] ?? 1);
            result = Map((r, v) => r + (along * v), result, rows[k]);
        }

        return result;
    }

    private static double[] Map(Func<double, double, double> function, double[] a, double[] b) => [.. a.Zip(b, function)];
}
