using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// Estimates extreme eigenpairs of the Hessian by Lanczos steps on vectors that are sharded over ranks (extreme spectrum
/// estimation, FOSI, arXiv 2302.08484, section 3.1; distributed as in DHO2, arXiv 2505.00982).
/// </summary>
/// <remarks>
/// <para>
/// All ranks of the space drive it in step: <see cref="Start"/>, then <see cref="Advance"/>, which spends one product a
/// call, until it returns true, then <see cref="TakeResult"/>. Between two calls training may go on, as long as the
/// operator keeps to the parameters and the batch it was made for. <see cref="Run"/> does it all at once.
/// </para>
/// <para>
/// Every new vector is made orthogonal to all earlier ones, twice. An estimate ends as soon as the wanted pairs meet the
/// tolerance and a search from a random direction outside them has found nothing they miss; that search continues in the
/// same basis, so that its products also sharpen the result. Where the basis becomes invariant too early, the search goes
/// on from a random vector orthogonal to it. All decisions rest on reduced sums, so that all ranks take the same ones.
/// </para>
/// </remarks>
public sealed class LanczosEstimator : IDisposable
{
    private const int FirstSparseCheck = 64;

    private readonly ShardedSpace space;
    private readonly LanczosSettings settings;
    private IEnumerator<bool>? run;
    private CurvatureEstimate? result;
    private IHessianOperator? hessian;
    private Subspace? previous;
    private Tensor? modelDirection;
    private Tensor? modelProduct;
    private Tensor? work;
    private KrylovBasis? basis;
    private long started;
    private int draws;
    private int products;
    private int gateProducts;
    private int certificateProducts;
    private int breakdowns;
    private int nonFinite;

    /// <summary>Creates an estimator.</summary>
    /// <param name="space">The space of the vectors.</param>
    /// <param name="settings">What to estimate, and how.</param>
    /// <exception cref="ArgumentException">A setting is out of its range for this space.</exception>
    public LanczosEstimator(ShardedSpace space, LanczosSettings settings)
    {
        settings.Validate(space.Size);
        this.space = space;
        this.settings = settings;
    }

    /// <summary>Whether an estimate was started and is not complete.</summary>
    public bool InProgress => run is not null;

    /// <summary>
    /// The number of estimates started so far, which random vectors depend on: a run that goes on from a checkpoint sets it
    /// to what it was.
    /// </summary>
    public long Estimates { get; set; }

    /// <summary>Bytes that the estimate under way holds on this rank: basis and work vectors; 0 where there is none.</summary>
    public long OwnedBytes => (basis?.Bytes ?? 0) + new[] { work, modelDirection, modelProduct }.Sum(v => v is null ? 0 : v.numel() * v.element_size());

    /// <summary>The element type of the basis.</summary>
    internal ScalarType BasisType => settings.BasisType;

    /// <summary>Makes a whole estimate.</summary>
    /// <param name="hessian">The Hessian.</param>
    /// <param name="previous">The eigenpairs in force, or null; only read.</param>
    public CurvatureEstimate Run(IHessianOperator hessian, Subspace? previous = null)
    {
        Start(hessian, previous);
        while (!Advance())
        {
        }

        return TakeResult();
    }

    /// <summary>Begins an estimate, without a product yet; one that is in progress is given up.</summary>
    /// <param name="hessian">The Hessian; it must stay the same operator until the estimate is complete.</param>
    /// <param name="previous">The eigenpairs in force, or null; only read, and only until the estimate is complete.</param>
    /// <exception cref="ArgumentException">The operator's or the eigenvectors' size is not the space's.</exception>
    public void Start(IHessianOperator hessian, Subspace? previous = null)
    {
        if (hessian.LocalSize != space.LocalSize || (previous is not null && previous.Vectors.size(1) != space.LocalSize))
        {
            throw new ArgumentException(
                $"The rank's shard has {space.LocalSize} elements, the operator {hessian.LocalSize}, the eigenvectors {previous?.Vectors.size(1)}.");
        }

        Cancel();
        this.hessian = hessian;
        this.previous = previous;
        started = Stopwatch.GetTimestamp();
        Estimates++;
        draws = products = gateProducts = certificateProducts = breakdowns = 0;
        work = space.Zeros(settings.BasisType);
        if (settings.BasisType != space.DType)
        {
            modelDirection = space.Zeros();
            modelProduct = space.Zeros();
        }

        run = Estimate();
    }

    /// <summary>Spends one product.</summary>
    /// <returns>True once the estimate is complete.</returns>
    /// <exception cref="InvalidOperationException">No estimate is in progress.</exception>
    public bool Advance()
    {
        IEnumerator<bool> steps = run ?? throw new InvalidOperationException("No estimate is in progress.");
        if (result is null && steps.MoveNext())
        {
            return false;
        }

        Release();
        return true;
    }

    /// <summary>The result of the estimate that is complete; it belongs to the caller.</summary>
    /// <exception cref="InvalidOperationException">There is none, or it was taken.</exception>
    public CurvatureEstimate TakeResult()
    {
        CurvatureEstimate taken = result ?? throw new InvalidOperationException("No estimate is complete.");
        result = null;
        return taken;
    }

    /// <summary>Gives up an estimate that is in progress, and a result that nobody took.</summary>
    public void Cancel()
    {
        Release();
        result?.Subspace?.Dispose();
        result = null;
    }

    /// <inheritdoc/>
    public void Dispose() => Cancel();

    private void Release()
    {
        run?.Dispose();
        run = null;
        hessian = null;
        previous = null;
        work?.Dispose();
        modelDirection?.Dispose();
        modelProduct?.Dispose();
        work = modelDirection = modelProduct = null;
        basis = null;
    }

