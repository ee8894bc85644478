using System;
using System.Linq;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Tests.Communication;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>Estimates against dense eigendecompositions.</summary>
public class LanczosTests
{
    private static readonly LanczosSettings Exact = new()
    {
        Largest = 6,
        Smallest = 0,
        Tolerance = 1e-8,
        MaxOrder = int.MaxValue,
        BasisType = ScalarType.Float64,
    };

    [Theory]
    [InlineData("decaying", 6, 0)]
    [InlineData("decaying", 6, 3)]
    [InlineData("clustered", 7, 0)]
    [InlineData("duplicate", 6, 0)]
    [InlineData("duplicate", 4, 2)]
    [InlineData("singular", 6, 2)]
    [InlineData("indefinite", 6, 0)]
    [InlineData("indefinite", 5, 4)]
    [InlineData("indefinite", 0, 5)]
    [InlineData("constant", 6, 1)]
    [InlineData("zero", 3, 2)]
    [InlineData("indefinite", 30, 10)]
    [InlineData("duplicate", 40, 0)]
    public void Eigenpairs_are_those_of_a_dense_decomposition(string name, int largest, int smallest)
    {
        Spectrum spectrum = Spectrum.Named(name, 40);
        Shards shards = new(40);
        using LanczosEstimator estimator = new(shards.Space, Exact with { Largest = largest, Smallest = smallest });
        Shards.WholeOperator hessian = shards.Operator(spectrum.Matrix);
        CurvatureEstimate estimate = estimator.Run(hessian);

        Assert.Equal(hessian.Products, estimate.Products);
        Assert.Equal(EstimateOutcome.Certified, estimate.Outcome);
        double spread = spectrum.Values.Max(Math.Abs);
        double[] expected = [.. spectrum.Values[..smallest], .. spectrum.Values[^largest..]];
        Compare.Near(expected, estimate.Eigenvalues, Math.Max(1e-8 * spread, 1e-14));
        CheckPairs(shards, spectrum, estimate, 1e-9);
        CheckSubspace(spectrum, shards.GatherRows(estimate.Subspace!.Vectors), largest, smallest);
        estimate.Subspace.Dispose();
    }

    [Theory]
    [InlineData("decaying", ScalarType.Float32, ScalarType.Float64)]
    [InlineData("clustered", ScalarType.Float32, ScalarType.Float64)]
    [InlineData("indefinite", ScalarType.Float32, ScalarType.Float32)]
    [InlineData("singular", ScalarType.Float64, ScalarType.Float32)]
    public void At_the_default_tolerance_the_bounds_hold(string name, ScalarType basis, ScalarType model)
    {
        Spectrum spectrum = Spectrum.Named(name, 90);
        Shards shards = new(90, null, model);
        using LanczosEstimator estimator = new(shards.Space, new LanczosSettings { Largest = 6, Smallest = 2, MaxOrder = 90, BasisType = basis });
        CurvatureEstimate estimate = estimator.Run(shards.Operator(spectrum.Matrix));
        using Subspace subspace = estimate.Subspace!;
        Assert.Equal(model, subspace.Vectors.dtype);
        Assert.Equal(EstimateOutcome.Certified, estimate.Outcome);
        double spread = spectrum.Values.Max(Math.Abs);
        Assert.All(estimate.ResidualBounds, (bound, i) =>
            Assert.InRange(bound, 0, 1e-3 * Math.Max(Math.Abs(estimate.Eigenvalues[i]), 0.0101 * spread)));
        CheckPairs(shards, spectrum, estimate, 1e-5);
    }

    [Fact]
    public void Where_the_order_ends_first_the_bounds_say_how_far_the_pairs_are()
    {
        Spectrum spectrum = Spectrum.Named("indefinite", 60);
        Shards shards = new(60);
        using LanczosEstimator estimator = new(shards.Space, Exact with { Largest = 4, Smallest = 2, MaxOrder = 12 });
        CurvatureEstimate estimate = estimator.Run(shards.Operator(spectrum.Matrix));
        using Subspace subspace = estimate.Subspace!;
        Assert.Equal(EstimateOutcome.OrderReached, estimate.Outcome);
        Assert.Equal(12, estimate.Products);
        Assert.True(estimate.ResidualBounds.Max() > 1e-3);
        CheckPairs(shards, spectrum, estimate, 1e-10, exact: true);
    }

