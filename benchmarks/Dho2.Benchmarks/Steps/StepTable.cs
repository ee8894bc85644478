using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.Curvature;
using Dho2.Curvature;
using Dho2.Optimizers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Steps;

/// <summary>
/// Optimizer steps on flat vectors against TorchSharp's optimizers on as many tensors, and the hybrid update against its
/// authors' formula in tensor operations, each beside what moving its bytes takes at the machine's measured rate.
/// </summary>
internal static class StepTable
{
    private const long Large = 4_000_000;
    private const long Small = 200_000;
    private const int Pairs = 16;

    public static int Run(bool quick, int threads)
    {
        set_num_threads(threads);
        Measuring.PrintEnvironment("step", quick);
        Console.WriteLine($"Milliseconds, {threads} thread{(threads == 1 ? "" : "s")} for each method, of the fastest of interleaved groups of steps, so that what other programs do shows as little as it can.");
        int rounds = quick ? 6 : 16;
        Console.WriteLine("Floor: the bytes that a step must read and write once, at the rate of a copy between two vectors that together are as large.");
        Console.WriteLine();
        Console.WriteLine("| base optimizer | parameters, tensors | TorchSharp, ms | ours, ms | floor, ms | TorchSharp / ours | target | ours / floor | target |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach ((long size, int count, double target) in new[] { (Large, 8, 5.0), (Large, 120, 8.0), (Small, 400, 40.0) })
        {
            foreach (BaseKind kind in new[] { BaseKind.Adam, BaseKind.HeavyBall, BaseKind.Sgd })
            {
                PrintBase(kind, size, count, target, rounds);
            }
        }

        Console.WriteLine();
        Console.WriteLine($"The hybrid step with k = {Pairs} on {Large:#,0} parameters. Floor: the eigenvectors read three times with Adam and twice with heavy-ball, and the base's own bytes.");
        Console.WriteLine();
        Console.WriteLine("| base, eigenvectors | authors' formula, ms | tensor operations of ours, ms | ours, ms | floor, ms | formula / ours | target | ours / floor | target |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (BaseKind kind in new[] { BaseKind.Adam, BaseKind.HeavyBall })
        {
            PrintHybrid(kind, null, rounds);
            PrintHybrid(kind, ScalarType.BFloat16, rounds);
        }

        return 0;
    }

    private static void PrintBase(BaseKind kind, long size, int count, double target, int rounds)
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter[] parameters = [.. Enumerable.Range(0, count).Select(_ => new Parameter(rand(size / count)))];
        foreach (Parameter parameter in parameters)
        {
            parameter.grad = rand_like(parameter);
        }

        using optim.Optimizer theirs = kind switch
        {
            BaseKind.Adam => optim.Adam(parameters, 1e-6),
            BaseKind.HeavyBall => optim.SGD(parameters, 1e-6, momentum: 0.9),
            _ => optim.SGD(parameters, 1e-6),
        };
        ShardedSpace space = new([new ParameterSegment("all", 0, size)]);
        using HybridOptimizer ours = new(space, new() { Base = kind, LearningRate = 1e-6 });
        Tensor values = rand(size);
        Tensor gradient = rand(size);

        // Numbers read and written of each parameter: the gradient, the parameter twice, the state twice.
        int moved = kind switch { BaseKind.Adam => 7, BaseKind.HeavyBall => 5, _ => 3 };
        Copy copy = new(moved * size / 2);
        double[] best = Fastest(
            rounds, size,
            () =>
            {
                using DisposeScope step = NewDisposeScope();
                theirs.step();
            },
            () => ours.Step(values, gradient),
            copy.Run);
        Console.WriteLine(
            $"| {Name(kind)} | {size / 1e6} M in {count} | {Measuring.Text(best[0], 3)} | {Measuring.Text(best[1], 3)} | {Measuring.Text(best[2], 3)} | {Measuring.Text(best[0] / best[1], 1)} | {target} | {Measuring.Text(best[1] / best[2])} | 1.30 |");
    }

    private static void PrintHybrid(BaseKind kind, ScalarType? vectors, int rounds)
    {
        using DisposeScope scope = NewDisposeScope();
        ShardedSpace space = new([new ParameterSegment("all", 0, Large)]);
        double[] eigenvalues = [.. Enumerable.Range(1, Pairs).Select(i => (double)i)];
        HybridSettings settings = new() { Base = kind, LearningRate = 1e-6, Alpha = 1e-6, MaxScale = 1, VectorType = vectors };
        using HybridOptimizer fused = new(space, settings);
        using HybridOptimizer operations = new(space, settings) { FusesPasses = false };
        foreach (HybridOptimizer optimizer in new[] { fused, operations })
        {
            optimizer.Refresh(new()
            {
                Outcome = EstimateOutcome.Converged,
                Subspace = Subspace.Random(space, eigenvalues, 0, 1, "benchmark"),
                Eigenvalues = eigenvalues,
                ResidualBounds = new double[Pairs],
                Products = 0,
                GateProducts = 0,
                CertificateProducts = 0,
                Breakdowns = 0,
                NonFiniteEstimates = 0,
                Duration = TimeSpan.Zero,
            });
        }

        Tensor values = rand(Large);
        Tensor gradient = rand(Large);
        WrittenFormula formula = new(kind, fused.Subspace!.Vectors.to(float32), tensor(eigenvalues, float32));
        int readings = kind == BaseKind.Adam ? 3 : 2;
        long bytes = (readings * Pairs * (vectors is null ? 4L : 2L) * Large) + ((kind == BaseKind.Adam ? 7 : 5) * 4 * Large);
        Copy copy = new(bytes / 8);
        double[] best = Fastest(
            rounds, Large, () => formula.Step(values, gradient), () => operations.Step(values, gradient), () => fused.Step(values, gradient), copy.Run);
        Console.WriteLine(
            $"| {Name(kind)}, {(vectors is null ? "float32" : "bfloat16")} | {Measuring.Text(best[0], 1)} | {Measuring.Text(best[1], 1)} | {Measuring.Text(best[2], 1)} | {Measuring.Text(best[3], 1)} | {Measuring.Text(best[0] / best[2], 1)} | 2.5 | {Measuring.Text(best[2] / best[3])} | 1.30 |");
    }

    private static string Name(BaseKind kind) => kind switch { BaseKind.Adam => "Adam", BaseKind.HeavyBall => "heavy-ball", _ => "gradient descent" };

    /// <summary>Milliseconds of one call of each, the fastest of many groups that take turns.</summary>
    private static double[] Fastest(int rounds, long size, params Action[] methods)
    {
        // A group is long enough for the clock.
        int group = (int)Math.Max(1, 2_000_000 / size);
        double[] best = [.. methods.Select(_ => double.PositiveInfinity)];
        for (int round = -2; round < rounds; round++)
        {
            for (int i = 0; i < methods.Length; i++)
            {
                long start = System.Diagnostics.Stopwatch.GetTimestamp();
                for (int n = 0; n < group; n++)
                {
                    methods[i]();
                }

                double milliseconds = System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMilliseconds / group;
                best[i] = round < 0 ? best[i] : Math.Min(best[i], milliseconds);
            }
        }

        return best;
    }

    /// <summary>A copy of so many numbers, which reads and writes twice as many; in parts, where they are more than memory should hold.</summary>
    private sealed class Copy
    {
        private const long Part = 32_000_000;
        private readonly Tensor from;
        private readonly Tensor to;
        private readonly long[] lengths;

        public Copy(long numbers)
        {
            lengths = [.. Enumerable.Repeat(Part, (int)(numbers / Part)), numbers % Part];
            from = rand(Math.Min(Part, numbers));
            to = rand(Math.Min(Part, numbers));
        }

        public void Run()
        {
            using DisposeScope scope = NewDisposeScope();
            foreach (long length in lengths.Where(length => length > 0))
            {
                to.narrow(0, 0, length).copy_(from.narrow(0, 0, length));
            }
        }
    }

    /// <summary>The hybrid update as its authors write it (FOSI, algorithm 2), one tensor operation after the other, over one flat vector.</summary>
    private sealed class WrittenFormula(BaseKind kind, Tensor vectors, Tensor eigenvalues)
    {
        private readonly Tensor velocity = zeros(vectors.size(1));
        private readonly Tensor mean = zeros(vectors.size(1));
        private readonly Tensor square = zeros(vectors.size(1));
        private readonly Tensor rates = eigenvalues.reciprocal();
        private readonly double decay = kind == BaseKind.Adam ? 0.1 : 1;

        public void Step(Tensor values, Tensor gradient)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGrad = no_grad();
            Tensor transposed = vectors.t();
            Tensor first = transposed.mv(vectors.mv(gradient));
            Tensor rest = gradient - first;
            velocity.mul_(0.9).add_(first, decay);
            Tensor newton = transposed.mv(rates * vectors.mv(velocity));
            Tensor direction = Base(rest);
            direction = direction - transposed.mv(vectors.mv(direction));
            values.add_(direction).add_(newton, -1e-6);
        }

        private Tensor Base(Tensor gradient)
        {
            mean.mul_(0.9).add_(gradient, decay);
            if (kind != BaseKind.Adam)
            {
                return mean * -1e-6;
            }

            square.mul_(0.999).addcmul_(gradient, gradient, 0.001);
            return mean / (square.sqrt() + 1e-8) * -1e-6;
        }
    }
}
