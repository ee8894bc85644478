using System.Collections.Generic;
using System.Diagnostics.Metrics;

namespace Dho2;

/// <summary>What steps send and how far replicas are apart, as .NET metrics of the meter <c>Dho2</c>.</summary>
internal static class TrainingMetrics
{
    private static readonly Meter Meter = new("Dho2");

    private static readonly Counter<long> Sent = Meter.CreateCounter<long>(
        "dho2.communication.sent", "By", "Bytes that a rank has sent in training steps and the estimates before them; by rank, replica and position.");

    private static readonly Gauge<double> Primal = Meter.CreateGauge<double>(
        "dho2.admm.residual.primal", null, "How far the replicas were from the consensus at the last round.");

    private static readonly Gauge<double> Dual = Meter.CreateGauge<double>(
        "dho2.admm.residual.dual", null, "Sigma times how far the consensus moved in the last round, times the root of the number of replicas.");

    private static readonly Gauge<double> Sigma = Meter.CreateGauge<double>(
        "dho2.admm.sigma", null, "The weight of the proximal term.");

    /// <summary>Records a step: every rank what it has sent, one of them the round.</summary>
    public static void RecordStep(RankGrid grid, long sent, AdmmRound? round)
    {
        if (Sent.Enabled)
        {
            Sent.Add(
                sent,
                new KeyValuePair<string, object?>("rank", grid.World.Rank),
                new KeyValuePair<string, object?>("replica", grid.Place.Replica),
                new KeyValuePair<string, object?>("position", grid.Place.Position));
        }

        if (round is not null && grid.World.Rank == 0)
        {
            Primal.Record(round.PrimalResidual);
            Dual.Record(round.DualResidual);
            Sigma.Record(round.Sigma);
        }
    }
}