    [Fact]
    public void The_default_order_follows_the_paper()
    {
        Assert.Equal(40, new LanczosSettings { Largest = 10 }.OrderFor(1_000_000));
        Assert.Equal(28, new LanczosSettings { Largest = 2 }.OrderFor(1_000_000));
        Assert.Equal(18, new LanczosSettings { Largest = 10 }.OrderFor(18));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(3, true)]
    public void An_eigenvalue_that_rose_unseen_is_found_by_the_certificate(int certificate, bool found)
    {
        Spectrum before = Spectrum.Named("decaying", 60);
        Spectrum after = before.With((value, i) => i == 10 ? 0.9 : value);
        Shards shards = new(60);
        LanczosSettings settings = Exact with { Largest = 4, WarmStartNoise = 0, CertificateProducts = certificate };
        using Tensor rows = stack([.. before.Vectors[^4..].Select(v => shards.SliceTensor(v))]);
        using Subspace previous = new(rows, before.Values[^4..], 0);
        using LanczosEstimator estimator = new(shards.Space, settings);
        CurvatureEstimate estimate = estimator.Run(shards.Operator(after.Matrix), previous);
        using Subspace subspace = estimate.Subspace!;
        Assert.Equal(found, Math.Abs(estimate.Eigenvalues[2] - 0.9) < 1e-6);
        Assert.Equal(found ? EstimateOutcome.Certified : EstimateOutcome.Converged, estimate.Outcome);
    }

    [Fact]
    public void A_warm_start_spends_fewer_products()
    {
        Spectrum spectrum = Spectrum.Named("decaying", 90);
        Shards shards = new(90);
        using LanczosEstimator estimator = new(shards.Space, new LanczosSettings { Largest = 8 });
        CurvatureEstimate cold = estimator.Run(shards.Operator(spectrum.Matrix));
        using Subspace previous = cold.Subspace!;
        CurvatureEstimate warm = estimator.Run(shards.Operator(spectrum.Matrix), previous);
        using Subspace subspace = warm.Subspace!;
        Assert.True(warm.Products < cold.Products, $"{warm.Products} warm, {cold.Products} cold.");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(9)]
    public void A_product_that_is_not_finite_keeps_the_previous_pairs(int at)
    {
        Spectrum spectrum = Spectrum.Named("decaying", 30);
        Shards shards = new(30);
        using LanczosEstimator estimator = new(shards.Space, Exact);
        int products = 0;
        Shards.WholeOperator hessian = shards.Operator(v => ++products == at
            ? [double.NaN, .. new double[29]]
            : [.. spectrum.Matrix.Select(row => row.Zip(v, (a, b) => a * b).Sum())]);
        CurvatureEstimate first = estimator.Run(hessian);
        Assert.Equal(EstimateOutcome.NotFinite, first.Outcome);
        Assert.Null(first.Subspace);
        Assert.Empty(first.Eigenvalues);
        Assert.Equal(at, first.Products);

        CurvatureEstimate second = estimator.Run(hessian);
        using Subspace previous = second.Subspace!;
        Assert.Equal(EstimateOutcome.Certified, second.Outcome);
        products = 0;
        CurvatureEstimate third = estimator.Run(hessian, previous);
        Assert.Equal(EstimateOutcome.NotFinite, third.Outcome);
        Assert.Null(third.Subspace);
        Assert.Equal(second.Eigenvalues, third.Eigenvalues);
        Assert.Equal(2, third.NonFiniteEstimates);
    }

