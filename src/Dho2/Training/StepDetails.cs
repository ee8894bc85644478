namespace Dho2;

/// <summary>What one rank has sent in one training step, a curvature estimate before it included.</summary>
/// <param name="Rank">The rank of the world.</param>
/// <param name="Replica">Its replica.</param>
/// <param name="Stage">Its stage.</param>
/// <param name="Sent">Bytes, as its communicators counted them: payloads of messages, and of collectives what rings send.</param>
/// <param name="Predicted">Bytes that the plan predicts; null where a shape is not known, or an estimate is not predicted.</param>
public sealed record RankTraffic(int Rank, int Replica, int Stage, long Sent, long? Predicted);

/// <summary>One round of agreement between replicas under ADMM; the same on every rank.</summary>
/// <param name="PrimalResidual">The root of the summed squared distances of the replicas' parameters from the consensus (0 under the dual rule).</param>
/// <param name="DualResidual">The root of the number of replicas, times sigma, times how far the consensus has moved.</param>
/// <param name="Sigma">The weight of the proximal term from the next step on.</param>
/// <param name="SigmaCeiling">
/// The largest sigma at which local steps of a linear base still settle, as far as the curvature in force tells; infinite
/// where it tells nothing. A balanced sigma keeps below it, a constant one is the user's.
/// </param>
public sealed record AdmmRound(double PrimalResidual, double DualResidual, double Sigma, double SigmaCeiling);
