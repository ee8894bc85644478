using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>
/// The hybrid-order update (FOSI, arXiv 2302.08484, algorithm 2) on one rank's flat vector: Newton steps in the subspace
/// of extreme curvature, a first-order optimizer outside it.
/// </summary>
/// <remarks>
/// <para>
/// A training step is: let the gradient accumulate in a flat vector; <see cref="ClipGradient"/>; add terms that are not
/// to be clipped (ADMM's proximal term); <see cref="Step"/>. A finished estimate is handed to <see cref="Refresh"/>
/// before a step. A schedule sets <see cref="LearningRate"/>. All ranks of the spaces call in step.
/// </para>
/// <para>
/// With a subspace that is global the space spans all stages; block-diagonal by stage, each stage's space is the rank
/// alone, and only the gradient's norm is reduced over all of them. The subspace is read three times a step with Adam or
/// decoupled weight decay, else twice and once in passing, because a linear base's component along it follows a
/// recursion.
/// </para>
/// </remarks>
public sealed class HybridOptimizer : IDisposable
{
    private readonly ShardedSpace _space;
    private readonly ShardedSpace _model;
    private readonly HybridSettings _settings;
    private readonly FlatBase _base;
    private readonly NewtonPart _newton;
    private readonly Tensor _direction;
    private double[] _rates = [];
    private double[] _gradient = [];
    private double[] _step = [];
    private double[] _baseMomentum = [];
    private double _sigma;
    private int _refreshes;

    /// <summary>Creates an optimizer for this rank's shard, without curvature yet.</summary>
    /// <param name="space">The space of the subspace.</param>
    /// <param name="settings">The settings.</param>
    /// <param name="model">The space of the whole model, for the gradient's norm; by default <paramref name="space"/>.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    public HybridOptimizer(ShardedSpace space, HybridSettings settings, ShardedSpace? model = null)
    {
        settings.Validate();
        _space = space;
        _model = model ?? space;
        _settings = settings;
        _direction = space.Zeros();
        _base = FlatBase.Create(settings.Base, _direction, settings.BaseSettings);
        _newton = new NewtonPart(space, settings);
        _sigma = settings.Sigma;
        LearningRate = settings.LearningRate;
    }

    /// <summary>The base's rate in the next step; at first the settings'.</summary>
    public double LearningRate { get; set; }

    /// <summary>The rate of the Newton part in the next step.</summary>
    public double Alpha => _settings.Alpha * (_settings.AlphaFollowsSchedule ? LearningRate / _settings.LearningRate : 1);

    /// <summary>The weight of the proximal term, added to the magnitude of every eigenvalue.</summary>
    public double Sigma
    {
        get => _sigma;
        set
        {
            Ranges.Require(value >= 0 && double.IsFinite(value), $"Sigma ({value}) must be a number of at least 0.");
            _sigma = value;
            SetRates();
        }
    }

    /// <summary>The factor by which the base's step is raised, because what limited its rate is left to the Newton part.</summary>
    public double Scale { get; private set; } = 1;

    /// <summary>The eigenpairs in force; null before the first refresh. They belong to the optimizer.</summary>
    public Subspace? Subspace { get; private set; }

    /// <summary>The first-order optimizer.</summary>
    public FlatBase Base => _base;

    /// <summary>Scales a gradient down to the settings' norm over the whole model, if it exceeds that.</summary>
    /// <param name="gradient">This rank's shard, shape (n_s); scaled in place.</param>
    /// <returns>The norm it had, the same on every rank.</returns>
    public double ClipGradient(Tensor gradient)
    {
        double norm = _model.Norm(gradient);
        if (_settings.MaxGradientNorm > 0 && norm > _settings.MaxGradientNorm)
        {
            gradient.mul_(_settings.MaxGradientNorm / norm).Dispose();
        }

        return norm;
    }

    /// <summary>Updates the parameters.</summary>
    /// <param name="parameters">This rank's shard, shape (n_s); updated in place.</param>
    /// <param name="gradient">The gradient's shard, shape (n_s); only read.</param>
    public void Step(Tensor parameters, Tensor gradient)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        _direction.copy_(gradient);
        if (_settings.L2 > 0)
        {
            _direction.add_(parameters, _settings.L2);
        }

        if (Subspace is null)
        {
            ApplyBase(parameters);
            parameters.add_(_direction);
            return;
        }

        Tensor vectors = Subspace.Vectors;
        _space.Project(vectors, _direction, _gradient);
        Negate(_gradient, _step);
        _space.AddCombination(vectors, _step, _direction);
        _newton.Accumulate(_gradient);
        ApplyBase(parameters);
        ProjectStep();
        parameters.add_(_direction, Scale);
        double alpha = Alpha;
        for (int i = 0; i < _step.Length; i++)
        {
            _step[i] = -(Scale * _step[i] + alpha * _rates[i] * _newton.Coefficients[i]);
        }

