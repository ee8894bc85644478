using System;
using System.Collections.Generic;
using Dho2.Communication;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Admm;

/// <summary>
/// The rule of the published DHO2 program (arXiv 2505.00982), for comparison: gradients are averaged in every step, and a
/// period ends with a step along the sum of all displacements so far. That is an extrapolation without damping: it
/// slows a run that converges.
/// </summary>
public abstract class DualUpdate : AdmmUpdate
{
    private readonly Dictionary<string, Tensor> vectors;

    /// <summary>Starts at the parameters, with a dual variable of 0.</summary>
    /// <param name="parameters">The stage's parameters, the same on all replicas, shape (n_s).</param>
    /// <param name="parameterCount">Their number as the code was generated for it.</param>
    /// <param name="period">Local steps between two rounds; at least 1.</param>
    /// <param name="sigma">The weight of the proximal term; above 0.</param>
    protected DualUpdate(Tensor parameters, long parameterCount, int period, double sigma)
        : base(parameters, parameterCount, period, sigma)
    {
        Anchor = CopyOf(parameters);
        Dual = ZerosLike(parameters);
        vectors = new Dictionary<string, Tensor> { ["anchor"] = Anchor, ["dual"] = Dual };
    }

    /// <inheritdoc/>
    public sealed override AdmmRule Rule => AdmmRule.Dual;

    /// <inheritdoc/>
    public sealed override bool AveragesGradients => true;

    /// <summary>The parameters at the period's start (theta_0), shape (n_s).</summary>
    public Tensor Anchor { get; }

    /// <summary>The dual variable (pi), shape (n_s).</summary>
    public Tensor Dual { get; }

    /// <inheritdoc/>
    public sealed override IReadOnlyDictionary<string, Tensor> Vectors => vectors;

    /// <inheritdoc/>
    public sealed override AdmmResiduals EndPeriod(Tensor parameters, Tensor scratch, ICommunicator replicas, ICommunicator? pipeline)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        Extrapolate(parameters);
        scratch.copy_(parameters).sub_(Anchor);
        Anchor.copy_(parameters);
        Span<double> square = stackalloc double[1];
        RowBlock.LocalDot(scratch, scratch, square);
        pipeline?.AllReduce(square);
        return new AdmmResiduals(0, Sigma * Math.Sqrt(square[0] * replicas.Size));
    }

    /// <summary>The step of the dual variable, and the parameters' step along it.</summary>
    /// <param name="theta">The parameters, the same on all replicas, shape (n_s).</param>
    protected abstract void Extrapolate(Tensor theta);
}

/// <summary>The dual rule with numbers from run time.</summary>
internal sealed class GeneralDualUpdate(Tensor parameters, int period, double sigma)
    : DualUpdate(parameters, parameters.NumberOfElements, period, sigma)
{
    public override void AddLocalTerm(Tensor gradient, Tensor parameters) => gradient.Increase(Dual);

    protected override void Extrapolate(Tensor theta)
    {
        Dual.AddScaled(theta, Sigma).AddScaled(Anchor, -Sigma);
        theta.AddScaled(Dual, 1 / Sigma);
    }
}
