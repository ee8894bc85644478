using System;
using Dho2.Curvature;
using Dho2.Numerics;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>
/// The accumulated direction of the Newton part, kept as its coefficients in the subspace. What an earlier subspace left
/// outside the present one rests in one vector, which between refreshes only gains a factor per step, so that nothing is
/// lost when the subspace turns and nothing is read in between.
/// </summary>
internal sealed class NewtonPart : IDisposable
{
    private readonly ShardedSpace space;
    private readonly double gain;
    private readonly double factor;

    public NewtonPart(ShardedSpace space, HybridSettings settings)
    {
        this.space = space;
        double d = settings.Decay;
        NewtonMomentum momentum = settings.Momentum == NewtonMomentum.LikeBase ? LikeBase(settings.Base) : settings.Momentum;
        (gain, factor) = momentum switch
        {
            NewtonMomentum.None => (1, 0),
            NewtonMomentum.Sum => (1, d),
            NewtonMomentum.LookAhead => (1 + d, d * d),
            NewtonMomentum.Mean => (1 - d, d),
            _ => throw new ArgumentOutOfRangeException(nameof(settings), momentum, "Unknown momentum."),
        };
    }

    /// <summary>The coefficients (c_vel), one for each row of the subspace.</summary>
    public double[] Coefficients { get; set; } = [];

    /// <summary>What lies outside the subspace, up to <see cref="RestFactor"/>, shape (n_s); null while it is 0.</summary>
    public Tensor? Rest { get; set; }

    /// <summary>The factor that <see cref="Rest"/> has gained since it was written.</summary>
    public double RestFactor { get; set; } = 1;

    /// <summary>Takes in a gradient's coefficients.</summary>
    public void Accumulate(ReadOnlySpan<double> gradient)
    {
        for (int i = 0; i < Coefficients.Length; i++)
        {
            Coefficients[i] = gain * gradient[i] + factor * Coefficients[i];
        }

        RestFactor *= factor;
    }

    /// <summary>Expresses the direction in a new subspace, exactly.</summary>
    public void Carry(Tensor? oldVectors, Tensor newVectors)
    {
        double[] coefficients = new double[newVectors.size(0)];
        if (oldVectors is not null && factor > 0)
        {
            Rest ??= space.Zeros();
            Rest.ScaleBy(RestFactor);
            space.AddCombination(oldVectors, Coefficients, Rest);
            space.Project(newVectors, Rest, coefficients);
            space.AddCombination(newVectors, Array.ConvertAll(coefficients, c => -c), Rest);
            RestFactor = 1;
        }

        Coefficients = coefficients;
    }

    /// <summary>What the direction comes to in the end where the gradient is always the same, in gradients.</summary>
    public double StationaryGain => gain / (1 - factor);

    /// <summary>Adds the whole direction, what rests included, to a vector of shape (n_s).</summary>
    public void AddTo(Tensor vectors, Tensor sum)
    {
        space.AddCombination(vectors, Coefficients, sum);
        if (Rest is not null)
        {
            sum.AddScaled(Rest, RestFactor);
        }
    }

    /// <summary>Forgets the direction.</summary>
    public void Clear()
    {
        Rest?.Dispose();
        (Rest, RestFactor, Coefficients) = (null, 1, []);
    }

    public void Dispose() => Rest?.Dispose();

    private static NewtonMomentum LikeBase(BaseKind kind) => kind switch
    {
        BaseKind.Sgd => NewtonMomentum.None,
        BaseKind.HeavyBall => NewtonMomentum.Sum,
        BaseKind.Nesterov => NewtonMomentum.LookAhead,
        _ => NewtonMomentum.Mean,
    };
}
