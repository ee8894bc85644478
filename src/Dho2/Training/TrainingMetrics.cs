using System.Collections.Generic;
using System.Diagnostics.Metrics;

namespace Dho2;

/// <summary>What steps come to, what they send, and how far replicas are apart, as .NET metrics of the meter <c>Dho2</c>.</summary>
internal static class TrainingMetrics
{
    private static readonly Meter Meter = new("Dho2");

    private static readonly Counter<long> Sent = Meter.CreateCounter<long>(
        "dho2.communication.sent", "By", "Bytes that a rank has sent in training steps and the estimates before them; by rank, replica and stage.");

    private static readonly Gauge<double> Loss = Meter.CreateGauge<double>(
        "dho2.training.loss", null, "The loss of the last step.");

    private static readonly Counter<long> Samples = Meter.CreateCounter<long>(
        "dho2.training.samples", "{sample}", "Samples that were trained on, of all replicas.");

    private static readonly Gauge<double> Idle = Meter.CreateGauge<double>(
        "dho2.training.idle", "1", "The share of the last step's forwards and backwards in which ranks waited for each other.");

    private static readonly Gauge<double> Primal = Meter.CreateGauge<double>(
        "dho2.admm.residual.primal", null, "How far the replicas were from the consensus at the last round.");

    private static readonly Gauge<double> Dual = Meter.CreateGauge<double>(
        "dho2.admm.residual.dual", null, "Sigma times how far the consensus moved in the last round, times the root of the number of replicas.");

    private static readonly Gauge<double> Sigma = Meter.CreateGauge<double>(
        "dho2.admm.sigma", null, "The weight of the proximal term.");

    /// <summary>Records a step: every rank what it has sent, one of them the rest.</summary>
    /// <param name="traffic">What the rank has sent.</param>
    /// <param name="round">The round that ended the step; null where none did.</param>
    /// <param name="loss">The step's loss.</param>
    /// <param name="samples">Its samples.</param>
    /// <param name="idle">The share of it in which ranks waited.</param>
    public static void RecordStep(RankTraffic traffic, AdmmRound? round, double loss, int samples, double idle)
    {
        if (Sent.Enabled)
        {
            Sent.Add(
                traffic.Sent,
                new KeyValuePair<string, object?>("rank", traffic.Rank),
                new KeyValuePair<string, object?>("replica", traffic.Replica),
                new KeyValuePair<string, object?>("stage", traffic.Stage));
        }

        if (traffic.Rank != 0)
        {
            return;
        }

        Loss.Record(loss);
        Samples.Add(samples);
        Idle.Record(idle);
        if (round is not null)
        {
            Primal.Record(round.PrimalResidual);
            Dual.Record(round.DualResidual);
            Sigma.Record(round.Sigma);
        }
    }
}
