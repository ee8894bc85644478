using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Records;

namespace Dho2;

/// <summary>What one rank writes into the record of its run, on its own thread.</summary>
internal sealed class RankRecorder : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly RunRecorder run;
    private readonly TrainingRank rank;
    private readonly string path;
    private readonly RecordFile file;
    private readonly ActivityTrace? trace;
    private readonly ActivityTrace? reductions;
    private long start;
    private long lastFlush;
    private long lastStep = -1;
    private long sent;
    private long? predicted = 0;

    /// <summary>Opens the rank's file.</summary>
    /// <param name="run">The process's part of the record.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="trace">Keeps what it does; null for nothing of the kind.</param>
    /// <param name="reductions">Keeps what a thread beside it does, which is idle between steps; null where there is none.</param>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public RankRecorder(RunRecorder run, TrainingRank rank, ActivityTrace? trace, ActivityTrace? reductions)
    {
        this.run = run;
        this.rank = rank;
        this.trace = trace;
        this.reductions = reductions;
        path = Path.Combine(run.Options.Folder, RecordFile.NameOf(rank.WorldRank));
        file = RecordFile.Append(path);
        Start();
    }

    private double Time => Stopwatch.GetElapsedTime(start).TotalSeconds;

    /// <summary>A training step begins.</summary>
    /// <param name="estimates">Whether a curvature estimate is due before it.</param>
    public void BeginStep(bool estimates)
    {
        if (rank.Steps != lastStep)
        {
            // Another checkpoint was loaded meanwhile.
            Start();
        }

        if (trace is not null && !trace.IsFull && run.IsTraced(rank.Steps + 1, estimates))
        {
            trace.Begin();
            reductions?.Begin();
        }
    }

    /// <summary>A training step is complete.</summary>
    public void EndStep(StepResult result)
    {
        if (trace is { IsOn: true })
        {
            trace.End();
            reductions?.End();
            run.WriteTrace(result.Step);
        }

        lastStep = result.Step;
        if (result.Traffic is { } traffic)
        {
            sent += traffic.Sent;
            predicted += traffic.Predicted;
        }

        if (rank.IsLeader)
        {
            if (result.Step % run.Options.Every == 0)
            {
                Add(new StepEntry(result.Step, Time, rank.Epochs, result.Loss, result.GradientNorm, result.LearningRate, result.Samples));
            }

            if (result.Round is { } round)
            {
                Add(new RoundEntry(result.Step, Time, round.PrimalResidual, round.DualResidual, round.Sigma, round.SigmaCeiling));
            }
        }

        if (Stopwatch.GetElapsedTime(lastFlush) > Interval)
        {
            Flush();
        }
    }

    /// <summary>A curvature estimate has taken force; the leader writes it down.</summary>
    public void Add(CurvatureRefreshed refreshed)
    {
        CurvatureEstimate estimate = refreshed.Estimate;
        Add(new EstimateEntry(
            refreshed.Step,
            Time,
            refreshed.Stage,
            estimate.Outcome.ToString(),
            [.. estimate.Eigenvalues],
            [.. estimate.ResidualBounds],
            estimate.Products,
            estimate.Duration.TotalSeconds));
    }

    /// <summary>A trial of curvature is over; the leader writes it down.</summary>
    public void Add(CurvatureCompared compared) => Add(new TrialEntry(
        compared.FirstStep + compared.Steps - 1,
        Time,
        compared.Steps,
        compared.StepRatio,
        compared.CostRatio,
        compared.Verdict.ToString(),
        compared.Dropped));

    /// <summary>An epoch has ended.</summary>
    public void Add(int epoch, double loss, Evaluation? test)
    {
        if (rank.IsLeader)
        {
            Add(new EpochEntry(rank.Steps, Time, epoch, loss, test?.Loss, test?.Accuracy));
        }

        Flush();
    }

    /// <summary>The trainer ends.</summary>
    /// <param name="failure">What ended it; null where nothing was wrong.</param>
    public void End(string? failure)
    {
        Sample();
        Add(new EndEntry(rank.Steps, Time, failure));
        Write();
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    // It reaches the disk with the first step, when somebody can listen to what goes wrong.
    private void Start()
    {
        start = Stopwatch.GetTimestamp();
        lastFlush = 0;
        lastStep = rank.Steps;
        (sent, predicted) = (0, 0);
        Add(new StartEntry(rank.Steps, 0, DateTimeOffset.UtcNow, run.PlanHash, run.Resumed, Environment.ProcessId, Environment.MachineName));
    }

    private void Add(RecordEntry entry)
    {
        if (!run.HasFailed)
        {
            file.Add(entry);
        }
    }

    private void Flush()
    {
        if (!run.HasFailed)
        {
            Sample();
            Write();
        }
    }

    private void Sample()
    {
        ProcessMemory? memory = null;
        if (run.IsFirst(rank))
        {
            (long resident, long peak) = run.Memory.Sample();
            memory = new ProcessMemory(run.Memory.Baseline, resident, peak);
        }

        Add(new RankEntry(rank.Steps, Time, sent, predicted, rank.HeldBytes, memory));
    }

    private void Write()
    {
        lastFlush = Stopwatch.GetTimestamp();
        if (!run.HasFailed)
        {
            run.Guard(path, file.Flush);
        }
    }
}
