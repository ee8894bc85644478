using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Tests.Communication;
using Dho2.Tests.Curvature;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Optimizers;

/// <summary>The hybrid update against the formulas written out on whole vectors.</summary>
public class HybridOptimizerTests
{
    private const int Size = 37;

    public static TheoryData<BaseKind, NewtonMomentum, double, double, bool> Cases
    {
        get
        {
            TheoryData<BaseKind, NewtonMomentum, double, double, bool> cases = [];
            foreach (BaseKind kind in Enum.GetValues<BaseKind>())
            {
                cases.Add(kind, NewtonMomentum.LikeBase, 0, 0, true);
                cases.Add(kind, NewtonMomentum.LikeBase, 0.1, 0.03, true);
                cases.Add(kind, NewtonMomentum.LikeBase, 0, 0, false);
                cases.Add(kind, NewtonMomentum.LikeBase, 0.1, 0.03, false);
            }

            cases.Add(BaseKind.Sgd, NewtonMomentum.Mean, 0, 0, true);
            cases.Add(BaseKind.HeavyBall, NewtonMomentum.LookAhead, 0, 0.02, true);
            cases.Add(BaseKind.Adam, NewtonMomentum.None, 0.2, 0, true);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Steps_and_refreshes_are_the_written_out_formulas(BaseKind kind, NewtonMomentum momentum, double l2, double decay, bool fused)
    {
        HybridSettings settings = new()
        {
            Base = kind,
            Momentum = momentum,
            LearningRate = 0.05,
            Alpha = 0.3,
            Sigma = 0.2,
            L2 = l2,
            WeightDecay = decay,
            MaxScale = 2.5,
        };
        Ranks.Run(2, communicator =>
        {
            Random random = new(4);
            Shards shards = new(Size, communicator);
            using HybridOptimizer optimizer = new(shards.Space, settings) { FusesPasses = fused };
            WrittenOut reference = new(settings, Size);
            double[] theta = Vector(random);
            using Tensor shard = shards.SliceTensor(theta);
            for (int step = 0; step < 40; step++)
            {
                // The subspace comes late, turns often, and changes its rank.
                if (step % 7 == 3)
                {
                    (double[][] rows, double[] values) = Subspace(random, 3 + (step % 3));
                    using DisposeScope scope = NewDisposeScope();
                    Tensor matrix = stack([.. rows.Select(row => shards.SliceTensor(row))]).DetachFromDisposeScope();
                    optimizer.Refresh(Estimates.Of(new Subspace(matrix, values, 1)));
                    reference.Refresh(rows, values, 1);
                }

                double[] gradient = Vector(random);
                using Tensor gradientShard = shards.SliceTensor(gradient);
                optimizer.LearningRate = 0.05 / (1 + (0.1 * step));
                optimizer.Step(shard, gradientShard);
                reference.Step(theta, gradient, 0.05 / (1 + (0.1 * step)));
                Assert.Equal(reference.Scale, optimizer.Scale, 1e-12);
                Compare.Near(shards.Slice(theta), shard.data<double>().ToArray(), 1e-12);
            }
        });
    }

    [Theory]
    [InlineData(BaseKind.Sgd, ScalarType.Float32, null)]
    [InlineData(BaseKind.HeavyBall, ScalarType.Float32, ScalarType.BFloat16)]
    [InlineData(BaseKind.Nesterov, ScalarType.Float64, null)]
    [InlineData(BaseKind.Adam, ScalarType.Float32, ScalarType.BFloat16)]
    [InlineData(BaseKind.Adam, ScalarType.Float64, null)]
    public void Fused_passes_over_many_blocks_do_what_tensor_operations_do(BaseKind kind, ScalarType type, ScalarType? vectors)
    {
        const int Wide = 150_001;
        ShardedSpace space = new([new ParameterSegment("x", 0, Wide)], null, type);
        HybridSettings settings = new() { Base = kind, L2 = 0.01, VectorType = vectors };
        using HybridOptimizer fused = new(space, settings);
        using HybridOptimizer plain = new(space, settings) { FusesPasses = false };
        using Tensor theta = space.Zeros();
        using Tensor expected = space.Zeros();
        using Tensor gradient = space.Zeros();
        for (int step = 0; step < 12; step++)
        {
            if (step % 5 == 3)
            {
                fused.Refresh(Estimates.Of(Dho2.Curvature.Subspace.Random(space, [1, 2, 3], 0, step, "v")));
                plain.Refresh(Estimates.Of(Dho2.Curvature.Subspace.Random(space, [1, 2, 3], 0, step, "v")));
            }

            space.FillRandom(gradient, step, "g");
            fused.Step(theta, gradient);
            plain.Step(expected, gradient);
        }

        using Tensor difference = theta - expected;
        Assert.InRange(difference.norm().to(ScalarType.Float64).item<double>() / expected.norm().to(ScalarType.Float64).item<double>(), 0, type == ScalarType.Float64 ? 1e-13 : 1e-6);
    }

    [Fact]
    public void Without_alpha_and_scale_nothing_moves_along_the_subspace()
    {
        Random random = new(5);
        Shards shards = new(Size);
        using HybridOptimizer optimizer = new(shards.Space, new HybridSettings { Base = BaseKind.Adam, Alpha = 0, MaxScale = 1 });
        (double[][] rows, double[] values) = Subspace(random, 4);
        using Tensor matrix = stack([.. rows.Select(row => shards.SliceTensor(row))]);
        optimizer.Refresh(Estimates.Of(new Subspace(matrix.alias(), values, 0)));
        using Tensor theta = zeros(Size, ScalarType.Float64);
        for (int i = 0; i < 5; i++)
        {
            using Tensor gradient = shards.SliceTensor(Vector(random));
            optimizer.Step(theta, gradient);
        }

        Assert.Equal(1, optimizer.Scale);
        using Tensor along = matrix.mv(theta);
        Compare.Near(new double[4], along.data<double>().ToArray(), 1e-15);
        Assert.True(theta.norm().item<double>() > 1e-3);
    }

    [Theory]
    [InlineData(0, new[] { 8.0, 1, 1, 40 }, new[] { 8.0, 1, 1, 40 })]
    [InlineData(0.5, new[] { 8.0, 1, 1, 40 }, new[] { 8.0, 4, 2, 40 })]
    [InlineData(0.5, new[] { -8.0, 0, 3, 0 }, new[] { 8.0, 4, 3, 1.5 })]
    [InlineData(0, new[] { 0.0, 2 }, new[] { double.PositiveInfinity, 2 })]
    public void An_eigenvalue_counts_as_a_share_of_what_it_counted_before(double retention, double[] eigenvalues, double[] expected)
    {
        Shards shards = new(3);
        using HybridOptimizer optimizer = new(shards.Space, new() { Base = BaseKind.Sgd, Alpha = 1, EigenvalueRetention = retention });
        using Tensor gradient = shards.SliceTensor([1, 0, 0]);
        for (int i = 0; i < expected.Length; i++)
        {
            using Tensor theta = shards.SliceTensor([0, 0, 0]);
            optimizer.Refresh(Estimates.Of(new Subspace(tensor(new double[,] { { 1, 0, 0 } }), [eigenvalues[i]], 0)));

            // A state that was saved and set again remembers as well.
            OptimizerState live = optimizer.GetState();
            optimizer.SetState(live with { Vectors = live.Vectors.ToDictionary(v => v.Key, v => v.Value.clone()) });
            optimizer.Step(theta, gradient);
            Assert.Equal(-1 / expected[i], theta[0].item<double>(), 1e-12);
        }
    }

    [Fact]
    public void An_estimate_that_keeps_the_previous_pairs_changes_nothing()
    {
        Random random = new(5);
        Shards shards = new(Size);
        using HybridOptimizer optimizer = new(shards.Space, new HybridSettings());
        (double[][] rows, double[] values) = Subspace(random, 4);
        optimizer.Refresh(Estimates.Of(new Subspace(stack([.. rows.Select(row => shards.SliceTensor(row))]), values, 0)));
        Subspace? before = optimizer.Subspace;
        optimizer.Refresh(Estimates.Of(null));
        Assert.Same(before, optimizer.Subspace);
    }

    [Fact]
    public void Clipping_goes_by_the_norm_over_all_stages_even_where_each_has_its_own_subspace()
    {
        double[] gradient = Vector(new Random(6));
        double norm = Math.Sqrt(gradient.Sum(g => g * g));
        Ranks.Run(3, communicator =>
        {
            Shards shards = new(Size, communicator);
            double[] mine = shards.Slice(gradient);
            ShardedSpace alone = new([new ParameterSegment("all", 0, mine.Length)], null, ScalarType.Float64);
            using HybridOptimizer optimizer = new(alone, new HybridSettings { MaxGradientNorm = 0.5, Blocks = 3 }, shards.Space);
            using Tensor shard = tensor(mine);
            Assert.Equal(norm, optimizer.ClipGradient(shard), 1e-12);
            Compare.Near([.. mine.Select(g => g * 0.5 / norm)], shard.data<double>().ToArray(), 1e-15);
            Assert.Equal(0.5, optimizer.ClipGradient(shard), 1e-12);
        });
    }

    [Fact]
    public void Blocks_each_step_in_their_own_subspace()
    {
        Random random = new(7);
        double[] gradient = Vector(random);
        Ranks.Run(2, communicator =>
        {
            Shards shards = new(Size, communicator);
            double[] mine = shards.Slice(gradient);
            ShardedSpace alone = new([new ParameterSegment("all", 0, mine.Length)], null, ScalarType.Float64);
            HybridSettings settings = new() { LearningRate = 0.1, Blocks = 2 };
            using HybridOptimizer optimizer = new(alone, settings, shards.Space);
            WrittenOut reference = new(settings, mine.Length);
            (double[][] rows, double[] values) = Subspace(new Random(communicator.Rank), 2 + communicator.Rank, mine.Length);
            optimizer.Refresh(Estimates.Of(new Subspace(tensor(rows.SelectMany(r => r).ToArray()).view(rows.Length, -1), values, 0)));
            reference.Refresh(rows, values, 0);
            double[] theta = new double[mine.Length];
            using Tensor shard = tensor(theta);
            for (int i = 0; i < 4; i++)
            {
                using Tensor gradientShard = tensor(mine);
                optimizer.Step(shard, gradientShard);
                reference.Step(theta, mine, 0.1);
            }

            Compare.Near(theta, shard.data<double>().ToArray(), 1e-13);
        });
    }

    [Theory]
    [InlineData(ScalarType.Float32, 1e-5)]
    [InlineData(ScalarType.BFloat16, 2e-2)]
    public void Lower_precision_stays_close_and_orthonormal(ScalarType vectors, double tolerance)
    {
        const int Wide = 5000;
        Random random = new(8);
        ShardedSpace space = new([new ParameterSegment("x", 0, Wide)]);
        ShardedSpace exactSpace = new([new ParameterSegment("x", 0, Wide)], null, ScalarType.Float64);
        HybridSettings settings = new() { Base = BaseKind.Nesterov, LearningRate = 0.02 };
        using HybridOptimizer optimizer = new(space, settings with { VectorType = vectors });
        using HybridOptimizer exact = new(exactSpace, settings);
        double[] values = [1, 2, 5, 9];
        exact.Refresh(Estimates.Of(Dho2.Curvature.Subspace.Random(exactSpace, values, 0, 1, "v")));
        optimizer.Refresh(Estimates.Of(Dho2.Curvature.Subspace.Random(space, values, 0, 1, "v")));
        Assert.Equal(vectors, optimizer.Subspace!.Vectors.dtype);

        using DisposeScope scope = NewDisposeScope();
        Tensor wide = optimizer.Subspace.Vectors.to(ScalarType.Float64);
        double[] gram = wide.mm(wide.t()).data<double>().ToArray();
        Compare.Near([.. Enumerable.Range(0, 16).Select(i => i % 5 == 0 ? 1.0 : 0)], gram, vectors == ScalarType.BFloat16 ? 2e-3 : 1e-6);

        Tensor theta = zeros(Wide);
        Tensor exactTheta = zeros(Wide, ScalarType.Float64);
        for (int i = 0; i < 30; i++)
        {
            Tensor gradient = tensor([.. Enumerable.Range(0, Wide).Select(_ => random.NextDouble() - 0.5)]);
            optimizer.Step(theta, gradient.to(ScalarType.Float32));
            exact.Step(exactTheta, gradient);
        }

        double difference = (theta.to(ScalarType.Float64) - exactTheta).norm().item<double>();
        Assert.InRange(difference / exactTheta.norm().item<double>(), 0, tolerance);
    }

    [Fact]
    public void Random_directions_keep_the_eigenvalues_and_are_orthonormal_on_any_partition()
    {
        double[][]? alone = null;
        Compute(null, rows => alone = rows);
        Ranks.Run(3, communicator => Compute(communicator, rows =>
        {
            for (int i = 0; i < rows.Length; i++)
            {
                Compare.Near(alone![i], rows[i], 1e-13);
                for (int j = 0; j <= i; j++)
                {
                    Assert.Equal(i == j ? 1 : 0, rows[i].Zip(rows[j], (a, b) => a * b).Sum(), 1e-13);
                }
            }
        }));

        static void Compute(Dho2.Communication.ICommunicator? communicator, Action<double[][]> use)
        {
            Shards shards = new(Size, communicator);
            using HybridOptimizer optimizer = new(shards.Space, new HybridSettings { RandomDirections = true, Seed = 3 });
            (double[][] rows, double[] values) = Subspace(new Random(1), 4);
            optimizer.Refresh(Estimates.Of(new Subspace(stack([.. rows.Select(row => shards.SliceTensor(row))]), values, 1)));
            Assert.Equal(values, optimizer.Subspace!.Eigenvalues);
            use(shards.GatherRows(optimizer.Subspace.Vectors));
        }
    }

    [Fact]
    public void Alpha_keeps_its_ratio_to_the_learning_rate_unless_told_otherwise()
    {
        Shards shards = new(Size);
        using HybridOptimizer following = new(shards.Space, new HybridSettings { LearningRate = 0.2, Alpha = 0.5 });
        using HybridOptimizer constant = new(shards.Space, new HybridSettings { LearningRate = 0.2, Alpha = 0.5, AlphaFollowsSchedule = false });
        following.LearningRate = constant.LearningRate = 0.05;
        Assert.Equal(0.125, following.Alpha, 1e-15);
        Assert.Equal(0.5, constant.Alpha, 1e-15);
    }

    [Fact]
    public void A_state_of_another_shard_is_refused_by_name_and_size()
    {
        using HybridOptimizer other = new(new Shards(5).Space, new HybridSettings());
        using HybridOptimizer optimizer = new(new Shards(Size).Space, new HybridSettings());
        ArgumentException error = Assert.Throws<ArgumentException>(() => optimizer.SetState(other.GetState()));
        Assert.Contains("base.momentum", error.Message);
        Assert.Contains("(5)", error.Message);
        Assert.Contains("37", error.Message);
    }

    [Fact]
    public void A_step_leaves_no_tensor_behind()
    {
        Random random = new(9);
        Shards shards = new(Size);
        using HybridOptimizer optimizer = new(shards.Space, new HybridSettings { Base = BaseKind.Adam, L2 = 0.1, WeightDecay = 0.1 });
        using Tensor theta = zeros(Size, ScalarType.Float64);
        using Tensor gradient = shards.SliceTensor(Vector(random));
        long live = 0;
        for (int i = 0; i < 12; i++)
        {
            if (i % 4 == 0)
            {
                (double[][] rows, double[] values) = Subspace(random, 4);
                using DisposeScope scope = NewDisposeScope();
                optimizer.Refresh(Estimates.Of(new Subspace(
                    stack([.. rows.Select(row => shards.SliceTensor(row))]).DetachFromDisposeScope(), values, 0)));
            }

            optimizer.ClipGradient(gradient);
            optimizer.Step(theta, gradient);
            if (i == 5)
            {
                LiveTensors.Settle();
                live = LiveTensors.Count;
            }
        }

        Assert.Equal(live, LiveTensors.Count);
    }

    [Theory]
    [InlineData("Alpha (-1)")]
    [InlineData("LearningRate (0)")]
    [InlineData("MaxScale (0.5)")]
    [InlineData("VectorType (Float16)")]
    [InlineData("2 (1 + Decay)")]
    public void Settings_out_of_range_are_refused_with_their_numbers(string message)
    {
        HybridSettings settings = message switch
        {
            "Alpha (-1)" => new() { Alpha = -1 },
            "LearningRate (0)" => new() { LearningRate = 0 },
            "MaxScale (0.5)" => new() { MaxScale = 0.5 },
            "VectorType (Float16)" => new() { VectorType = ScalarType.Float16 },
            _ => new() { Alpha = 1, Blocks = 4 },
        };
        Assert.Contains(message, Assert.Throws<ArgumentException>(settings.Validate).Message);
        (settings with { Alpha = 0.9, LearningRate = 1, MaxScale = 1, VectorType = null, AllowOvershoot = true }).Validate();
    }

    private static double[] Vector(Random random, int size = Size) => [.. Enumerable.Range(0, size).Select(_ => random.NextDouble() - 0.5)];

    private static (double[][] Rows, double[] Values) Subspace(Random random, int count, int size = Size)
    {
        List<double[]> rows = [];
        while (rows.Count < count)
        {
            double[] row = Vector(random, size);
            for (int pass = 0; pass < 2; pass++)
            {
                foreach (double[] other in rows)
                {
                    double along = row.Zip(other, (a, b) => a * b).Sum();
                    row = [.. row.Zip(other, (a, b) => a - (along * b))];
                }
            }

            double norm = Math.Sqrt(row.Sum(v => v * v));
            rows.Add([.. row.Select(v => v / norm)]);
        }

        return ([.. rows], [.. Enumerable.Range(0, count).Select(i => i == 0 ? -0.5 : (1 + random.NextDouble()) * i)]);
    }
}
