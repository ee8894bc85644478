using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
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

    private readonly ShardedSpace _space;
    private readonly LanczosSettings _settings;
    private IEnumerator<bool>? _run;
    private CurvatureEstimate? _result;
    private IHessianOperator? _hessian;
    private Subspace? _previous;
    private Tensor? _direction;
    private Tensor? _product;
    private Tensor? _work;
    private long _started;
    private int _estimates;
    private int _draws;
    private int _products;
    private int _gateProducts;
    private int _certificateProducts;
    private int _breakdowns;
    private int _nonFinite;

    /// <summary>Creates an estimator.</summary>
    /// <param name="space">The space of the vectors.</param>
    /// <param name="settings">What to estimate, and how.</param>
    /// <exception cref="ArgumentException">A setting is out of its range for this space.</exception>
    public LanczosEstimator(ShardedSpace space, LanczosSettings settings)
    {
        settings.Validate(space.Size);
        _space = space;
        _settings = settings;
    }

    /// <summary>Whether an estimate was started and is not complete.</summary>
    public bool InProgress => _run is not null;

    /// <summary>The element type of the basis.</summary>
    internal ScalarType BasisType => _settings.BasisType;

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
        if (hessian.LocalSize != _space.LocalSize || (previous is not null && previous.Vectors.size(1) != _space.LocalSize))
        {
            throw new ArgumentException(
                $"The rank's shard has {_space.LocalSize} elements, the operator {hessian.LocalSize}, the eigenvectors {previous?.Vectors.size(1)}.");
        }

        Cancel();
        _hessian = hessian;
        _previous = previous;
        _started = Stopwatch.GetTimestamp();
        _estimates++;
        _draws = _products = _gateProducts = _certificateProducts = _breakdowns = 0;
        _work = _space.Zeros(_settings.BasisType);
        if (_settings.BasisType != _space.DType)
        {
            _direction = _space.Zeros();
            _product = _space.Zeros();
        }

        _run = Estimate();
    }

    /// <summary>Spends one product.</summary>
    /// <returns>True once the estimate is complete.</returns>
    /// <exception cref="InvalidOperationException">No estimate is in progress.</exception>
    public bool Advance()
    {
        IEnumerator<bool> run = _run ?? throw new InvalidOperationException("No estimate is in progress.");
        if (_result is null && run.MoveNext())
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
        CurvatureEstimate result = _result ?? throw new InvalidOperationException("No estimate is complete.");
        _result = null;
        return result;
    }

    /// <summary>Gives up an estimate that is in progress, and a result that nobody took.</summary>
    public void Cancel()
    {
        Release();
        _result?.Subspace?.Dispose();
        _result = null;
    }

    /// <inheritdoc/>
    public void Dispose() => Cancel();

    private void Release()
    {
        _run?.Dispose();
        _run = null;
        _hessian = null;
        _previous = null;
        _work?.Dispose();
        _direction?.Dispose();
        _product?.Dispose();
        _work = _direction = _product = null;
    }

    // A "yield return" follows every product but the last, which is followed by the result and the end.
    private IEnumerator<bool> Estimate()
    {
        if (_previous is { Count: > 0 } && _settings.GateTolerance > 0)
        {
            StalenessGate gate = new(_space, _previous, _settings.GateTolerance);
            using IEnumerator<bool> steps = gate.Run(this);
            while (steps.MoveNext())
            {
                _gateProducts++;
                yield return false;
            }

            if (gate.Decision is { } kept)
            {
                Keep(kept);
                yield break;
            }
        }

        using KrylovBasis basis = new(_space, _settings.OrderFor(_space.Size), _settings.BasisType);
        FillStart();
        if (!basis.TryAppend(_work!))
        {
            AppendRandom(basis);
        }

        RitzPairs pairs;
        RitzPairs? reference = null;
        EstimateOutcome outcome = EstimateOutcome.OrderReached;
        int certificateLeft = 0;
        int nextCheck = _settings.Count;
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
                _certificateProducts++;
                certificateEnds = --certificateLeft == 0;
            }

            bool exhausted = basis.NextPending(last: false) < 0;
            bool end = exhausted && basis.IsFull;
            _breakdowns += exhausted && !end && certificateLeft == 0 && !certificateEnds ? 1 : 0;
            if (end || certificateEnds || (certificateLeft == 0 && basis.Multiplied >= nextCheck))
            {
                nextCheck = basis.Multiplied < FirstSparseCheck ? basis.Multiplied + 1 : (int)(1.05 * basis.Multiplied) + 1;
                pairs = basis.Solve(_settings.Smallest, _settings.Largest);
                bool met = pairs.Meet(_settings.Tolerance);
                bool certified = met && (basis.Multiplied == _space.Size
                    || (certificateEnds && pairs.Confirm(reference!, _settings.Tolerance)));
                if (certified || end || (met && (basis.IsFull || _settings.CertificateProducts == 0)))
                {
                    outcome = certified ? EstimateOutcome.Certified
                        : met ? EstimateOutcome.Converged
                        : EstimateOutcome.OrderReached;
                    break;
                }

                if (met)
                {
                    reference = pairs;
                    certificateLeft = _settings.CertificateProducts;
                    exhausted = true;
                }
            }

            if (exhausted)
            {
                AppendRandom(basis);
            }

            yield return false;
        }

        _result = Result(outcome) with
        {
            Subspace = new Subspace(basis.Combine(pairs), pairs.Values, _settings.Smallest),
            Eigenvalues = pairs.Values,
            ResidualBounds = pairs.Residuals,
        };
    }

    private void Keep(EstimateOutcome outcome)
    {
        _nonFinite += outcome == EstimateOutcome.NotFinite ? 1 : 0;
        _result = Result(outcome);
    }

    private CurvatureEstimate Result(EstimateOutcome outcome) => new()
    {
        Outcome = outcome,
        Subspace = null,
        Eigenvalues = _previous?.Eigenvalues ?? [],
        ResidualBounds = [],
        Products = _products,
        GateProducts = _gateProducts,
        CertificateProducts = _certificateProducts,
        Breakdowns = _breakdowns,
        NonFiniteEstimates = _nonFinite,
        Duration = Stopwatch.GetElapsedTime(_started),
    };

    /// <summary>Multiplies a pending row and lets the basis absorb the product; false if that is not finite.</summary>
    internal bool TryMultiply(KrylovBasis basis, int row, Subspace? outside = null)
    {
        using Tensor direction = basis.Row(row);
        Tensor product = Multiply(direction);
        if (outside is not null)
        {
            Orthogonaliser.Apply(_space, outside.Vectors, product);
        }

        return basis.TryAbsorb(row, product);
    }

    /// <summary>The Hessian's product with a vector of the basis' type, in the work vector.</summary>
    internal Tensor Multiply(Tensor direction)
    {
        using DisposeScope scope = NewDisposeScope();
        _products++;
        Tensor work = _work!;
        if (_direction is null)
        {
            _hessian!.Multiply(direction, work);
        }
        else
        {
            _direction.copy_(direction);
            _hessian!.Multiply(_direction, _product!);
            work.copy_(_product!);
        }

        if (_settings.L2 > 0)
        {
            work.add_(direction, _settings.L2);
        }

        return work;
    }

    /// <summary>A random vector in the work vector.</summary>
    internal Tensor DrawRandom()
    {
        _space.FillRandom(_work!, _settings.Seed, $"lanczos/{_estimates}/{_draws++}");
        return _work!;
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

        throw new ArithmeticException($"No direction outside a basis of {basis.Count} vectors was found in {_space.Size} dimensions.");
    }

    private void FillStart()
    {
        Tensor start = DrawRandom();
        if (!_settings.WarmStart || _previous is not { Count: > 0 })
        {
            return;
        }

        // The sum of orthonormal rows has the square root of their number as its norm.
        double noise = _settings.WarmStartNoise * Math.Sqrt(_previous.Count) / _space.Norm(start);
        start.mul_(noise).Dispose();
        _space.AddCombination(_previous.Vectors, Enumerable.Repeat(1.0, _previous.Count).ToArray(), start);
    }
}
