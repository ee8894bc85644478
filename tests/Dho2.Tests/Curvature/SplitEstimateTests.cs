using System;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Pipelines;
using Dho2.Tests.Communication;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>Estimates on models that are split over stages, against the dense Hessian of the same model.</summary>
public class SplitEstimateTests
{
    private static readonly LanczosSettings Settings = new()
    {
        Largest = 6,
        Smallest = 2,
        Tolerance = 1e-8,
        MaxOrder = int.MaxValue,
        BasisType = ScalarType.Float64,
        Seed = 2,
    };

    [Theory]
    [InlineData("mlp", 1)]
    [InlineData("mlp", 3)]
    [InlineData("skips", 2)]
    [InlineData("skips", 4)]
    [InlineData("lstm, embedding", 2)]
    public void Eigenvalues_are_those_of_the_dense_Hessian(string name, int stages)
    {
        HandModel model = HandModels.All[name];
        double[] dense = Dense(model);
        Estimate(model, stages, Settings, (estimate, _) =>
        {
            Assert.Equal(EstimateOutcome.Certified, estimate.Outcome);
            double spread = dense.Max(Math.Abs);
            Compare.Near([.. dense[..2], .. dense[^6..]], estimate.Eigenvalues, 1e-6 * spread * 1e-2);
        });
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Only_numbers_and_cuts_travel_and_no_message_is_as_long_as_the_model(int stages)
    {
        HandModel model = HandModels.All["mlp"];
        Estimate(model, stages, Settings with { MaxOrder = 20, Tolerance = 1e-3 }, (estimate, traffic) =>
        {
            Assert.InRange(estimate.Products, 8, 20);
            Assert.Equal(0, traffic.Collectives);
            Assert.InRange(traffic.LongestReduction, 8, 20);

            // The largest cut: nine samples of seven values.
            Assert.InRange(traffic.LargestMessage, 1, 9 * 7);
        });
    }

    private static double[] Dense(HandModel model)
    {
        double[][] columns = [];
        Use(model, BatchOf(model), null, (hessian, _) =>
        {
            int n = (int)hessian.LocalSize;
            columns = [.. Enumerable.Range(0, n).Select(i =>
            {
                using Tensor unit = zeros(n, float64);
                unit[i] = 1;
                using Tensor column = zeros(n, float64);
                hessian.Multiply(unit, column);
                return column.data<double>().ToArray();
            })];
        });
        using Tensor matrix = tensor(columns.SelectMany(c => c).ToArray()).view(columns.Length, -1);
        using Tensor values = linalg.eigvalsh(matrix);
        return values.data<double>().ToArray();
    }

    private static void Estimate(HandModel model, int stages, LanczosSettings settings, Action<CurvatureEstimate, CountingCommunicator> check)
    {
        Batch batch = BatchOf(model);
        Ranks.Run(stages, communicator =>
        {
            CountingCommunicator counting = new(communicator);
            Use(model, batch, counting, (hessian, segments) =>
            {
                using LanczosEstimator estimator = new(new ShardedSpace(segments, counting, ScalarType.Float64), settings);
                CurvatureEstimate estimate = estimator.Run(hessian);
                using Subspace subspace = estimate.Subspace!;
                Assert.Equal(hessian.LocalSize, subspace.Vectors.size(1));
                check(estimate, counting);
            });
        });
    }

    private static void Use(HandModel model, Batch batch, ICommunicator? communicator, Action<PipelineHessian, ParameterSegment[]> use)
    {
        int stages = communicator?.Size ?? 1;
        int rank = communicator?.Rank ?? 0;
        StageContext context = Context();
        using IPipelineStage stage = model.Stage(Context(), rank, stages);
        using FlatParameters training = new(stage.Layers, ScalarType.Float64, CPU);
        using PipelineHessian hessian = new(model.Stage(context, rank, stages), context, communicator, model.Cuts(stages), model.Loss);
        hessian.Begin(training, new CurvatureBatch(batch, [4, 5], 0, 9));
        use(hessian, [.. training.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))]);
    }

    private static Batch BatchOf(HandModel model)
    {
        random.manual_seed(6);
        return new Batch(model.Inputs(9), model.Targets(9));
    }

    private static StageContext Context() => new(4) { DType = ScalarType.Float64 };
}
