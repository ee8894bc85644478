using System.Collections.Generic;

namespace Dho2.Planning;

/// <summary>Bytes that one rank sends in one training step, by what they are for; null where a shape is not known.</summary>
/// <param name="Cuts">Values that cross to neighbouring stages, and their gradients.</param>
/// <param name="Gradients">Reducing gradients over the replicas and, where they are sharded, gathering parameters.</param>
/// <param name="Round">A round of agreement under ADMM.</param>
/// <param name="Numbers">Losses, norms, counts and the projections onto the curvature's subspace.</param>
public sealed record StepTraffic(long? Cuts, long? Gradients, long? Round, long Numbers)
{
    /// <summary>Values of tied parameters, handed to the stages that mirror them, and their gradients, handed back.</summary>
    public long Ties { get; init; }

    /// <summary>All of them.</summary>
    public long? Total => SafeInteger.Add(SafeInteger.Add(Cuts, Gradients), SafeInteger.Add(Round, SafeInteger.Add(Numbers, Ties)));
}

/// <summary>What a step does, as far as its traffic depends on it.</summary>
/// <param name="Sizes">Samples in each of the replica's micro-batches.</param>
/// <param name="Pairs">Eigenpairs in force on the stage.</param>
/// <param name="EndsPeriod">Whether a round of agreement follows.</param>
/// <param name="CountsLoss">Whether the loss returns a count that divides it.</param>
/// <param name="DecaysWeights">Whether there is decoupled weight decay.</param>
public sealed record StepFacts(
    IReadOnlyList<int> Sizes, int Pairs = 0, bool EndsPeriod = false, bool CountsLoss = false, bool DecaysWeights = false);
