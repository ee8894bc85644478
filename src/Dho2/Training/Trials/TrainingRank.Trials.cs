using System;
using System.Linq;
using Dho2.Communication;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>Training some steps without curvature, as if they had not been, and giving curvature up.</summary>
internal sealed partial class TrainingRank
{
    private const string DroppedName = "curvature.dropped";

    /// <summary>Whether a trial has shown that curvature does not pay, and it was dropped.</summary>
    public bool IsCurvatureDropped { get; private set; }

    /// <summary>
    /// Leaves the rank to the base optimizer alone until the result is disposed, which puts back all that a training step changes. All
    /// ranks do so in step, and train by <see cref="TryTrialStep"/> in between.
    /// </summary>
    public IDisposable EnterTrial() => new Trial(this);

    /// <summary>Trains on one batch, without telling anybody.</summary>
    /// <param name="batch">This replica's samples.</param>
    /// <param name="samples">Samples of all replicas.</param>
    /// <param name="loss">The loss before the update, the same on every rank.</param>
    /// <returns>False where loss or gradient is not finite, on all ranks alike; nothing was updated then.</returns>
    public bool TryTrialStep(Batch batch, int samples, out double loss)
    {
        try
        {
            loss = Train(batch, samples, MicroBatchesOf(batch.Samples)).Loss;
        }
        catch (TrainingDivergedException)
        {
            loss = double.NaN;
            return false;
        }

        AdvancePerStep(loss);
        return true;
    }

    /// <summary>What the leader says, which may depend on its clock, on every rank.</summary>
    public bool LeaderSays(bool what)
    {
        Span<double> said = [IsLeader && what ? 1 : 0];
        long before = BytesSent;
        workers.AllReduce(said, Reduction.Max);
        reportedBytes += BytesSent - before;
        return said[0] > 0;
    }

    /// <summary>Goes on with the base optimizer alone: no estimates, and no Newton part, from here on.</summary>
    public void DropCurvature()
    {
        IsCurvatureDropped = true;
        curvature?.Cancel();
        optimizer.DropSubspace();
    }

    /// <summary>What is put back after a trial.</summary>
    private sealed class Trial : IDisposable
    {
        private readonly TrainingRank rank;
        private readonly IDisposable optimizer;
        private readonly (torch.Tensor Live, torch.Tensor Copy)[] tensors;
        private readonly Action restoreAdmm;
        private readonly RateSchedule? schedule;
        private readonly ActivityTrace? trace;
        private readonly ActivityTrace? reductions;
        private readonly long steps;
        private readonly long unreported;
        private readonly double idle;

        public Trial(TrainingRank rank)
        {
            using IDisposable noGrad = torch.no_grad();
            this.rank = rank;
            (steps, unreported, idle, schedule) = (rank.Steps, rank.BytesSent - rank.reportedBytes, rank.Idle, rank.schedule);
            tensors =
            [
                .. new[] { rank.flat.PaddedValues }
                    .Concat(rank.flat.Buffers.Select(b => b.Buffer))
                    .Concat(rank.agreed.RoundBuffers)
                    .Concat(rank.admm?.Vectors.Values ?? [])
                    .Select(live => (live, live.detach().clone().DetachFromDisposeScope())),
            ];
            restoreAdmm = rank.admm?.Remember() ?? (() => { });
            optimizer = rank.optimizer.EnterBaseAlone();
            rank.schedule = schedule?.Copy();

            // The trace of a step shows the trial as one thing that the rank did.
            rank.Note(TraceNames.Trial);
            (trace, reductions) = (rank.grid.World.Activity.Trace, rank.reducer?.Trace);
            rank.Trace(null, null);
        }

        public void Dispose()
        {
            using IDisposable noGrad = torch.no_grad();
            rank.Trace(trace, reductions);
            foreach ((torch.Tensor live, torch.Tensor copy) in tensors)
            {
                live.copy_(copy);
                copy.Dispose();
            }

            restoreAdmm();
            optimizer.Dispose();
            rank.schedule?.Dispose();
            (rank.Steps, rank.Idle, rank.schedule) = (steps, idle, schedule);
            rank.reportedBytes = rank.BytesSent - unreported;
        }
    }
}
