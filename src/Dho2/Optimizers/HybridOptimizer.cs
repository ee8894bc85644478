using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Numerics;
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
/// alone, and only the gradient's norm is reduced over all of them. In host memory the subspace is read three times a
/// step with Adam or decoupled weight decay, and twice else, because the components of a linear base's step along it
/// follow a recursion; on other devices once more.
/// </para>
/// </remarks>
public sealed partial class HybridOptimizer : IDisposable
{
    // The one list of a state's numbers: what is saved is what is asked for again.
    private static readonly StateNumber[] StateNumbers =
    [
        new("base.steps", o => [o.firstOrder.Steps]),
        new("learning_rate", o => [o.LearningRate]),
        new("sigma", o => [o.Sigma]),
        new("refreshes", o => [o.refreshes]),
        new("curvature.eigenvalues", o => [.. o.Subspace!.Eigenvalues], OfSubspace: true),
        new("curvature.smallest", o => [o.Subspace!.Smallest], OfSubspace: true),
        new("curvature.magnitudes", o => o.magnitudes, OfSubspace: true),
        new("newton.coefficients", o => o.newton.Coefficients, OfSubspace: true),
        new("newton.rest_factor", o => [o.newton.RestFactor], OfSubspace: true),
        new("base.coefficients", o => o.momentumCoefficients, OfSubspace: true),
    ];

    private readonly ShardedSpace space;
    private readonly ShardedSpace model;
    private readonly HybridSettings settings;
    private readonly FlatBase firstOrder;
    private readonly NewtonPart newton;
    private readonly HostStep hostStep;
    private Tensor? direction;
    private double[] rates = [];
    private double[] magnitudes = [];
    private double[] gradientCoefficients = [];
    private double[] stepCoefficients = [];
    private double[] momentumCoefficients = [];
    private double sigma;
    private int refreshes;

    /// <summary>Creates an optimizer for this rank's shard, without curvature yet.</summary>
    /// <param name="space">The space of the subspace.</param>
    /// <param name="settings">The settings.</param>
    /// <param name="model">The space of the whole model, for the gradient's norm; by default <paramref name="space"/>.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    public HybridOptimizer(ShardedSpace space, HybridSettings settings, ShardedSpace? model = null)
    {
        settings.Validate();
        this.space = space;
        this.model = model ?? space;
        this.settings = settings;
        using Tensor like = space.Zeros();
        firstOrder = FlatBase.Create(settings.Base, like, settings.BaseSettings);
        hostStep = new HostStep(firstOrder, settings);
        newton = new NewtonPart(space, settings);
        sigma = settings.Sigma;
        LearningRate = settings.LearningRate;
    }

    /// <summary>The base's rate in the next step; at first the settings'.</summary>
    public double LearningRate { get; set; }

    /// <summary>The rate of the Newton part in the next step.</summary>
    public double Alpha => settings.Alpha * (settings.AlphaFollowsSchedule ? LearningRate / settings.LearningRate : 1);

    /// <summary>The weight of the proximal term, added to the magnitude of every eigenvalue.</summary>
    public double Sigma
    {
        get => sigma;
        set
        {
            Ranges.Require(value >= 0 && double.IsFinite(value), $"Sigma ({value}) must be a number of at least 0.");
            sigma = value;
            SetRates();
        }
    }

    /// <summary>The factor by which the base's step is raised, because what limited its rate is left to the Newton part.</summary>
    public double Scale { get; private set; } = 1;

    /// <summary>
    /// The weight of a proximal term beyond which steps of a linear base diverge outside the subspace: the inverse of
    /// its raised rate less the largest curvature left there, for which the smallest kept of the largest eigenvalues
    /// stands. Infinite for Adam, whose steps do not grow with the gradient, and before the first refresh.
    /// </summary>
    public double SigmaCeiling => firstOrder is MomentumBase && Subspace is { Largest: > 0 }
        ? (1 / (Scale * LearningRate)) - Math.Max(0, Subspace.Eigenvalues[Subspace.Smallest])
        : double.PositiveInfinity;

    /// <summary>The eigenpairs in force; null before the first refresh. They belong to the optimizer.</summary>
    public Subspace? Subspace { get; private set; }

    /// <summary>Whether passes over host memory are fused; by default they are.</summary>
    internal bool FusesPasses { get; init; } = true;

    /// <summary>The first-order optimizer.</summary>
    public FlatBase Base => firstOrder;

