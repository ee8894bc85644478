using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using Dho2.Communication;
using Dho2.Planning;
using Dho2.Records;

namespace Dho2;

/// <summary>
/// This process's part of a run's record: the manifest where rank 0 lives, a file for each rank, one trace. Where nothing can
/// be written any more, recording ends, and training does not.
/// </summary>
internal sealed class RunRecorder : IDisposable
{
    private const int TraceCapacity = 16384;

    // Native libraries allocate and start threads in the first steps.
    private const int WarmUp = 2;
    private const int MostEstimates = 2;

    private readonly TrainingSetup setup;
    private readonly IReadOnlyList<TrainingRank> ranks;
    private readonly CurvatureRanks? estimating;
    private readonly int firstRank;
    private readonly Action<RecordingFailed> failed;
    private readonly List<RankRecorder> recorders = [];
    private readonly List<TracedThread> threads = [];
    private readonly long firstStep;
    private readonly Lock tracing = new();
    private readonly DateTimeOffset origin = DateTimeOffset.UtcNow;
    private readonly long originTime = Stopwatch.GetTimestamp();
    private readonly List<long> estimates = [];
    private RecordingFailed? failure;
    private long tracedStep;
    private int ranksDone;

    /// <summary>Begins or goes on with a record.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="ranks">This process's ranks that train.</param>
    /// <param name="estimating">Its ranks that estimate curvature beside training; null for none.</param>
    /// <param name="transport">How ranks are connected.</param>
    /// <param name="memory">Resident memory since before they were built.</param>
    /// <param name="resumed">The checkpoint that the run goes on from; null for none.</param>
    /// <param name="failed">Is told once, if recording has to end.</param>
    /// <exception cref="IOException">The folder or a file in it cannot be made.</exception>
    public RunRecorder(
        TrainingSetup setup, IReadOnlyList<TrainingRank> ranks, CurvatureRanks? estimating, string transport, ResidentMemory memory, string? resumed, Action<RecordingFailed> failed)
    {
        this.setup = setup;
        this.ranks = ranks;
        this.estimating = estimating;
        this.failed = failed;
        Memory = memory;
        Resumed = resumed;
        firstStep = ranks.Count > 0 ? ranks[0].Steps + 1 : 0;
        firstRank = ranks.Select(rank => rank.WorldRank).Concat(estimating?.WorldRanks ?? []).Min();
        Directory.CreateDirectory(Options.Folder);
        if (ranks.Any(rank => rank.IsLeader))
        {
            RunManifest.RecordOf(setup, transport).Write(Options.Folder);
        }

        try
        {
            foreach (TrainingRank rank in ranks)
            {
                ActivityTrace? trace = NewTrace(rank.WorldRank, NameOf(rank));
                ActivityTrace? reductions = rank.ReducesBeside ? NewTrace(setup.Layout.Size + rank.WorldRank, $"rank {rank.WorldRank}: reduction of gradients") : null;
                recorders.Add(rank.Recorder = new RankRecorder(this, rank, trace, reductions));
                rank.Trace(trace, reductions);
            }

            estimating?.Trace(rank => NewTrace(rank, $"rank {rank}: curvature of stage {string.Join(" and ", setup.Layout.StagesAt(setup.Layout.PlaceOf(rank).Position))}"), MostEstimates);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What is recorded, and where.</summary>
    public RecordOptions Options => setup.Options.Record!;

    /// <summary>The plan's hash.</summary>
    public string PlanHash => setup.Plan.Hash;

    /// <summary>The checkpoint that the run goes on from; null for none.</summary>
    public string? Resumed { get; }

    /// <summary>The process's memory.</summary>
    public ResidentMemory Memory { get; }

    /// <summary>Whether recording has ended because nothing could be written any more.</summary>
    public bool HasFailed => Volatile.Read(ref failure) is not null;

    /// <summary>Whether a rank writes down what belongs to the process.</summary>
    public bool IsFirst(TrainingRank rank) => rank == ranks[0];

    /// <summary>Whether a step is traced; the same on all ranks.</summary>
    /// <param name="step">The step, counted from 1.</param>
    /// <param name="estimates">Whether a curvature estimate is due before it.</param>
    public bool IsTraced(long step, bool estimates)
    {
        long begin = firstStep + WarmUp;
        if (step < begin)
        {
            return false;
        }

        lock (tracing)
        {
            if (estimates && this.estimates.Count < MostEstimates && !this.estimates.Contains(step))
            {
                this.estimates.Add(step);
            }

            return step < begin + Options.TraceSteps || this.estimates.Exists(estimate => step >= estimate && step < estimate + Options.TraceSteps);
        }
    }

    /// <summary>Writes the trace once all ranks of the process have done a step that ends a stretch of traced ones.</summary>
    /// <param name="step">The step that the rank has done.</param>
    public void WriteTrace(long step)
    {
        if (HasFailed || IsTraced(step + 1, estimates: false))
        {
            return;
        }

        lock (tracing)
        {
            if (step != tracedStep)
            {
                (tracedStep, ranksDone) = (step, 0);
            }

            if (++ranksDone == ranks.Count)
            {
                WriteTrace();
            }
        }
    }

    /// <summary>Writes something; the first time that it cannot be written ends recording.</summary>
    /// <param name="path">The file.</param>
    /// <param name="write">Writes it.</param>
    public void Guard(string path, Action write)
    {
        try
        {
            write();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            var what = new RecordingFailed(path, error.Message);
            if (Interlocked.CompareExchange(ref failure, what, null) is null)
            {
                failed(what);
            }
        }
    }

    /// <summary>Ends the record, when no rank works any more.</summary>
    /// <param name="cause">What ended the run; null where nothing was wrong.</param>
    public void End(Exception? cause)
    {
        if (!HasFailed)
        {
            recorders.ForEach(recorder => recorder.End(cause?.Message));
        }

        if (!HasFailed && threads.Exists(thread => thread.Trace.Complete.Length > 0))
        {
            WriteTrace();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // A rank's notes belong to its world, which may outlive the trainer.
        foreach (TrainingRank rank in ranks)
        {
            rank.Trace(null, null);
        }

        recorders.ForEach(recorder => recorder.Dispose());
    }

    private ActivityTrace? NewTrace(int number, string name)
    {
        if (Options.TraceSteps == 0)
        {
            return null;
        }

        var trace = new ActivityTrace(TraceCapacity);
        threads.Add(new TracedThread(number, name, trace));
        return trace;
    }

    private void WriteTrace()
    {
        string path = Path.Combine(Options.Folder, ChromeTrace.NameOf(firstRank));
        var spans = new List<TraceSpan>();
        foreach (TracedThread thread in threads)
        {
            foreach (TracedState traced in thread.Trace.Complete)
            {
                spans.Add(new TraceSpan(
                    thread.Number,
                    traced.State.Doing,
                    TraceNames.CategoryOf(traced.State.Doing),
                    Stopwatch.GetElapsedTime(originTime, traced.Start).TotalNanoseconds / 1000,
                    Stopwatch.GetElapsedTime(traced.Start, traced.End).TotalNanoseconds / 1000,
                    traced.State.Stage,
                    traced.State.Step + 1,
                    traced.State.MicroBatch));
            }
        }

        var trace = new ChromeTrace(
            setup.Plan.Model,
            origin,
            threads.ToDictionary(thread => thread.Number, thread => thread.Name),
            spans,
            threads.Exists(thread => thread.Trace.IsFull));
        Guard(path, () => trace.Write(path));
    }

    private string NameOf(TrainingRank rank)
    {
        IReadOnlyList<int> stages = setup.Layout.StagesAt(rank.Stage);
        return $"rank {rank.WorldRank}: stage {string.Join(" and ", stages)}{(setup.Replicas > 1 ? $" of replica {rank.Replica}" : "")}";
    }

    /// <summary>A thread of this process whose work is traced.</summary>
    /// <param name="Number">Its number in the trace: its rank's, or, for a thread beside a rank, that and the size of the world.</param>
    /// <param name="Name">What it is called.</param>
    /// <param name="Trace">What it did.</param>
    private sealed record TracedThread(int Number, string Name, ActivityTrace Trace);
}