        _space.AddCombination(vectors, _step, parameters);
    }

    /// <summary>
    /// Puts an estimate's eigenpairs into force and carries the accumulated direction over to them. An estimate that
    /// kept the previous ones changes nothing.
    /// </summary>
    /// <param name="estimate">The estimate; its subspace belongs to the optimizer from now on.</param>
    public void Refresh(CurvatureEstimate estimate)
    {
        if (estimate.Subspace is not { } fresh)
        {
            return;
        }

        if (_settings.RandomDirections)
        {
            Subspace random = Subspace.Random(_space, fresh.Eigenvalues, fresh.Smallest, _settings.Seed, $"random directions/{_refreshes}");
            fresh.Dispose();
            fresh = random;
        }

        ScalarType type = _settings.VectorType ?? _space.DType;
        if (fresh.Vectors.dtype != type)
        {
            Subspace converted = fresh.To(type);
            fresh.Dispose();
            fresh = converted;
        }

        _newton.Carry(Subspace?.Vectors, fresh.Vectors);
        Subspace?.Dispose();
        Subspace = fresh;
        _refreshes++;
        SizeToSubspace();
        if (_base is MomentumBase { Momentum: { } momentum })
        {
            _space.Project(fresh.Vectors, momentum, _baseMomentum);
        }
    }

    /// <summary>The state that a later run needs to go on exactly; its tensors are live, not copies.</summary>
    public OptimizerState GetState()
    {
        Dictionary<string, Tensor> vectors = _base.Vectors.ToDictionary(v => "base." + v.Key, v => v.Value);
        Dictionary<string, double[]> numbers = new()
        {
            ["base.steps"] = [_base.Steps],
            ["learning_rate"] = [LearningRate],
            ["sigma"] = [Sigma],
            ["refreshes"] = [_refreshes],
        };
        if (Subspace is not null)
        {
            vectors["curvature.vectors"] = Subspace.Vectors;
            numbers["curvature.eigenvalues"] = [.. Subspace.Eigenvalues];
            numbers["curvature.smallest"] = [Subspace.Smallest];
            numbers["newton.coefficients"] = _newton.Coefficients;
            numbers["newton.rest_factor"] = [_newton.RestFactor];
            numbers["base.coefficients"] = _baseMomentum;
        }

        if (_newton.Rest is not null)
        {
            vectors["newton.rest"] = _newton.Rest;
        }

        return new OptimizerState(vectors, numbers);
    }

    /// <summary>Goes on from a state that an optimizer with the same settings and shard had.</summary>
    /// <param name="state">The state; copied.</param>
    /// <exception cref="ArgumentException">An entry is missing or has another shape.</exception>
    public void SetState(OptimizerState state)
    {
        foreach ((string name, Tensor vector) in _base.Vectors)
        {
            vector.copy_(state.Vector("base." + name, _space.LocalSize)).Dispose();
        }

        _base.Steps = (long)state.Number("base.steps");
        LearningRate = state.Number("learning_rate");
        _refreshes = (int)state.Number("refreshes");
        Subspace?.Dispose();
        Subspace = null;
        _newton.Rest?.Dispose();
        _newton.Rest = null;
        if (state.Vectors.TryGetValue("curvature.vectors", out Tensor? vectors))
        {
            Subspace = new Subspace(
                vectors.clone().DetachFromDisposeScope(),
                state.Numbers["curvature.eigenvalues"],
                (int)state.Number("curvature.smallest"));
            SizeToSubspace();
            _newton.Coefficients = [.. state.Numbers["newton.coefficients"]];
            _newton.RestFactor = state.Number("newton.rest_factor");
            _baseMomentum = [.. state.Numbers["base.coefficients"]];
        }

        if (state.Vectors.ContainsKey("newton.rest"))
        {
            _newton.Rest = state.Vector("newton.rest", _space.LocalSize).clone().DetachFromDisposeScope();
        }

        Sigma = state.Number("sigma");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _base.Dispose();
        _newton.Dispose();
        _direction.Dispose();
        Subspace?.Dispose();
    }

    private void ApplyBase(Tensor parameters)
    {
        _base.Apply(_direction, LearningRate);
        if (_settings.WeightDecay > 0)
        {
            _direction.add_(parameters, -LearningRate * _settings.WeightDecay);
        }
    }

    // The step's component along the subspace. The gradient has none left, so that a linear base's comes from what its
    // momentum held when the subspace was new.
    private void ProjectStep()
    {
        if (_base is not MomentumBase linear || _settings.WeightDecay > 0)
        {
            _space.Project(Subspace!.Vectors, _direction, _step);
            return;
        }

        for (int i = 0; i < _step.Length; i++)
        {
            _baseMomentum[i] *= linear.Decay;
            _step[i] = -LearningRate * linear.MomentumGain * _baseMomentum[i];
        }
    }

    private void SizeToSubspace()
    {
        int count = Subspace!.Count;
        _gradient = new double[count];
        _step = new double[count];
        _baseMomentum = new double[count];
        SetRates();
    }

    private void SetRates()
    {
        if (Subspace is null)
        {
            return;
        }

        double floor = _settings.Floor * Subspace.Eigenvalues.Max(Math.Abs);
        _rates = [.. Subspace.Eigenvalues.Select(value => 1 / (Math.Max(Math.Abs(value), floor) + _sigma))];
        Scale = Subspace.Largest == 0 ? 1 : Math.Clamp(_rates[Subspace.Smallest] / _rates[^1], 1, _settings.EffectiveMaxScale);
    }

    private static void Negate(double[] from, double[] to)
    {
        for (int i = 0; i < from.Length; i++)
        {
            to[i] = -from[i];
        }
    }
}
