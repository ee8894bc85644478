using Dho2.Admm;
using Dho2.Communication;
using TorchSharp;

namespace Dho2.Tests.Admm;

// What the generator emits for a stage: the numbers that are structure or attribute are constants, terms that vanish for
// them are not there at all, and what is left is the update as one would write it down. The base class keeps the state,
// measures the residuals and balances sigma; that is why Sigma is read where it may change, and a constant elsewhere.
// The tests next door hold these classes to the same reference trajectories as the general ones.

/// <summary>Consensus ADMM of a stage without over-relaxation: 18 parameters, a round every 8 steps, sigma 0.2.</summary>
internal sealed class Stage0Consensus(torch.Tensor parameters)
    : ConsensusUpdate(parameters, ParameterCount, PeriodLength, InitialSigma)
{
    private const long ParameterCount = 18;
    private const int PeriodLength = 8;
    private const double InitialSigma = 0.2;

    // g + sigma (theta - z + u)
    public override void AddLocalTerm(torch.Tensor gradient, torch.Tensor parameters)
    {
        AddScaled(gradient, parameters, Sigma);
        AddScaled(gradient, Consensus, -Sigma);
        AddScaled(gradient, ScaledDual, Sigma);
    }

    protected override void Agree(torch.Tensor theta, ICommunicator replicas)
    {
        // z = mean(theta + u)
        Increase(ScaledDual, theta);
        theta.copy_(ScaledDual);
        replicas.AllReduce(theta);
        DivideBy(theta, replicas.Size);

        // u = u + theta - z
        ScaledDual.sub_(theta);
    }
}

/// <summary>Consensus ADMM of a stage with over-relaxation 1.5: 18 parameters, a round every 8 steps, sigma 0.2.</summary>
internal sealed class Stage0RelaxedConsensus(torch.Tensor parameters)
    : ConsensusUpdate(parameters, ParameterCount, PeriodLength, InitialSigma)
{
    private const long ParameterCount = 18;
    private const int PeriodLength = 8;
    private const double InitialSigma = 0.2;

    public override double Relaxation => 1.5;

    // g + sigma (theta - z + u)
    public override void AddLocalTerm(torch.Tensor gradient, torch.Tensor parameters)
    {
        AddScaled(gradient, parameters, Sigma);
        AddScaled(gradient, Consensus, -Sigma);
        AddScaled(gradient, ScaledDual, Sigma);
    }

    protected override void Agree(torch.Tensor theta, ICommunicator replicas)
    {
        // th = 1.5 theta - 0.5 z
        ScaleBy(theta, 1.5);
        AddScaled(theta, Consensus, -0.5);

        // z = mean(th + u)
        Increase(ScaledDual, theta);
        theta.copy_(ScaledDual);
        replicas.AllReduce(theta);
        DivideBy(theta, replicas.Size);

        // u = u + th - z
        ScaledDual.sub_(theta);
    }
}

/// <summary>The dual rule of a stage: 18 parameters, a period of 10 steps, sigma 0.001.</summary>
internal sealed class Stage0Dual(torch.Tensor parameters)
    : DualUpdate(parameters, ParameterCount, PeriodLength, InitialSigma)
{
    private const long ParameterCount = 18;
    private const int PeriodLength = 10;
    private const double InitialSigma = 0.001;

    // g + pi
    public override void AddLocalTerm(torch.Tensor gradient, torch.Tensor parameters) => Increase(gradient, Dual);

    protected override void Extrapolate(torch.Tensor theta)
    {
        // pi = pi + sigma (theta - theta_0)
        AddScaled(Dual, theta, InitialSigma);
        AddScaled(Dual, Anchor, -InitialSigma);

        // theta = theta + pi / sigma
        AddScaled(theta, Dual, 1 / InitialSigma);
    }
}