    // A "yield return" follows every product but the last, which is followed by the result and the end.
    private IEnumerator<bool> Estimate()
    {
        if (previous is { Count: > 0 } && settings.GateTolerance > 0)
        {
            StalenessGate gate = new(space, previous, settings.GateTolerance);
            using IEnumerator<bool> steps = gate.Run(this);
            while (steps.MoveNext())
            {
                gateProducts++;
                yield return false;
            }

            if (gate.Decision is { } kept)
            {
                Keep(kept);
                yield break;
            }
        }

        using KrylovBasis basis = this.basis = new(space, settings.OrderFor(space.Size), settings.BasisType);
        FillStart();
        if (!basis.TryAppend(work!))
        {
            AppendRandom(basis);
        }

        RitzPairs pairs;
        RitzPairs? reference = null;
        EstimateOutcome outcome = EstimateOutcome.OrderReached;
        int certificateLeft = 0;
        int nextCheck = settings.Count;
        while (true)
        {
            if (!TryMultiply(basis, basis.NextPending(last: certificateLeft > 0)))
            {
                Keep(EstimateOutcome.NotFinite);
                yield break;
            }

            bool certificateEnds = false;
            if (certificateLeft > 0)
            {
                certificateProducts++;
                certificateEnds = --certificateLeft == 0;
            }

            bool exhausted = basis.NextPending(last: false) < 0;
            bool end = exhausted && basis.IsFull;
            breakdowns += exhausted && !end && certificateLeft == 0 && !certificateEnds ? 1 : 0;
            if (end || certificateEnds || (certificateLeft == 0 && basis.Multiplied >= nextCheck))
            {
                nextCheck = basis.Multiplied < FirstSparseCheck ? basis.Multiplied + 1 : (int)(1.05 * basis.Multiplied) + 1;
                pairs = basis.Solve(settings.Smallest, settings.Largest);
                bool met = pairs.Meet(settings.Tolerance);
                bool certified = met && (basis.Multiplied == space.Size
                    || (certificateEnds && pairs.Confirm(reference!, settings.Tolerance)));
                if (certified || end || (met && (basis.IsFull || settings.CertificateProducts == 0)))
                {
                    outcome = certified ? EstimateOutcome.Certified
                        : met ? EstimateOutcome.Converged
                        : EstimateOutcome.OrderReached;
                    break;
                }

                if (met)
                {
                    reference = pairs;
                    certificateLeft = settings.CertificateProducts;
                    exhausted = true;
                }
            }

            if (exhausted)
            {
                AppendRandom(basis);
            }

            yield return false;
        }

        result = Result(outcome) with
        {
            Subspace = new Subspace(basis.Combine(pairs), pairs.Values, settings.Smallest),
            Eigenvalues = pairs.Values,
            ResidualBounds = pairs.Residuals,
        };
    }

    private void Keep(EstimateOutcome outcome)
    {
        nonFinite += outcome == EstimateOutcome.NotFinite ? 1 : 0;
        result = Result(outcome);
    }

    private CurvatureEstimate Result(EstimateOutcome outcome) => new()
    {
        Outcome = outcome,
        Subspace = null,
        Eigenvalues = previous?.Eigenvalues ?? [],
        ResidualBounds = [],
        Products = products,
        GateProducts = gateProducts,
        CertificateProducts = certificateProducts,
        Breakdowns = breakdowns,
        NonFiniteEstimates = nonFinite,
        Duration = Stopwatch.GetElapsedTime(started),
    };

    /// <summary>Multiplies a pending row and lets the basis absorb the product; false if that is not finite.</summary>
    internal bool TryMultiply(KrylovBasis basis, int row, Subspace? outside = null)
    {
        using Tensor direction = basis.Row(row);
        Tensor product = Multiply(direction);
        if (outside is not null)
        {
            Orthogonaliser.Apply(space, outside.Vectors, product);
        }

        return basis.TryAbsorb(row, product);
    }

    /// <summary>The Hessian's product with a vector of the basis' type, in the work vector.</summary>
    internal Tensor Multiply(Tensor direction)
    {
        using DisposeScope scope = NewDisposeScope();
        products++;
        if (modelDirection is null)
        {
            hessian!.Multiply(direction, work!);
        }
        else
        {
            modelDirection.copy_(direction);
            hessian!.Multiply(modelDirection, modelProduct!);
            work!.copy_(modelProduct!);
        }

        if (settings.L2 > 0)
        {
            work!.AddScaled(direction, settings.L2);
        }

        return work!;
    }

    /// <summary>A random vector in the work vector.</summary>
    internal Tensor DrawRandom()
    {
        space.FillRandom(work!, settings.Seed, $"lanczos/{Estimates}/{draws++}");
        return work!;
    }

    private void AppendRandom(KrylovBasis basis)
    {
        for (int attempt = 0; attempt < 8; attempt++)
        {
            if (basis.TryAppend(DrawRandom()))
            {
                return;
            }
        }

        throw new ArithmeticException($"No direction outside a basis of {basis.Count} vectors was found in {space.Size} dimensions.");
    }

    private void FillStart()
    {
        Tensor start = DrawRandom();
        if (!settings.WarmStart || previous is not { Count: > 0 })
        {
            return;
        }

        // The sum of orthonormal rows has the square root of their number as its norm.
        double noise = settings.WarmStartNoise * Math.Sqrt(previous.Count) / space.Norm(start);
        start.ScaleBy(noise);
        space.AddCombination(previous.Vectors, Enumerable.Repeat(1.0, previous.Count).ToArray(), start);
    }
}
