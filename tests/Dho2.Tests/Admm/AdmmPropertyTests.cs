using System;
using System.Linq;
using Dho2.Admm;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Tests.Communication;
using Dho2.Tests.Curvature;
using Dho2.Tests.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Admm;

/// <summary>What consensus must be equal to where something else is known to be right.</summary>
public class AdmmPropertyTests
{
    private const int Size = 12;

    public static TheoryData<BaseKind, bool, double> LinearBases
    {
        get
        {
            TheoryData<BaseKind, bool, double> cases = [];
            foreach (double sigma in new[] { 0.01, 0.3, 2.0 })
            {
                cases.Add(BaseKind.Sgd, false, sigma);
                cases.Add(BaseKind.HeavyBall, false, sigma);
                cases.Add(BaseKind.Sgd, true, sigma);
                cases.Add(BaseKind.HeavyBall, true, sigma);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(LinearBases))]
    public void A_period_of_one_step_is_synchronous_training(BaseKind kind, bool hybrid, double sigma)
    {
        const int Replicas = 3;
        Quadratic[] parts = Quadratic.Parts(Replicas);
        HybridSettings settings = new() { Base = kind, LearningRate = 0.05, Sigma = sigma };
        (double[][] rows, double[] values) = Subspace();
        using HybridOptimizer synchronous = new(Space(), settings);
        Refresh(synchronous);
        using Tensor whole = tensor(Start());
        for (int step = 0; step < 25; step++)
        {
            double[] point = whole.data<double>().ToArray();
            using Tensor gradient = tensor(Mean([.. parts.Select(part => part.Gradient(point))]));
            synchronous.Step(whole, gradient);
        }

        Ranks.Run(Replicas, communicator =>
        {
            using HybridOptimizer optimizer = new(Space(), settings);
            Refresh(optimizer);
            using Tensor theta = tensor(Start());
            using AdmmUpdate admm = AdmmUpdate.Create(AdmmRule.Consensus, theta, 1, sigma);
            Train(parts[communicator.Rank], optimizer, admm, theta, communicator, 25);
            Compare.Near(whole.data<double>().ToArray(), theta.data<double>().ToArray(), 1e-14);
        });

        void Refresh(HybridOptimizer optimizer)
        {
            if (hybrid)
            {
                optimizer.Refresh(Estimates.Of(new Subspace(tensor(rows.SelectMany(r => r).ToArray()).view(rows.Length, Size), values, 0)));
            }
        }
    }

    [Fact]
    public void Without_a_pull_it_is_local_training_with_periodic_averaging()
    {
        const int Replicas = 3;
        const int Period = 5;
        Quadratic[] parts = Quadratic.Parts(Replicas);
        double[][] local = [.. parts.Select(_ => Start())];
        for (int step = 0; step < 4 * Period; step++)
        {
            local = [.. local.Select((theta, r) => theta.Zip(parts[r].Gradient(theta), (x, g) => x - (0.05 * g)).ToArray())];
            if ((step + 1) % Period == 0)
            {
                double[] mean = Mean(local);
                local = [.. local.Select(_ => mean)];
            }
        }

        Ranks.Run(Replicas, communicator =>
        {
            using HybridOptimizer optimizer = new(Space(), new HybridSettings { Base = BaseKind.Sgd, LearningRate = 0.05 });
            using Tensor theta = tensor(Start());
            using ConsensusUpdate admm = (ConsensusUpdate)AdmmUpdate.Create(AdmmRule.Consensus, theta, Period, 1e-300);
            for (int round = 0; round < 4; round++)
            {
                Train(parts[communicator.Rank], optimizer, admm, theta, communicator, Period);
                admm.ScaledDual.fill_(0);
            }

            Compare.Near(local[0], theta.data<double>().ToArray(), 1e-14);
        });
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(1.2)]
    public void Replicas_with_the_same_data_are_one_replica(double relaxation)
    {
        Quadratic data = Quadratic.Parts(1)[0];
        double[]? alone = null;
        Ranks.Run(1, communicator => Run(communicator, theta => alone = theta));
        Ranks.Run(3, communicator => Run(communicator, theta => Compare.Near(alone!, theta, 1e-14)));

        void Run(ICommunicator communicator, Action<double[]> use)
        {
            using HybridOptimizer optimizer = new(Space(), new HybridSettings { Base = BaseKind.Adam, LearningRate = 0.02, Sigma = 0.2 });
            using Tensor theta = tensor(Start());
            using ConsensusUpdate admm = (ConsensusUpdate)AdmmUpdate.Create(AdmmRule.Consensus, theta, 4, 0.2, relaxation);
            Train(data, optimizer, admm, theta, communicator, 20);
            Compare.Near(new double[Size], admm.ScaledDual.data<double>().ToArray(), 1e-14);
            use(theta.data<double>().ToArray());
        }
    }

    [Fact]
    public void The_dual_variables_add_up_to_zero_after_every_period()
    {
        Quadratic[] parts = Quadratic.Parts(4);
        Ranks.Run(4, communicator =>
        {
            using HybridOptimizer optimizer = new(Space(), new HybridSettings { LearningRate = 0.02, Sigma = 0.2 });
            using Tensor theta = tensor(Start());
            using ConsensusUpdate admm = (ConsensusUpdate)AdmmUpdate.Create(AdmmRule.Consensus, theta, 3, 0.2, 1.2);
            for (int round = 0; round < 6; round++)
            {
                AdmmResiduals residuals = Train(parts[communicator.Rank], optimizer, admm, theta, communicator, 3);
                Assert.True(residuals.Primal > 0 && residuals.Dual > 0);
                using Tensor sum = admm.ScaledDual.clone();
                Assert.True(sum.norm().item<double>() > 1e-3);
                communicator.AllReduce(sum);
                Compare.Near(new double[Size], sum.data<double>().ToArray(), 1e-14);
                Assert.Equal(theta.data<double>().ToArray(), admm.Consensus.data<double>().ToArray());
            }
        });
    }

    [Fact]
    public void On_heterogeneous_data_it_finds_the_optimum_that_averaging_stalls_beside()
    {
        const int Replicas = 4;
        const int Period = 16;
        Quadratic[] parts = Quadratic.Parts(Replicas);
        double[] optimum = Quadratic.Optimum(parts);
        Ranks.Run(Replicas, communicator =>
        {
            Assert.True(Distance(1e-300, keepDual: false) > 1e-2);
            Assert.True(Distance(0.5, keepDual: true) < 1e-6);

            double Distance(double sigma, bool keepDual)
            {
                using HybridOptimizer optimizer = new(Space(), new HybridSettings { Base = BaseKind.Sgd, LearningRate = 0.05, Sigma = sigma });
                using Tensor theta = tensor(Start());
                using ConsensusUpdate admm = (ConsensusUpdate)AdmmUpdate.Create(AdmmRule.Consensus, theta, Period, sigma);
                for (int round = 0; round < 120; round++)
                {
                    Train(parts[communicator.Rank], optimizer, admm, theta, communicator, Period);
                    if (!keepDual)
                    {
                        admm.ScaledDual.fill_(0);
                    }
                }

                return Math.Sqrt(theta.data<double>().ToArray().Zip(optimum, (a, b) => (a - b) * (a - b)).Sum());
            }
        });
    }

    [Fact]
    public void Residuals_count_all_stages()
    {
        Quadratic[] parts = Quadratic.Parts(2);
        AdmmResiduals whole = default;
        Ranks.Run(2, communicator =>
        {
            AdmmResiduals residuals = OneRound(communicator, communicator.Rank, 0, Size, null);
            whole = communicator.Rank == 0 ? residuals : whole;
        });
        Ranks.Run(4, world =>
        {
            // Two replicas of two stages.
            using ICommunicator pipeline = world.Split(world.Rank / 2, world.Rank);
            using ICommunicator replicas = world.Split(world.Rank % 2, world.Rank);
            AdmmResiduals residuals = OneRound(replicas, replicas.Rank, pipeline.Rank == 0 ? 0 : 5, pipeline.Rank == 0 ? 5 : 7, pipeline);
            Assert.Equal(whole.Primal, residuals.Primal, 1e-13);
            Assert.Equal(whole.Dual, residuals.Dual, 1e-13);
        });

        AdmmResiduals OneRound(ICommunicator replicas, int replica, int start, int length, ICommunicator? pipeline)
        {
            using Tensor theta = tensor(Start()[start..(start + length)]);
            using AdmmUpdate admm = AdmmUpdate.Create(AdmmRule.Consensus, theta, 1, 0.3);
            using Tensor gradient = tensor(parts[replica].Gradient(Start())[start..(start + length)]);
            theta.sub_(gradient);
            return admm.EndPeriod(theta, gradient, replicas, pipeline);
        }
    }

    [Fact]
    public void Balanced_sigma_follows_the_residuals_within_its_ceiling()
    {
        ResidualBalance balance = new(new ResidualBalanceSettings { MaxChanges = 3 });
        Assert.Equal(2, balance.Next(new AdmmResiduals(11, 1), 1, double.PositiveInfinity));
        Assert.Equal(1, balance.Next(new AdmmResiduals(1, 11), 2, double.PositiveInfinity));
        Assert.Equal(1, balance.Next(new AdmmResiduals(0.5, 1), 1, double.PositiveInfinity));
        Assert.Equal(1.5, balance.Next(new AdmmResiduals(11, 0.9), 1, 1.5));

        // Three changes are made: it is frozen now, but for residuals that grow together twice in a row.
        Assert.Equal(1.5, balance.Next(new AdmmResiduals(20, 0.8), 1.5, double.PositiveInfinity));
        Assert.Equal(1.5, balance.Next(new AdmmResiduals(21, 0.9), 1.5, double.PositiveInfinity));
        Assert.Equal(0.75, balance.Next(new AdmmResiduals(22, 1), 1.5, double.PositiveInfinity));
    }

    [Fact]
    public void A_changed_sigma_leaves_the_unscaled_dual_variable_as_it_was()
    {
        Quadratic[] parts = Quadratic.Parts(2);
        Ranks.Run(2, communicator =>
        {
            (double sigma, double[] plain) = OneRound(null);
            (double balanced, double[] scaled) = OneRound(new ResidualBalanceSettings { Ratio = 1.0001 });
            Assert.NotEqual(sigma, balanced);
            Compare.Near([.. plain.Select(u => u * sigma)], [.. scaled.Select(u => u * balanced)], 1e-14);

            (double, double[]) OneRound(ResidualBalanceSettings? settings)
            {
                using Tensor theta = tensor(Start());
                using ConsensusUpdate admm = (ConsensusUpdate)AdmmUpdate.Create(AdmmRule.Consensus, theta, 1, 0.3);
                admm.Balance(settings);
                using Tensor gradient = tensor(parts[communicator.Rank].Gradient(Start()));
                theta.sub_(gradient);
                admm.EndPeriod(theta, gradient, communicator, null);
                return (admm.Sigma, admm.ScaledDual.data<double>().ToArray());
            }
        });
    }

    [Fact]
    public void Numbers_out_of_range_are_refused()
    {
        using Tensor theta = zeros(Size, ScalarType.Float64);
        Assert.Contains("0", Assert.Throws<ArgumentException>(() => AdmmUpdate.Create(AdmmRule.Consensus, theta, 0, 1)).Message);
        Assert.Contains("-1", Assert.Throws<ArgumentException>(() => AdmmUpdate.Create(AdmmRule.Dual, theta, 1, -1)).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => AdmmUpdate.Create(AdmmRule.Consensus, theta, 1, 1, 2));
        Assert.Contains("18", Assert.Throws<ArgumentException>(() => new Stage0Consensus(theta)).Message);
    }

    private static AdmmResiduals Train(
        Quadratic data, HybridOptimizer optimizer, AdmmUpdate admm, Tensor theta, ICommunicator replicas, int steps)
    {
        AdmmResiduals residuals = default;
        for (int step = 0; step < steps; step++)
        {
            using Tensor gradient = tensor(data.Gradient(theta.data<double>().ToArray()));
            admm.AddLocalTerm(gradient, theta);
            optimizer.Step(theta, gradient);
            if ((step + 1) % admm.Period == 0)
            {
                residuals = admm.EndPeriod(theta, gradient, replicas, null);
            }
        }

        return residuals;
    }

    private static ShardedSpace Space() => new([new ParameterSegment("x", 0, Size)], null, ScalarType.Float64);

    private static double[] Start() => [.. Enumerable.Range(0, Size).Select(i => 0.3 * Math.Sin(i))];

    private static double[] Mean(double[][] vectors) => [.. Enumerable.Range(0, Size).Select(i => vectors.Average(v => v[i]))];

    private static (double[][] Rows, double[] Values) Subspace()
    {
        Spectrum spectrum = Spectrum.Of([.. Enumerable.Range(1, Size).Select(i => (double)i)]);
        return (spectrum.Vectors[^3..], spectrum.Values[^3..]);
    }

    /// <summary><c>(x - c)'A(x - c)/2</c>, with a minimum and a curvature of its own for each replica.</summary>
    private sealed record Quadratic(double[][] Matrix, double[] Centre)
    {
        public static Quadratic[] Parts(int count) => [.. Enumerable.Range(0, count).Select(r =>
        {
            Random random = new(r);
            Spectrum spectrum = Spectrum.Of([.. Enumerable.Range(0, Size).Select(_ => 0.5 + (4 * random.NextDouble()))], 10 + r);
            return new Quadratic(spectrum.Matrix, [.. Enumerable.Range(0, Size).Select(_ => 2 * random.NextDouble() - 1)]);
        })];

        public static double[] Optimum(Quadratic[] parts)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor matrix = zeros(Size, Size, float64);
            Tensor right = zeros(Size, float64);
            foreach (Quadratic part in parts)
            {
                Tensor a = tensor(part.Matrix.SelectMany(row => row).ToArray()).view(Size, Size);
                matrix.add_(a);
                right.add_(a.mv(tensor(part.Centre)));
            }

            return linalg.solve(matrix, right).data<double>().ToArray();
        }

        public double[] Gradient(double[] x)
        {
            double[] offset = [.. x.Zip(Centre, (a, b) => a - b)];
            return [.. Matrix.Select(row => row.Zip(offset, (a, b) => a * b).Sum())];
        }
    }
}
