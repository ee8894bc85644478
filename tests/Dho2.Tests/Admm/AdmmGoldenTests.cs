using System.Collections.Generic;
using System.Linq;
using Dho2.Admm;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Tests.Communication;
using Dho2.Tests.Curvature;
using Dho2.Tests.Golden;
using static TorchSharp.torch;

namespace Dho2.Tests.Admm;

/// <summary>Whole trajectories of both rules against an independent implementation, with general and with specialised updates.</summary>
public class AdmmGoldenTests
{
    [Theory]
    [InlineData("dho2-consensus", false)]
    [InlineData("dho2-consensus", true)]
    [InlineData("dho2-consensus-relaxed", false)]
    [InlineData("dho2-consensus-relaxed", true)]
    public void Consensus_reproduces_losses_residuals_and_variables(string name, bool specialised)
    {
        GoldenFile golden = GoldenFile.Load(name);
        int replicas = golden.Count("replicas");
        Ranks.Run(replicas, communicator =>
        {
            using Tensor theta = tensor(golden.Start);
            using AdmmUpdate admm = specialised
                ? golden.Number("relaxation") == 1 ? new Stage0Consensus(theta) : new Stage0RelaxedConsensus(theta)
                : AdmmUpdate.Create(AdmmRule.Consensus, theta, golden.Count("period"), golden.Number("sigma"), golden.Number("relaxation"));
            Assert.Equal(golden.Number("relaxation"), admm.Relaxation);
            SoftmaxRegression local = golden.Problem.Shard(communicator.Rank, replicas);
            (double[] losses, List<AdmmResiduals> residuals) = Train(golden, theta, local, admm, communicator);

            ConsensusUpdate consensus = (ConsensusUpdate)admm;
            Compare.NearRelative(golden.Result("consensusLosses"), losses, 1e-8);
            Compare.NearRelative(golden.Result("primalResiduals"), [.. residuals.Select(r => r.Primal)], 1e-8);
            Compare.NearRelative(golden.Result("dualResiduals"), [.. residuals.Select(r => r.Dual)], 1e-8);
            Compare.Near(golden.Result("consensus"), consensus.Consensus.data<double>().ToArray(), 1e-8);
            Compare.Near(golden.ResultRows("scaledDuals")[communicator.Rank], consensus.ScaledDual.data<double>().ToArray(), 1e-8);
        });
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(2, true)]
    public void The_dual_rule_reproduces_losses_and_variables(int replicas, bool specialised)
    {
        GoldenFile golden = GoldenFile.Load("dho2-dual");
        Ranks.Run(replicas, communicator =>
        {
            using Tensor theta = tensor(golden.Start);
            using AdmmUpdate admm = specialised
                ? new Stage0Dual(theta)
                : AdmmUpdate.Create(AdmmRule.Dual, theta, golden.Count("period"), golden.Number("sigma"));
            List<double> losses = [];
            Train(golden, theta, golden.Problem.Shard(communicator.Rank, replicas), admm, communicator, losses);

            losses.Add(golden.Problem.Loss(theta.data<double>().ToArray()));
            Compare.NearRelative(golden.Result("losses"), losses, 1e-8);
            Compare.Near(golden.Result("final"), theta.data<double>().ToArray(), 1e-8);
            Compare.Near(golden.Result("dual"), ((DualUpdate)admm).Dual.data<double>().ToArray(), 1e-8);
        });
    }

    // Returns the loss of all data at every period's start and at the end; adds that before every step to "everyLoss".
    private static (double[] Losses, List<AdmmResiduals> Residuals) Train(
        GoldenFile golden, Tensor theta, SoftmaxRegression local, AdmmUpdate admm, ICommunicator replicas, List<double>? everyLoss = null)
    {
        SoftmaxRegression whole = golden.Problem;
        Shards shards = new(whole.Size);
        using HybridOptimizer optimizer = new(shards.Space, new HybridSettings
        {
            Base = golden.Base,
            LearningRate = golden.Number("lr"),
            Alpha = golden.Number("alpha"),
            MaxScale = golden.Number("clip"),
            Sigma = golden.Number("sigma"),
            Floor = 0,
            Rates = admm.Rule == AdmmRule.Dual ? NewtonRates.Shifted : NewtonRates.Magnitude,
        });
        using LanczosEstimator estimator = new(shards.Space, new LanczosSettings
        {
            Largest = golden.Count("k"),
            Tolerance = 0,
            WarmStart = false,
            MaxOrder = 16,
            BasisType = ScalarType.Float64,
        });
        List<double> losses = [];
        List<AdmmResiduals> residuals = [];
        for (int i = 0; i < golden.Count("iterations"); i++)
        {
            double[] point = theta.data<double>().ToArray();
            everyLoss?.Add(whole.Loss(point));
            if (i % admm.Period == 0)
            {
                losses.Add(whole.Loss(point));
                double[][] hessian = (admm.AveragesGradients ? whole : local).Hessian(point);
                optimizer.Refresh(estimator.Run(shards.Operator(hessian), optimizer.Subspace));
            }

            using Tensor gradient = tensor(local.Gradient(point));
            if (admm.AveragesGradients)
            {
                replicas.AllReduce(gradient);
                gradient.div_(replicas.Size);
            }

            optimizer.ClipGradient(gradient);
            admm.AddLocalTerm(gradient, theta);
            optimizer.Step(theta, gradient);
            if ((i + 1) % admm.Period == 0)
            {
                residuals.Add(admm.EndPeriod(theta, gradient, replicas, null));
            }
        }

        losses.Add(whole.Loss(theta.data<double>().ToArray()));
        return ([.. losses], residuals);
    }
}