    [Theory]
    [InlineData("unchanged", true)]
    [InlineData("slightly grown", true)]
    [InlineData("grown", false)]
    [InlineData("risen elsewhere", false)]
    [InlineData("sunk elsewhere", false)]
    [InlineData("turned", false)]
    public void The_gate_keeps_pairs_that_still_hold(string change, bool kept)
    {
        Spectrum before = Spectrum.Of([.. Enumerable.Range(0, 50).Select(i => i < 4 ? 10.0 - i : i == 49 ? -5 : 0.01 * i)]);
        Spectrum after = change switch
        {
            "unchanged" => before,
            "slightly grown" => before.With((value, _) => 1.02 * value),
            "grown" => before.With((value, _) => 1.5 * value),
            "risen elsewhere" => before.With((value, i) => i == 20 ? 12 : value),
            "sunk elsewhere" => before.With((value, i) => i == 20 ? -9 : value),
            _ => Spectrum.Of(before.Values, seed: 2),
        };
        Shards shards = new(50);
        using LanczosEstimator estimator = new(shards.Space, Exact with { Largest = 4, Smallest = 1, GateTolerance = 0.1 });
        CurvatureEstimate first = estimator.Run(shards.Operator(before.Matrix));
        using Subspace previous = first.Subspace!;
        CurvatureEstimate second = estimator.Run(shards.Operator(after.Matrix), previous);
        using Subspace? fresh = second.Subspace;
        Assert.Equal(kept, second.Outcome == EstimateOutcome.KeptByGate);
        Assert.Equal(kept, fresh is null);
        Assert.InRange(second.GateProducts, 1, 4);
        if (kept)
        {
            Assert.Equal(second.GateProducts, second.Products);
            Assert.Equal(first.Eigenvalues, second.Eigenvalues);
        }
        else
        {
            Compare.Near([.. after.Values[..1], .. after.Values[^4..]], second.Eigenvalues, 1e-7);
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void The_estimate_does_not_depend_on_the_partition(int ranks)
    {
        Spectrum spectrum = Spectrum.Named("decaying", 40);
        LanczosSettings settings = new() { Largest = 5, Smallest = 1, BasisType = ScalarType.Float64, Seed = 3 };
        (CurvatureEstimate alone, double[][] rows) = Estimate(new Shards(40));
        Ranks.Run(ranks, communicator =>
        {
            (CurvatureEstimate estimate, double[][] sharded) = Estimate(new Shards(40, communicator));
            Assert.Equal(alone.Products, estimate.Products);
            Compare.Near(alone.Eigenvalues, estimate.Eigenvalues, 1e-12);
            for (int i = 0; i < rows.Length; i++)
            {
                Compare.Near(rows[i], sharded[i], 1e-8);
            }
        });

        (CurvatureEstimate, double[][]) Estimate(Shards shards)
        {
            using LanczosEstimator estimator = new(shards.Space, settings);
            CurvatureEstimate estimate = estimator.Run(shards.Operator(spectrum.Matrix));
            double[][] vectors = shards.GatherRows(estimate.Subspace!.Vectors);
            estimate.Subspace.Dispose();
            return (estimate, vectors);
        }
    }

    [Fact]
    public void A_call_spends_one_product_at_most_and_nothing_is_left_behind()
    {
        Spectrum before = Spectrum.Named("decaying", 40);
        Spectrum after = before.With((value, i) => i == 3 ? 2 : value);
        Shards shards = new(40);
        using LanczosEstimator estimator = new(shards.Space, new LanczosSettings { Largest = 3, GateTolerance = 0.1 });
        using Subspace previous = estimator.Run(shards.Operator(before.Matrix)).Subspace!;
        LiveTensors.Settle();
        long live = LiveTensors.Count;
        Shards.WholeOperator hessian = shards.Operator(after.Matrix);
        estimator.Start(hessian, previous);
        int calls = 0;
        for (bool done = false; !done; calls++)
        {
            int products = hessian.Products;
            done = estimator.Advance();
            Assert.InRange(hessian.Products - products, 0, 1);
        }

        Assert.False(estimator.InProgress);
        CurvatureEstimate estimate = estimator.TakeResult();
        Assert.InRange(calls, estimate.Products, estimate.Products + 1);
        Assert.Throws<InvalidOperationException>(() => estimator.TakeResult());
        Assert.Throws<InvalidOperationException>(() => estimator.Advance());
        estimate.Subspace!.Dispose();
        Assert.Equal(live, LiveTensors.Count);

        estimator.Start(hessian, previous);
        estimator.Advance();
        estimator.Cancel();
        Assert.Equal(live, LiveTensors.Count);
    }

    [Fact]
    public void A_rank_without_elements_takes_part()
    {
        Spectrum spectrum = Spectrum.Named("decaying", 3);
        Ranks.Run(4, communicator =>
        {
            Shards shards = new(3, communicator);
            Assert.Equal(communicator.Rank == 0 ? 0 : 1, shards.Space.LocalSize);
            using LanczosEstimator estimator = new(shards.Space, Exact with { Largest = 2 });
            CurvatureEstimate estimate = estimator.Run(shards.Operator(spectrum.Matrix));
            Compare.Near(spectrum.Values[^2..], estimate.Eigenvalues, 1e-12);

            using HybridOptimizer optimizer = new(shards.Space, new HybridSettings { Base = BaseKind.Adam });
            optimizer.Refresh(estimate);
            using Tensor theta = shards.SliceTensor([1, 2, 3]);
            using Tensor gradient = shards.SliceTensor([0.5, 0.1, 0.2]);
            Assert.Equal(Math.Sqrt(0.3), optimizer.ClipGradient(gradient), 1e-12);
            optimizer.Step(theta, gradient);
            Assert.All(shards.Gather(theta), value => Assert.True(double.IsFinite(value)));
        });
    }

    [Fact]
    public void An_estimate_that_is_made_again_from_its_number_is_the_same()
    {
        Spectrum spectrum = Spectrum.Named("decaying", 30);
        Shards shards = new(30);
        LanczosSettings settings = new() { Largest = 4, MaxOrder = 8, CertificateProducts = 0 };
        using LanczosEstimator first = new(shards.Space, settings);
        first.Run(shards.Operator(spectrum.Matrix)).Subspace!.Dispose();
        CurvatureEstimate second = first.Run(shards.Operator(spectrum.Matrix));
        using LanczosEstimator resumed = new(shards.Space, settings) { Estimates = 1 };
        CurvatureEstimate again = resumed.Run(shards.Operator(spectrum.Matrix));
        Assert.Equal(second.Eigenvalues, again.Eigenvalues);
        Assert.Equal(shards.GatherRows(second.Subspace!.Vectors), shards.GatherRows(again.Subspace!.Vectors));
        second.Subspace.Dispose();
        again.Subspace.Dispose();
    }

    [Fact]
    public void L2_shifts_the_spectrum()
    {
        Spectrum spectrum = Spectrum.Named("decaying", 30);
        Shards shards = new(30);
        using LanczosEstimator estimator = new(shards.Space, Exact with { Largest = 3, L2 = 0.25 });
        CurvatureEstimate estimate = estimator.Run(shards.Operator(spectrum.Matrix));
        using Subspace subspace = estimate.Subspace!;
        Compare.Near([.. spectrum.Values[^3..].Select(v => v + 0.25)], estimate.Eigenvalues, 1e-8);
    }

    [Fact]
    public void Settings_out_of_range_are_refused_with_their_numbers()
    {
        Shards shards = new(8);
        Check(new LanczosSettings { Largest = 6, Smallest = 3 }, "8");
        Check(new LanczosSettings { Largest = 0 }, "0");
        Check(new LanczosSettings { Largest = 4, MaxOrder = 3 }, "3");
        Check(new LanczosSettings { Largest = 4, Tolerance = -1 }, "-1");
        Check(new LanczosSettings { Largest = 4, BasisType = ScalarType.BFloat16 }, "BFloat16");

        void Check(LanczosSettings settings, string number) =>
            Assert.Contains(number, Assert.Throws<ArgumentException>(() => new LanczosEstimator(shards.Space, settings)).Message);
    }

    // Residuals from scratch, and orthonormality. "exact": the bound is the residual, not merely above it.
    private static void CheckPairs(Shards shards, Spectrum spectrum, CurvatureEstimate estimate, double slack, bool exact = false)
    {
        double spread = Math.Max(spectrum.Values.Max(Math.Abs), 1e-3);
        double[][] rows = shards.GatherRows(estimate.Subspace!.Vectors);
        for (int i = 0; i < rows.Length; i++)
        {
            double[] image = [.. spectrum.Matrix.Select(row => Dot(row, rows[i]))];
            double residual = Math.Sqrt(image.Select((v, j) => v - (estimate.Eigenvalues[i] * rows[i][j])).Sum(v => v * v));
            Assert.True(residual <= estimate.ResidualBounds[i] + (slack * spread), $"Pair {i}: residual {residual}, bound {estimate.ResidualBounds[i]}.");
            Assert.True(!exact || residual >= estimate.ResidualBounds[i] - (slack * spread), $"Pair {i}: residual {residual}, bound {estimate.ResidualBounds[i]}.");
            for (int j = 0; j <= i; j++)
            {
                Assert.Equal(i == j ? 1 : 0, Dot(rows[i], rows[j]), slack);
            }
        }
    }

    // The sine of the angle between each group of rows and the eigenvectors, where a gap sets the group off from the rest.
    private static void CheckSubspace(Spectrum spectrum, double[][] rows, int largest, int smallest)
    {
        int n = spectrum.Values.Length;
        Check(rows[..smallest], spectrum.Vectors[..smallest], smallest == n ? 1 : spectrum.Values[smallest] - spectrum.Values[Math.Max(smallest - 1, 0)]);
        Check(rows[smallest..], spectrum.Vectors[^largest..], largest == n ? 1 : spectrum.Values[^Math.Max(largest, 1)] - spectrum.Values[^(largest + 1)]);

        static void Check(double[][] found, double[][] expected, double gap)
        {
            if (gap < 1e-2)
            {
                return;
            }

            foreach (double[] row in found)
            {
                double inside = expected.Sum(v => Math.Pow(Dot(v, row), 2));
                Assert.InRange(1 - inside, -1e-6, 1e-6);
            }
        }
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();
}
