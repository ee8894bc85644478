using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Tests.Communication;
using Dho2.Tests.Curvature;
using Dho2.Tests.Golden;
using static TorchSharp.torch;

namespace Dho2.Tests.Optimizers;

/// <summary>Whole trajectories against those of the FOSI authors' program.</summary>
public class FosiGoldenTests
{
    public static TheoryData<string> Names => ["fosi-sgd", "fosi-momentum", "fosi-nesterov", "fosi-adam"];

    [Theory]
    [MemberData(nameof(Names))]
    public void The_problem_is_read_right(string name)
    {
        GoldenFile golden = GoldenFile.Load(name);
        SoftmaxRegression problem = golden.Problem;
        Assert.Equal(golden.StartLoss, problem.Loss(golden.Start), 1e-14);
        Compare.Near(golden.StartGradient, problem.Gradient(golden.Start), 1e-14);
        using Tensor hessian = tensor(problem.Hessian(golden.Start).SelectMany(r => r).ToArray()).view(problem.Size, problem.Size);
        using Tensor values = linalg.eigvalsh(hessian);
        Compare.Near(golden.StartEigenvalues, values.data<double>().ToArray(), 1e-13);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_loss_and_the_final_parameters_are_reproduced(string name)
    {
        GoldenFile golden = GoldenFile.Load(name);
        (double[] losses, double[] final) = Train(golden, null);
        Compare.NearRelative(golden.Result("losses"), losses, 1e-8);
        Compare.Near(golden.Result("final"), final, 1e-8);
    }

    [Theory]
    [InlineData("fosi-sgd", 2)]
    [InlineData("fosi-momentum", 3)]
    [InlineData("fosi-nesterov", 2)]
    [InlineData("fosi-adam", 3)]
    public void Sharding_changes_nothing(string name, int ranks)
    {
        GoldenFile golden = GoldenFile.Load(name);
        (double[] alone, double[] finalAlone) = Train(golden, null);
        Ranks.Run(ranks, communicator =>
        {
            (double[] losses, double[] final) = Train(golden, communicator);
            Compare.NearRelative(alone, losses, 1e-10);
            Compare.Near(finalAlone, final, 1e-10);
        });
    }

    [Fact]
    public void A_run_that_is_broken_off_goes_on_from_its_state()
    {
        GoldenFile golden = GoldenFile.Load("fosi-nesterov");
        (double[] losses, double[] final) = Train(golden, null, handOver: 33);
        Compare.NearRelative(golden.Result("losses"), losses, 1e-8);
        Compare.Near(golden.Result("final"), final, 1e-8);
    }

    private static (double[] Losses, double[] Final) Train(GoldenFile golden, ICommunicator? communicator, int handOver = -1)
    {
        SoftmaxRegression problem = golden.Problem;
        Shards shards = new(problem.Size, communicator);
        HybridSettings settings = new()
        {
            Base = golden.Base,
            LearningRate = golden.Number("lr"),
            Alpha = golden.Number("alpha"),
            MaxScale = golden.Number("clip"),
        };
        using LanczosEstimator estimator = new(shards.Space, new LanczosSettings
        {
            Largest = golden.Count("k"),
            Smallest = golden.Count("l"),
            Tolerance = 0,
            WarmStart = false,
            MaxOrder = 16,
            BasisType = ScalarType.Float64,
            Seed = 7,
        });
        HybridOptimizer optimizer = new(shards.Space, settings);
        using Tensor theta = shards.SliceTensor(golden.Start);
        List<double> losses = [];
        int warmup = golden.Count("warmup");
        for (int i = 0; i < golden.Count("iterations"); i++)
        {
            double[] whole = shards.Gather(theta);
            losses.Add(problem.Loss(whole));
            if (i + 1 >= warmup && (i + 1 - warmup) % golden.Count("every") == 0)
            {
                CurvatureEstimate estimate = estimator.Run(shards.Operator(problem.Hessian(whole)), optimizer.Subspace);
                Compare.NearRelative(golden.Spectra[(i + 1 - warmup) / golden.Count("every")], estimate.Eigenvalues, 1e-8);
                optimizer.Refresh(estimate);
            }

            if (i == handOver)
            {
                HybridOptimizer next = new(shards.Space, settings);
                next.SetState(optimizer.GetState());
                optimizer.Dispose();
                optimizer = next;
            }

            using Tensor gradient = shards.SliceTensor(problem.Gradient(whole));
            optimizer.ClipGradient(gradient);
            optimizer.Step(theta, gradient);
        }

        optimizer.Dispose();
        double[] final = shards.Gather(theta);
        losses.Add(problem.Loss(final));
        return ([.. losses], final);
    }
}
