using System;
using System.Diagnostics;
using System.Linq;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>Finding out whether curvature pays.</summary>
public sealed partial class Trainer
{
    private RankTrial?[] trials = [];

    /// <summary>
    /// Raised after a trial's last step with what it came to; see <see cref="TrainingOptions.CurvatureTrial"/>. Where nobody listens
    /// and <c>Fit</c> says how far it is, it says this too.
    /// </summary>
    public event Action<CurvatureCompared>? CurvatureCompared;

    private void OpenTrials() =>
        trials = [.. ranks.Select(rank => setup.Curvature is not null && Options.CurvatureTrial is not null ? new RankTrial(setup, rank) : null)];

    /// <summary>Trains the steps that come next with the base alone, and puts everything back.</summary>
    private void TryBaseAlone(int index, RankTrial trial, ReplicaData train, long totalSteps)
    {
        TrainingRank rank = ranks[index];
        using Activity? activity = Tracing.Source.StartActivity("curvature.trial");
        activity?.SetTag("stage", rank.Stage);
        long start = rank.Cost.Now;
        StepSeries series;
        using (rank.EnterTrial())
        {
            // Another rank of the process must neither draw from the generator before it is read, nor after that before it is put back.
            using torch.Tensor? random = index == 0 ? torch.Generator.Default.get_state() : null;
            rank.Workers.Barrier();
            series = TrainBaseAlone(rank, progress[index], trial.Steps, train, totalSteps);
            rank.Workers.Barrier();
            if (random is not null)
            {
                torch.Generator.Default.set_state(random);
            }

            rank.Workers.Barrier();
        }

        trial.Begin(series);
        rank.Cost.Exclude(rank.Cost.TimeSince(start));
    }

    // As FitRank does, but for all that others get to see.
    private StepSeries TrainBaseAlone(TrainingRank rank, FitProgress fit, int steps, ReplicaData train, long totalSteps)
    {
        var series = new StepSeries();
        (int epoch, long dealtBefore, long stepsBefore, double lossSum) = (rank.Epochs, fit.Dealt, fit.EpochSteps, fit.LossSum);
        while (true)
        {
            foreach (long[][] dealt in train.Epoch(epoch, dealtBefore, stepsBefore))
            {
                using DisposeScope scope = torch.NewDisposeScope();
                long start = rank.Cost.Now;
                SetLearningRate(rank, fit, totalSteps);
                Batch batch = rank.Read(train.Of(rank.Replica), dealt[rank.Replica]);
                int samples = dealt.Sum(share => share.Length);
                if (!rank.TryTrialStep(batch, samples, out double loss))
                {
                    return series;
                }

                series.Add(loss, rank.Cost.TimeSince(start));
                lossSum += loss * samples;
                if (series.Count == steps)
                {
                    return series;
                }
            }

            rank.EndEpoch(lossSum / train.Count);
            (epoch, dealtBefore, stepsBefore, lossSum) = (epoch + 1, 0, 0, 0);
        }
    }

    private void Report(TrainingRank rank, CurvatureCompared compared)
    {
        if (!rank.IsLeader)
        {
            return;
        }

        CurvatureMetrics.Record(compared);
        rank.Recorder?.Add(compared);
        meter?.Add(compared);
        line?.Clear();
        if (CurvatureCompared is { } listeners)
        {
            listeners(compared);
        }
        else
        {
            line?.Say(compared.ToText());
        }
    }
}
