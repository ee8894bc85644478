using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Pipelines;
using Dho2.Tests.Communication;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>Estimates on a network of nearly 2,000 parameters over three stages, against its dense Hessian.</summary>
public sealed class LargerModelTests
{
    private const int Samples = 60;
    private const int Stages = 3;

    private static readonly HandModel Model = new()
    {
        Blocks = [c => Layer(c, "a", 20, 40), c => Layer(c, "b", 40, 20), c => Layer(c, "c", 20, 12)],
        Live = [[true], [true]],
        Inputs = n => [randn(n, 20, float64)],
        Targets = n => [randint(0, 12, n, int64)],
        Loss = (results, targets) => nn.functional.cross_entropy(results[0], targets[0]),
    };

    // Made once: as many products as there are parameters, and a dense decomposition.
    private static readonly Lazy<(double[] Values, double[][] Vectors)> Dense = new(Decompose);

    [Fact]
    public void EigenpairsAreThoseOfTheDenseHessian()
    {
        (double[] values, double[][] vectors) = Dense.Value;
        int n = values.Length;
        Assert.InRange(n, 1_500, 2_000);
        LanczosSettings settings = new() { Largest = 8, Smallest = 2, Tolerance = 1e-8, MaxOrder = n, BasisType = float64, Seed = 3 };
        (CurvatureEstimate estimate, double[][] found) = Estimate(settings);
        Assert.Equal(EstimateOutcome.Certified, estimate.Outcome);
        int[] wanted = [0, 1, .. Enumerable.Range(n - 8, 8)];
        for (int i = 0; i < wanted.Length; i++)
        {
            Assert.InRange(Math.Abs(estimate.Eigenvalues[i] - values[wanted[i]]), 0, 1e-6 * Math.Abs(values[wanted[i]]));
        }

        // The gap next to each group allows a subspace to be told: the angle is at most the residual over the gap.
        double spread = values[^1];
        Assert.True(values[n - 8] - values[n - 9] > 1e-5 * spread && values[2] - values[1] > 1e-5 * spread, "The gaps are too small for this test.");
        Assert.InRange(SineOfAngle(found[..2], vectors[..2]), 0, 1e-3);
        Assert.InRange(SineOfAngle(found[2..], vectors[^8..]), 0, 1e-3);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void AtTheDefaultToleranceTheBoundsHoldFromScratch(ScalarType basis)
    {
        (double[] values, double[][] vectors) = Dense.Value;
        LanczosSettings settings = new() { Largest = 8, MaxOrder = values.Length, BasisType = basis, Seed = 3 };
        (CurvatureEstimate estimate, double[][] found) = Estimate(settings);
        Assert.Equal(EstimateOutcome.Certified, estimate.Outcome);
        for (int i = 0; i < found.Length; i++)
        {
            // |H v - lambda v| by the dense decomposition; a float32 basis adds its own rounding.
            double residual = Math.Sqrt(vectors.Select((u, j) => Math.Pow((values[j] - estimate.Eigenvalues[i]) * Dot(u, found[i]), 2)).Sum());
            Assert.InRange(residual, 0, estimate.ResidualBounds[i] + (1e-5 * values[^1]));
            Assert.InRange(estimate.ResidualBounds[i], 0, 1.001e-3 * Math.Max(Math.Abs(estimate.Eigenvalues[i]), 0.01 * values[^1]));
        }
    }

    [Fact]
    public void TheEstimateDoesNotDependOnThePartition()
    {
        LanczosSettings settings = new() { Largest = 5, Smallest = 1, MaxOrder = 40, BasisType = float64, Seed = 3 };
        (CurvatureEstimate one, double[][] whole) = Estimate(settings, 1);
        (CurvatureEstimate three, double[][] split) = Estimate(settings, Stages);
        Assert.Equal(one.Products, three.Products);
        Compare.Near(one.Eigenvalues, three.Eigenvalues, 1e-9);
        Assert.InRange(SineOfAngle(split, whole), 0, 1e-6);
    }

    [Fact]
    public void NoRankHoldsMoreThanItsOwnColumns()
    {
        LanczosSettings settings = new() { Largest = 4, MaxOrder = 20, Tolerance = 0, CertificateProducts = 0 };
        Use(Stages, (hessian, counting) =>
        {
            ShardedSpace space = new(hessian.Segments, counting, float64);
            Assert.True(space.LocalSize < space.Size);
            using LanczosEstimator estimator = new(space, settings);
            estimator.Start(hessian);
            List<long> owned = [];
            while (!estimator.Advance())
            {
                owned.Add(estimator.OwnedBytes);
            }

            // The basis, whose memory is taken as it grows, and a work vector in float32, and a direction and a product in the
            // model's float64.
            long Expected(int rows) => ((rows + 1) * space.LocalSize * sizeof(float)) + (2 * space.LocalSize * sizeof(double));
            Assert.Equal(Expected(16), owned[0]);
            Assert.Equal(Expected(20), owned[^1]);
            Assert.Equal(0, estimator.OwnedBytes);

            using Subspace subspace = estimator.TakeResult().Subspace!;
            Assert.Equal([4, space.LocalSize], subspace.Vectors.shape);

            // Nothing that travels is as long as the model, nor as a stage: cuts and small sums only.
            Assert.Equal(0, counting.Collectives);
            Assert.InRange(counting.LargestMessage, 0, Samples * 40);
            Assert.InRange(counting.LongestReduction, 1, 20);
        });
    }

    private static Block Layer(StageContext context, string name, int from, int to)
    {
        Linear layer = context.Create(name, () => nn.Linear(from, to));
        return new Block([new StageLayer(name, layer)], x => [layer.forward(x[0]).tanh()]);
    }

    private static (CurvatureEstimate Estimate, double[][] Vectors) Estimate(LanczosSettings settings, int stages = Stages)
    {
        CurvatureEstimate[] estimates = new CurvatureEstimate[stages];
        double[][][] columns = new double[stages][][];
        Use(stages, (hessian, counting) =>
        {
            using LanczosEstimator estimator = new(new ShardedSpace(hessian.Segments, counting, float64), settings);
            CurvatureEstimate estimate = estimates[counting.Rank] = estimator.Run(hessian);
            using Subspace subspace = estimate.Subspace!;
            double[] flat = subspace.Vectors.flatten().data<double>().ToArray();
            columns[counting.Rank] = [.. flat.Chunk((int)hessian.LocalSize)];
        });
        return (estimates[0], [.. Enumerable.Range(0, columns[0].Length).Select(row => columns.SelectMany(part => part[row]).ToArray())]);
    }

    private static (double[] Values, double[][] Vectors) Decompose()
    {
        double[] matrix = [];
        int n = 0;

        // On this thread: as many products as this take longer on a busy machine than ranks are waited for.
        Use(null, BatchOf(), hessian =>
        {
            n = (int)hessian.LocalSize;
            matrix = new double[n * n];
            using Tensor unit = zeros(n, float64);
            using Tensor column = zeros(n, float64);
            for (int i = 0; i < n; i++)
            {
                using DisposeScope scope = NewDisposeScope();
                unit.zero_();
                unit[i] = 1;
                hessian.Multiply(unit, column);
                column.data<double>().CopyTo(matrix, i * n, 0);
            }
        });
        using DisposeScope outer = NewDisposeScope();
        Tensor symmetric = tensor(matrix).view(n, n);
        (Tensor values, Tensor vectors) = linalg.eigh((symmetric + symmetric.t()) / 2);
        return (values.data<double>().ToArray(), [.. vectors.t().contiguous().flatten().data<double>().ToArray().Chunk(n)]);
    }

    private static void Use(int stages, Action<PipelineHessian, CountingCommunicator> use)
    {
        Batch batch = BatchOf();
        Ranks.Run(stages, communicator =>
        {
            CountingCommunicator counting = new(communicator);
            Use(counting, batch, hessian => use(hessian, counting));
        });
    }

    private static void Use(CountingCommunicator? pipeline, Batch batch, Action<PipelineHessian> use)
    {
        int rank = pipeline?.Rank ?? 0;
        int stages = pipeline?.Size ?? 1;
        StageContext context = new(4) { DType = float64 };
        using IPipelineStage stage = Model.Stage(new StageContext(4) { DType = float64 }, rank, stages);
        using FlatParameters training = new(stage.Layers, float64, CPU);
        using PipelineHessian hessian = new(Model.Stage(context, rank, stages), context, pipeline, Model.Cuts(stages), Model.Loss);
        hessian.Begin(training, new CurvatureBatch(batch, [Samples], 0, Samples));
        use(hessian);
    }

    private static Batch BatchOf()
    {
        random.manual_seed(6);
        return new(Model.Inputs(Samples), Model.Targets(Samples));
    }

    // Of the larger angle between two subspaces, each given by orthonormal rows.
    private static double SineOfAngle(double[][] left, double[][] right) => left.Max(row =>
    {
        double inside = right.Sum(other => Math.Pow(Dot(row, other), 2));
        return Math.Sqrt(Math.Max(0, Dot(row, row) - inside));
    });

    private static double Dot(double[] left, double[] right)
    {
        double sum = 0;
        for (int i = 0; i < left.Length; i++)
        {
            sum += left[i] * right[i];
        }

        return sum;
    }
}