    /// <summary>Scales a gradient down to the settings' norm over the whole model, if it exceeds that.</summary>
    /// <param name="gradient">This rank's shard, shape (n_s); scaled in place.</param>
    /// <returns>The norm it had, the same on every rank.</returns>
    public double ClipGradient(Tensor gradient)
    {
        double norm = model.Norm(gradient);
        if (settings.MaxGradientNorm > 0 && norm > settings.MaxGradientNorm)
        {
            gradient.ScaleBy(settings.MaxGradientNorm / norm);
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
        if (FusesPasses && HostStep.Supports(Subspace?.Vectors, parameters, gradient))
        {
            StepInTiles(parameters, gradient);
        }
        else
        {
            StepByOperations(parameters, gradient);
        }
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

        if (settings.RandomDirections)
        {
            Subspace random = Subspace.Random(space, fresh.Eigenvalues, fresh.Smallest, settings.Seed, $"random directions/{refreshes}");
            fresh.Dispose();
            fresh = random;
        }

        ScalarType type = settings.VectorType ?? space.DType;
        if (fresh.Vectors.dtype != type)
        {
            Subspace converted = fresh.To(type);
            fresh.Dispose();
            fresh = converted;
        }

        SetMagnitudes(fresh);
        newton.Carry(Subspace?.Vectors, fresh.Vectors);
        Subspace?.Dispose();
        Subspace = fresh;
        refreshes++;
        SizeToSubspace();
        if (firstOrder is MomentumBase { Momentum: { } momentum })
        {
            space.Project(fresh.Vectors, momentum, momentumCoefficients);
        }
    }

    /// <summary>The state that a later run needs to go on exactly; its tensors are live, not copies.</summary>
    public OptimizerState GetState()
    {
        Dictionary<string, Tensor> vectors = firstOrder.Vectors.ToDictionary(v => "base." + v.Key, v => v.Value);
        if (Subspace is not null)
        {
            vectors["curvature.vectors"] = Subspace.Vectors;
        }

        if (newton.Rest is not null)
        {
            vectors["newton.rest"] = newton.Rest;
        }

        return new OptimizerState(vectors, StateNumbers.Where(n => Subspace is not null || !n.OfSubspace).ToDictionary(n => n.Name, n => n.Of(this)));
    }

    /// <summary>The names of a state's numbers.</summary>
    /// <param name="withSubspace">Whether eigenpairs are in force.</param>
    internal static IEnumerable<string> NumbersOfState(bool withSubspace) =>
        StateNumbers.Where(n => withSubspace || !n.OfSubspace).Select(n => n.Name);

    /// <summary>Goes on from a state that an optimizer with the same settings and shard had.</summary>
    /// <param name="state">The state; copied.</param>
    /// <exception cref="ArgumentException">An entry is missing or has another shape.</exception>
    public void SetState(OptimizerState state) => SetState(state, adopt: false);

    /// <summary>Goes on from a state, without a second copy of it where it may be taken over.</summary>
    /// <param name="state">The state.</param>
    /// <param name="adopt">
    /// Whether its eigenvectors and its rest belong to the optimizer from now on, and the base's vectors are the
    /// optimizer's own, already overwritten.
    /// </param>
    /// <exception cref="ArgumentException">An entry is missing or has another shape.</exception>
    internal void SetState(OptimizerState state, bool adopt)
    {
        foreach ((string name, Tensor vector) in firstOrder.Vectors)
        {
            Tensor given = state.Vector("base." + name, space.LocalSize);
            if (!ReferenceEquals(given, vector))
            {
                vector.copy_(given);
            }
        }

        firstOrder.Steps = (long)state.Number("base.steps");
        LearningRate = state.Number("learning_rate");
        refreshes = (int)state.Number("refreshes");
        Subspace?.Dispose();
        Subspace = null;
        newton.Rest?.Dispose();
        newton.Rest = null;
        if (state.Vectors.TryGetValue("curvature.vectors", out Tensor? vectors))
        {
            if (vectors.dim() != 2 || vectors.size(1) != space.LocalSize)
            {
                throw new ArgumentException(
                    $"'curvature.vectors' is of shape ({string.Join(", ", vectors.shape)}); rows of {space.LocalSize} elements are needed.");
            }

            Subspace = new Subspace(
                adopt ? vectors : vectors.clone().DetachFromDisposeScope(),
                state.Numbers["curvature.eigenvalues"],
                (int)state.Number("curvature.smallest"));
            magnitudes = [.. state.Numbers["curvature.magnitudes"]];
            SizeToSubspace();
            newton.Coefficients = [.. state.Numbers["newton.coefficients"]];
            newton.RestFactor = state.Number("newton.rest_factor");
            momentumCoefficients = [.. state.Numbers["base.coefficients"]];
        }

        if (state.Vectors.ContainsKey("newton.rest"))
        {
            Tensor rest = state.Vector("newton.rest", space.LocalSize);
            newton.Rest = adopt ? rest : rest.clone().DetachFromDisposeScope();
        }

        Sigma = state.Number("sigma");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        firstOrder.Dispose();
        newton.Dispose();
        direction?.Dispose();
        Subspace?.Dispose();
    }

    private void StepByOperations(Tensor parameters, Tensor gradient)
    {
        Tensor direction = this.direction ??= space.Zeros();
        direction.copy_(gradient);
        if (settings.L2 > 0)
        {
            direction.AddScaled(parameters, settings.L2);
        }

        if (Subspace is not null)
        {
            space.Project(Subspace.Vectors, direction, gradientCoefficients);
            Negate(gradientCoefficients, stepCoefficients);
            space.AddCombination(Subspace.Vectors, stepCoefficients, direction);
        }

        firstOrder.Apply(direction, LearningRate);
        if (settings.WeightDecay > 0)
        {
            direction.AddScaled(parameters, -LearningRate * settings.WeightDecay);
        }

        parameters.AddScaled(direction, Scale);
        if (Subspace is not null)
        {
            if (!TryPredictStep())
            {
                space.Project(Subspace.Vectors, direction, stepCoefficients);
            }

            CombineCorrection();
            space.AddCombination(Subspace.Vectors, stepCoefficients, parameters);
        }
    }

    private void StepInTiles(Tensor parameters, Tensor gradient)
    {
        if (Subspace is null)
        {
            hostStep.Update(null, parameters, gradient, [], LearningRate, Scale, []);
            return;
        }

        Tensor vectors = Subspace.Vectors;
        hostStep.Project(vectors, parameters, gradient, gradientCoefficients);
        space.AllReduce(gradientCoefficients);
        if (TryPredictStep())
        {
            CombineCorrection();
            hostStep.Update(vectors, parameters, gradient, gradientCoefficients, LearningRate, Scale, stepCoefficients);
            return;
        }

        direction ??= space.Zeros();
        hostStep.Prepare(vectors, parameters, gradient, direction, gradientCoefficients, LearningRate, stepCoefficients);
        space.AllReduce(stepCoefficients);
        CombineCorrection();
        hostStep.Finish(vectors, parameters, direction, Scale, stepCoefficients);
    }

    // The base step's components along the subspace, if they are known without looking: the gradient has none left, so
    // that a linear base's come from what its momentum held when the subspace was new.
    private bool TryPredictStep()
    {
        if (firstOrder is not MomentumBase linear || settings.WeightDecay > 0)
        {
            return false;
        }

        for (int i = 0; i < stepCoefficients.Length; i++)
        {
            momentumCoefficients[i] *= linear.Decay;
            stepCoefficients[i] = -LearningRate * linear.MomentumGain * momentumCoefficients[i];
        }

        return true;
    }

    // From the base step's components to what is added along the subspace: those taken away, and the Newton part.
    private void CombineCorrection()
    {
        newton.Accumulate(gradientCoefficients);
        double alpha = Alpha;
        for (int i = 0; i < stepCoefficients.Length; i++)
        {
            stepCoefficients[i] = -((Scale * stepCoefficients[i]) + (alpha * rates[i] * newton.Coefficients[i]));
        }
    }

    private void SizeToSubspace()
    {
        int count = Subspace!.Count;
        gradientCoefficients = new double[count];
        stepCoefficients = new double[count];
        momentumCoefficients = new double[count];
        SetRates();
    }

    private void SetMagnitudes(Subspace fresh)
    {
        double[] before = magnitudes;
        magnitudes = [.. fresh.Eigenvalues.Select(Math.Abs)];
        for (int i = 0; i < magnitudes.Length && before.Length == magnitudes.Length; i++)
        {
            magnitudes[i] = Math.Max(magnitudes[i], settings.EigenvalueRetention * before[i]);
        }
    }

    private void SetRates()
    {
        if (Subspace is null)
        {
            return;
        }

        double floor = settings.Floor * magnitudes.Max();
        rates = [.. Subspace.Eigenvalues.Zip(magnitudes, (value, magnitude) => RateOf(settings.Rates == NewtonRates.Magnitude
            ? Math.Max(magnitude, floor) + sigma
            : Math.Abs(value + sigma)))];
        Scale = Subspace.Largest == 0 || rates[^1] == 0 ? 1 : Math.Clamp(rates[Subspace.Smallest] / rates[^1], 1, settings.MaxScale);
    }

    // Where no curvature was found at all, as of a loss that has saturated, there is no Newton step to take.
    private static double RateOf(double curvature) => curvature > 0 && double.IsFinite(1 / curvature) ? 1 / curvature : 0;

    private static void Negate(double[] from, double[] to)
    {
        for (int i = 0; i < from.Length; i++)
        {
            to[i] = -from[i];
        }
    }

    /// <summary>One entry of a state's numbers.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="Of">Its present value.</param>
    /// <param name="OfSubspace">Whether it is there with eigenpairs in force only.</param>
    private sealed record StateNumber(string Name, Func<HybridOptimizer, double[]> Of, bool OfSubspace = false);
}
