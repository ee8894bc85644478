using System;
using System.Collections.Generic;
using Dho2.Communication;
using Dho2.Numerics;
using static TorchSharp.torch;

namespace Dho2.Admm;

/// <summary>
/// What ties one stage's replicas together: a term in every local step, and a round of agreement after every
/// <see cref="Period"/> steps. The generator emits a subclass for each stage, with its numbers as constants.
/// </summary>
/// <remarks>
/// A training step of a replica is: the gradient (averaged over the replicas where <see cref="AveragesGradients"/>);
/// clipping; <see cref="AddLocalTerm"/>; the optimizer's step with <see cref="Sigma"/> in its rates. After each period's
/// last step comes <see cref="EndPeriod"/>; then the parameters are the next period's start, which is also what is
/// evaluated and saved, and where curvature is estimated anew if that is due.
/// </remarks>
public abstract class AdmmUpdate : IDisposable
{
    /// <summary>Checks the numbers.</summary>
    /// <param name="parameters">The stage's parameters, the same on all replicas, shape (n_s).</param>
    /// <param name="parameterCount">Their number as the code was generated for it.</param>
    /// <param name="period">Local steps between two rounds; at least 1.</param>
    /// <param name="sigma">The weight of the proximal term; above 0.</param>
    /// <exception cref="ArgumentException">A number is out of its range, or the parameters are not as many.</exception>
    protected AdmmUpdate(Tensor parameters, long parameterCount, int period, double sigma)
    {
        if (parameters.dim() != 1 || parameters.size(0) != parameterCount)
        {
            throw new ArgumentException(
                $"The stage's parameters have the shape ({string.Join(", ", parameters.shape)}); the update was made for {parameterCount} of them.",
                nameof(parameters));
        }

        if (period < 1 || !(sigma > 0) || !double.IsFinite(sigma))
        {
            throw new ArgumentException($"Period ({period}) must be at least 1 and sigma ({sigma}) above 0.");
        }

        Period = period;
        Sigma = sigma;
    }

    /// <summary>The update rule.</summary>
    public abstract AdmmRule Rule { get; }

    /// <summary>Local steps between two rounds (H).</summary>
    public int Period { get; }

    /// <summary>The weight of the proximal term, which the optimizer adds to the magnitude of every eigenvalue.</summary>
    public double Sigma { get; protected set; }

    /// <summary>Over-relaxation (a); 1 for none.</summary>
    public virtual double Relaxation => 1;

    /// <summary>Whether every step's gradient is averaged over the replicas before it is used.</summary>
    public abstract bool AveragesGradients { get; }

    /// <summary>Its vectors, by name: live, to be read or overwritten between steps; shape (n_s) each.</summary>
    public abstract IReadOnlyDictionary<string, Tensor> Vectors { get; }

    /// <summary>Its float64 numbers, by name: a copy.</summary>
    public virtual IReadOnlyDictionary<string, double> Numbers => new Dictionary<string, double> { ["sigma"] = Sigma };

    /// <summary>An update with numbers that are known only at run time; what is generated does the same with constants.</summary>
    /// <param name="rule">The rule.</param>
    /// <param name="parameters">The stage's parameters, the same on all replicas, shape (n_s).</param>
    /// <param name="period">Local steps between two rounds; at least 1.</param>
    /// <param name="sigma">The weight of the proximal term; above 0.</param>
    /// <param name="relaxation">Over-relaxation of the consensus rule, in (0, 2); the dual rule has none.</param>
    public static AdmmUpdate Create(AdmmRule rule, Tensor parameters, int period, double sigma, double relaxation = Defaults.AdmmRelaxation) => rule switch
    {
        AdmmRule.Consensus => new GeneralConsensusUpdate(parameters, period, sigma, relaxation),
        AdmmRule.Dual => new GeneralDualUpdate(parameters, period, sigma),
        _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, "Unknown rule."),
    };

    /// <summary>Adds the rule's term to a local gradient that was clipped already.</summary>
    /// <param name="gradient">The gradient, shape (n_s); changed in place.</param>
    /// <param name="parameters">The parameters it was taken at, shape (n_s).</param>
    public abstract void AddLocalTerm(Tensor gradient, Tensor parameters);

    /// <summary>Ends a period: the replicas agree, and the parameters become the next period's start. All replicas of all stages call it in step.</summary>
    /// <param name="parameters">This replica's parameters, shape (n_s); overwritten.</param>
    /// <param name="scratch">A vector that is free to be overwritten, such as the gradient's, shape (n_s).</param>
    /// <param name="replicas">The replicas of this stage.</param>
    /// <param name="pipeline">The stages of this replica, or null if there is one.</param>
    /// <returns>How far the replicas were apart, over all stages, the same on every rank.</returns>
    public abstract AdmmResiduals EndPeriod(Tensor parameters, Tensor scratch, ICommunicator replicas, ICommunicator? pipeline);

    /// <summary>Goes on from another update's <see cref="Numbers"/>; its <see cref="Vectors"/> are overwritten by the caller.</summary>
    /// <param name="numbers">The numbers.</param>
    public virtual void SetNumbers(IReadOnlyDictionary<string, double> numbers) => Sigma = numbers["sigma"];

    /// <summary>Remembers all numbers; the vectors are the caller's.</summary>
    /// <returns>Puts them back.</returns>
    internal virtual Action Remember()
    {
        IReadOnlyDictionary<string, double> numbers = Numbers;
        return () => SetNumbers(numbers);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor vector in Vectors.Values)
        {
            vector.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Multiplies in place; unlike TorchSharp's <c>mul_</c>, it keeps the number alive until it is read.</summary>
    /// <param name="vector">The vector.</param>
    /// <param name="factor">The number.</param>
    protected static void ScaleBy(Tensor vector, double factor) => vector.ScaleBy(factor);

    /// <summary>Divides in place; unlike TorchSharp's <c>div_</c>, it keeps the number alive until it is read.</summary>
    /// <param name="vector">The vector.</param>
    /// <param name="divisor">The number.</param>
    protected static void DivideBy(Tensor vector, double divisor) => vector.DivideBy(divisor);

    /// <summary>Adds in place; unlike TorchSharp's <c>add_</c>, it keeps the factor of 1, a number too, alive until it is read.</summary>
    /// <param name="vector">The vector that grows.</param>
    /// <param name="other">What is added, of the same shape.</param>
    protected static void Increase(Tensor vector, Tensor other) => vector.Increase(other);

    /// <summary>Adds a multiple in place; unlike TorchSharp's <c>add_</c>, it keeps the factor alive until it is read.</summary>
    /// <param name="vector">The vector that grows.</param>
    /// <param name="other">What is added, of the same shape.</param>
    /// <param name="factor">How often.</param>
    protected static void AddScaled(Tensor vector, Tensor other, double factor) => vector.AddScaled(other, factor);

    /// <summary>A vector of zeros that outlives every dispose scope.</summary>
    private protected static Tensor ZerosLike(Tensor like) => zeros_like(like, requires_grad: false).DetachFromDisposeScope();

    /// <summary>A copy that outlives every dispose scope.</summary>
    private protected static Tensor CopyOf(Tensor vector) => vector.detach().clone().DetachFromDisposeScope();
}

/// <summary>How far replicas were apart at the end of a period (Boyd et al. 2011, section 3.3.1), over all stages.</summary>
/// <param name="Primal">The root of the summed squared distances of the replicas' parameters from the consensus.</param>
/// <param name="Dual">The root of the number of replicas, times sigma, times how far the consensus has moved.</param>
public readonly record struct AdmmResiduals(double Primal, double Dual);
