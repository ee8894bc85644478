using System;
using System.Collections.Generic;
using Dho2.Communication;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Admm;

/// <summary>
/// Consensus ADMM with a scaled dual variable (Boyd et al. 2011, section 7.1): replicas train locally, drawn towards the
/// consensus, and talk once a period.
/// </summary>
public abstract class ConsensusUpdate : AdmmUpdate
{
    private readonly Dictionary<string, Tensor> vectors;
    private ResidualBalance? balance;

    /// <summary>Starts at the parameters, with a dual variable of 0.</summary>
    /// <param name="parameters">The stage's parameters, the same on all replicas, shape (n_s).</param>
    /// <param name="parameterCount">Their number as the code was generated for it.</param>
    /// <param name="period">Local steps between two rounds; at least 1.</param>
    /// <param name="sigma">The weight of the proximal term; above 0.</param>
    protected ConsensusUpdate(Tensor parameters, long parameterCount, int period, double sigma)
        : base(parameters, parameterCount, period, sigma)
    {
        Consensus = CopyOf(parameters);
        ScaledDual = ZerosLike(parameters);
        vectors = new Dictionary<string, Tensor> { ["consensus"] = Consensus, ["scaled_dual"] = ScaledDual };
    }

    /// <inheritdoc/>
    public sealed override AdmmRule Rule => AdmmRule.Consensus;

    /// <inheritdoc/>
    public sealed override bool AveragesGradients => false;

    /// <summary>The consensus variable (z), the same on all replicas, shape (n_s).</summary>
    public Tensor Consensus { get; }

    /// <summary>This replica's scaled dual variable (u), shape (n_s).</summary>
    public Tensor ScaledDual { get; }

    /// <inheritdoc/>
    public sealed override IReadOnlyDictionary<string, Tensor> Vectors => vectors;

    /// <inheritdoc/>
    public sealed override IReadOnlyDictionary<string, double> Numbers
    {
        get
        {
            Dictionary<string, double> numbers = new() { ["sigma"] = Sigma };
            balance?.Export(numbers);
            return numbers;
        }
    }

    /// <summary>Lets sigma follow the residuals from now on.</summary>
    /// <param name="settings">How; null for a constant sigma.</param>
    public void Balance(ResidualBalanceSettings? settings) => balance = settings is null ? null : new ResidualBalance(settings);

    /// <summary>
    /// The largest sigma at which local steps of a linear base still settle; a balanced sigma is not raised beyond it.
    /// </summary>
    public double SigmaCeiling { get; set; } = double.PositiveInfinity;

    /// <inheritdoc/>
    public sealed override void SetNumbers(IReadOnlyDictionary<string, double> numbers)
    {
        base.SetNumbers(numbers);
        balance?.Import(numbers);
    }

    internal sealed override Action Remember()
    {
        Action numbers = base.Remember();
        double ceiling = SigmaCeiling;
        return () =>
        {
            numbers();
            SigmaCeiling = ceiling;
        };
    }

    /// <inheritdoc/>
    public sealed override AdmmResiduals EndPeriod(Tensor parameters, Tensor scratch, ICommunicator replicas, ICommunicator? pipeline)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        scratch.copy_(parameters);
        Agree(parameters, replicas);
        scratch.sub_(parameters);
        Consensus.sub_(parameters);
        Span<double> squares = stackalloc double[2];
        RowBlock.LocalDot(scratch, scratch, squares[..1]);
        RowBlock.LocalDot(Consensus, Consensus, squares[1..]);
        Consensus.copy_(parameters);
        replicas.AllReduce(squares);
        pipeline?.AllReduce(squares);

        // The sum over the replicas has counted the one movement of the consensus as often as there are replicas.
        AdmmResiduals residuals = new(Math.Sqrt(squares[0]), Sigma * Math.Sqrt(squares[1]));
        if (balance?.Next(residuals, Sigma, SigmaCeiling) is { } sigma && sigma != Sigma)
        {
            ScaledDual.ScaleBy(Sigma / sigma);
            Sigma = sigma;
        }

        return residuals;
    }

    /// <summary>
    /// The round itself: from local parameters to the new consensus, and the step of the dual variable.
    /// <see cref="Consensus"/> still holds the old one and is not written.
    /// </summary>
    /// <param name="theta">This replica's parameters; overwritten with the new consensus, shape (n_s).</param>
    /// <param name="replicas">The replicas of this stage.</param>
    protected abstract void Agree(Tensor theta, ICommunicator replicas);
}

/// <summary>The consensus rule with numbers from run time.</summary>
internal sealed class GeneralConsensusUpdate : ConsensusUpdate
{
    public GeneralConsensusUpdate(Tensor parameters, int period, double sigma, double relaxation)
        : base(parameters, parameters.NumberOfElements, period, sigma)
    {
        if (!(relaxation is > 0 and < 2))
        {
            throw new ArgumentOutOfRangeException(nameof(relaxation), relaxation, "Over-relaxation lies between 0 and 2.");
        }

        Relaxation = relaxation;
    }

    public override double Relaxation { get; }

    public override void AddLocalTerm(Tensor gradient, Tensor parameters) =>
        gradient.AddScaled(parameters, Sigma).AddScaled(Consensus, -Sigma).AddScaled(ScaledDual, Sigma);

    protected override void Agree(Tensor theta, ICommunicator replicas)
    {
        if (Relaxation != 1)
        {
            theta.ScaleBy(Relaxation).AddScaled(Consensus, 1 - Relaxation);
        }

        ScaledDual.Increase(theta);
        theta.copy_(ScaledDual);
        replicas.AllReduce(theta);
        theta.DivideBy(replicas.Size);
        ScaledDual.sub_(theta);
    }
}
