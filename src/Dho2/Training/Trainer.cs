using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Runtime.ExceptionServices;
using Dho2.Checkpoints;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;

namespace Dho2;

/// <summary>
/// Trains a partitioned model over the ranks of a world: plans the run, builds each rank's stage on the rank's own thread,
/// and drives the ranks that live in this process.
/// </summary>
/// <remarks>
/// Events are raised on the thread of rank 0, between its instructions: handlers should be quick, and must not call the
/// trainer. An exception in a handler ends the run.
/// </remarks>
public sealed partial class Trainer : IDisposable
{
    private readonly TrainingSetup setup;
    private readonly RankThreads threads;
    private readonly TrainingRank[] ranks;
    private readonly CurvatureRanks? curvatureRanks;
    private readonly MathAttention? attention;
    private long stepsElsewhere;

    /// <summary>Plans a run and builds the stages of this process's ranks.</summary>
    /// <param name="definition">What the generator made of the model's class.</param>
    /// <param name="world">The world; the run takes as many of its ranks as its layout has.</param>
    /// <param name="options">The numbers; null for the defaults and the attributes'.</param>
    /// <exception cref="ArgumentException">The plan has errors; the message names them.</exception>
    /// <exception cref="InvalidOperationException">The ranks do not agree on the plan.</exception>
    public Trainer(PipelineDefinition definition, World world, TrainingOptions? options = null)
    {
        setup = new TrainingSetup(definition, options ?? new TrainingOptions()).FitTo(world.Size);
        memory = new ResidentMemory(settles: Options.Record is not null);
        IReadOnlyList<ICommunicator> communicators = world.Open(setup.Layout.Size);
        if (communicators.Any(rank => rank.Device.type == DeviceType.CUDA))
        {
            torch.backends.cuda.matmul.allow_tf32 = Options.AllowTensorFloat32;
            torch.backends.cudnn.allow_tf32 = Options.AllowTensorFloat32;
        }

        ThreadsPerRank = Options.ThreadsPerRank > 0
            ? Options.ThreadsPerRank
            : Math.Max(1, Environment.ProcessorCount / world.RanksOnThisMachine(communicators.Count));
        ICommunicator[] working = [.. communicators.Where(c => setup.Layout.PlaceOf(c.Rank).Role == RankRole.Worker)];
        if (setup.Layout.DedicatedCurvature)
        {
            // The kernel is a switch of the process: if it changed with every estimate beside training, so would training.
            attention = new MathAttention();
            curvatureRanks = working.Length == communicators.Count ? null
                : new CurvatureRanks(setup, [.. communicators.Except(working)], ThreadsPerRank);
        }

        threads = new RankThreads(working, ThreadsPerRank);
        ranks = new TrainingRank[working.Length];
        try
        {
            Run(i => ranks[i] = new TrainingRank(setup, working[i]));
            OpenTrials();
            OpenCheckpoints();
            OpenRecord(world.Transport);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Raised after every training step of <c>Fit</c>.</summary>
    public event Action<StepCompleted>? StepCompleted;

    /// <summary>Raised after every curvature estimate.</summary>
    public event Action<CurvatureRefreshed>? CurvatureRefreshed;

    /// <summary>Raised after every epoch of <c>Fit</c>.</summary>
    public event Action<EpochCompleted>? EpochCompleted;

    /// <summary>The plan that is executed.</summary>
    public Plan Plan => setup.Plan;

    /// <summary>The description that it was made from.</summary>
    public ModelDescription Description => setup.Description;

    /// <summary>The options.</summary>
    public TrainingOptions Options => setup.Options;

    /// <summary>Native threads that each rank uses within an operation: the options', or what follows from the processors.</summary>
    public int ThreadsPerRank { get; }

    /// <summary>What each rank of this process has sent in the last step, and what the plan predicts; empty before the first.</summary>
    public IReadOnlyList<RankTraffic> Traffic => [.. ranks.Select(rank => rank.Traffic).OfType<RankTraffic>()];

    /// <summary>Bytes of optimizer state and eigenvectors that each rank of this process holds.</summary>
    public IReadOnlyList<long> StateBytes =>
        [.. ranks.Select(rank => rank.Optimizer.GetState().Vectors.Values.Sum(vector => vector.numel() * vector.element_size()))];

    /// <summary>Training steps done so far.</summary>
    public long Steps => ranks.Length > 0 ? ranks[0].Steps : stepsElsewhere;

    /// <summary>The ranks of this process that train.</summary>
    internal IReadOnlyList<TrainingRank> Ranks => ranks;

    /// <summary>
    /// Trains for the options' number of epochs, and evaluates after each. With <see cref="TrainingOptions.Checkpoints"/>
    /// it goes on where an earlier process was in this call, and returns at once if that process had completed it.
    /// </summary>
    /// <param name="train">The training data.</param>
    /// <param name="test">The test data; null for none.</param>
    /// <exception cref="TrainingDivergedException">Loss or gradient is not finite.</exception>
    /// <exception cref="PipelineException">A rank failed; it names rank, stage, micro-batch and instruction.</exception>
    /// <exception cref="CheckpointException">A checkpoint could not be written, or is of another data set.</exception>
    public void Fit(IDataset train, IDataset? test = null) =>
        Fit(ReplicaData.Dealt(train, setup.Replicas, Plan.Options.Batch, Options.Seed), test);

    /// <summary>
    /// Trains where each replica has data of its own, as in federated settings. An epoch has as many steps as the largest
    /// data set; a replica whose own has ended goes on without samples.
    /// </summary>
    /// <param name="train">The training data of each replica; a process reads those of its own ranks, and the counts of all.</param>
    /// <param name="test">The test data; null for none.</param>
    /// <exception cref="ArgumentException">There are not as many data sets as replicas.</exception>
    /// <exception cref="TrainingDivergedException">Loss or gradient is not finite.</exception>
    /// <exception cref="PipelineException">A rank failed; it names rank, stage, micro-batch and instruction.</exception>
    /// <exception cref="CheckpointException">A checkpoint could not be written, or is of other data sets.</exception>
    public void Fit(IReadOnlyList<IDataset> train, IDataset? test = null) =>
        Fit(ReplicaData.Own(train, setup.Replicas, Plan.Options.Batch, Options.Seed), test);

    /// <summary>Computes loss and accuracy over a data set, outside training.</summary>
    /// <param name="data">The data; only the stages that need inputs or targets read them.</param>
    /// <exception cref="PipelineException">A rank failed; it names rank, stage, micro-batch and instruction.</exception>
    public Evaluation Evaluate(IDataset data)
    {
        var results = new Evaluation[ranks.Length];
        double[] numbers = Call(i =>
        {
            Evaluation result = results[i] = ranks[i].Evaluate(data);
            return [result.Loss, result.Accuracy ?? double.NaN, result.Samples];
        });
        return results.Length > 0 ? results[0] : new Evaluation(numbers[1], double.IsNaN(numbers[2]) ? null : numbers[2], (long)numbers[3]);
    }

    /// <summary>Trains on one batch.</summary>
    /// <param name="batch">The samples of all replicas, dealt out to them in equal runs; stays the caller's.</param>
    /// <exception cref="TrainingDivergedException">Loss or gradient is not finite.</exception>
    /// <exception cref="PipelineException">A rank failed; it names rank, stage, micro-batch and instruction.</exception>
    /// <remarks>
    /// A rank without others does the step on the calling thread, where that is the one that made the trainer, has the rank's
    /// number of native threads, and records gradients; ranks otherwise work on threads of their own.
    /// </remarks>
    public StepResult TrainStep(Batch batch)
    {
        int[] shares = [.. MicroBatches.Split(batch.Samples, setup.Replicas)];
        var results = new StepResult[ranks.Length];
        double[] numbers = Call(i =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            int replica = ranks[i].Replica;
            Batch share = replica < shares.Length
                ? batch.Narrow(shares[..replica].Sum(), shares[replica])
                : new Batch([], [], 0);
            ranks[i].BeginStep();
            Report(ranks[i], ranks[i].RefreshIfDue(share, draw: null));
            StepResult result = results[i] = ranks[i].Step(share, batch.Samples);
            return [result.Loss, result.GradientNorm, result.LearningRate];
        }, mayRunHere: true);
        return results.Length > 0 ? results[0] : new StepResult(Steps, numbers[1], numbers[2], numbers[3], batch.Samples);
    }

    /// <summary>
    /// Copies what the replicas have agreed on into a module with the same names, such as the unsplit model: parameters
    /// (under consensus ADMM, the consensus) and buffers, running statistics averaged over the replicas.
    /// </summary>
    /// <param name="model">The module; overwritten.</param>
    /// <exception cref="ArgumentException">A name or shape of the stages is not in the module.</exception>
    public void CopyTo(torch.nn.Module model)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        Dictionary<string, torch.Tensor> state = model.state_dict();
        if (MissingIn(state) is { } missing)
        {
            throw new ArgumentException($"The module has no {missing}.", nameof(model));
        }

        Run(i =>
        {
            using IDisposable agreed = ranks[i].EnterAgreed();
            using IDisposable noGradOnThread = torch.no_grad();
            foreach ((string name, torch.Tensor value) in ranks[i].Replica == 0 ? ranks[i].Flat.NamedValues() : [])
            {
                state[name].copy_(value);
            }
        });
    }

    /// <summary>Ends the ranks of this process and releases their memory, unless one of them hangs and may still use it.</summary>
    public void Dispose()
    {
        bool ended = threads.End();
        curvatureRanks?.End();
        if (ended)
        {
            CloseRecord();
            CloseCheckpoints();
            foreach (TrainingRank? rank in ranks)
            {
                rank?.Dispose();
            }
        }

        attention?.Dispose();
    }

    /// <summary>
    /// Runs the work of a call on every rank of this process. Ranks that estimate curvature beside training learn what it
    /// came to, but are not waited for.
    /// </summary>
    /// <param name="work">The work of a rank, and the numbers that the call came to on it.</param>
    /// <param name="mayRunHere">Whether a rank without others may do it on the calling thread.</param>
    /// <returns>In a process without other ranks, the steps done so far and the call's numbers; else nothing.</returns>
    private double[] Call(Func<int, double[]> work, bool mayRunHere = false)
    {
        curvatureRanks?.BeginCall();
        Run(
            i =>
            {
                double[] numbers = work(i);
                ranks[i].Curvature?.EndCall([ranks[i].Steps, .. numbers]);
            },
            mayRunHere);
        if (ranks.Length > 0)
        {
            curvatureRanks?.DropResults();
            return [];
        }

        double[] came = curvatureRanks!.Result();
        stepsElsewhere = (long)came[0];
        return came;
    }

    /// <summary>Runs work between two calls on every rank of this process that trains, each on its own thread.</summary>
    internal void OnRanks(Action<TrainingRank> work) => Run(i => work(ranks[i]));

    // A failure of a rank that estimates ends the others, but is what happened.
    private void Run(Action<int> work, bool mayRunHere = false)
    {
        try
        {
            threads.Run(work, mayRunHere);
        }
        catch (Exception e)
        {
            cause ??= e;
            if (curvatureRanks?.Failure is { } other && RankThreads.WasEndedByAnother(e))
            {
                cause = other;
                ExceptionDispatchInfo.Throw(other);
            }

            throw;
        }
    }

    private string? MissingIn(Dictionary<string, torch.Tensor> state) => ranks
        .Where(rank => rank.Replica == 0)
        .SelectMany(rank => rank.Flat.NamedValues())
        .Where(entry => !state.TryGetValue(entry.Name, out torch.Tensor? target) || !target.shape.SequenceEqual(entry.Value.shape))
        .Select(entry => $"'{entry.Name}' of shape ({string.Join(", ", entry.Value.shape)})")
        .FirstOrDefault();

    private void Fit(ReplicaData train, IDataset? test)
    {
        long start = Stopwatch.GetTimestamp();
        BeginProgress();
        try
        {
            Call(i =>
            {
                FitRank(i, train, test, start);
                return [];
            });
        }
        finally
        {
            line?.Clear();
        }
    }

    private void FitRank(int index, ReplicaData train, IDataset? test, long start)
    {
        TrainingRank rank = ranks[index];
        FitProgress fit = progress[index];
        if (!fit.Begin(train.Count, rank.Steps, Resumed?.Path))
        {
            return;
        }

        long totalSteps = rank.Steps + train.StepsFrom(fit.Dealt, fit.EpochSteps) + (train.StepsPerEpoch * (Options.Epochs - fit.EpochsDone - 1));
        long samples = 0, before = rank.Steps;
        RankTrial? trial = trials[index];
        trial?.BeginFit();
        while (fit.EpochsDone < Options.Epochs)
        {
            rank.Epochs += fit.Dealt == 0 ? 1 : 0;
            foreach (long[][] dealt in train.Epoch(rank.Epochs, fit.Dealt, fit.EpochSteps))
            {
                using DisposeScope scope = torch.NewDisposeScope();
                SetLearningRate(rank, fit, totalSteps);
                rank.BeginStep();
                IDataset own = train.Of(rank.Replica);
                Batch batch = rank.Read(own, dealt[rank.Replica]);
                IReadOnlyList<CurvatureRefreshed> refreshes = rank.RefreshIfDue(
                    batch, wanted => rank.Read(own, train.DrawForCurvature(rank.Replica, wanted, rank.Steps + 1)));
                Report(rank, refreshes);
                if (trial?.IsDue(refreshes, totalSteps - rank.Steps) == true)
                {
                    TryBaseAlone(index, trial, train, totalSteps);
                }

                StepResult result = rank.Step(batch, dealt.Sum(share => share.Length));
                fit.Add(result.Samples, result.Loss);
                samples += result.Samples;
                if (rank.IsLeader)
                {
                    ReportStep(result, before, totalSteps, rank.Epochs, samples, start);
                }

                if (trial?.AfterStep(result) is { } compared)
                {
                    Report(rank, compared);
                }

                checkpoints[index]?.AfterStep();
            }

            rank.EndEpoch(fit.LossSum / train.Count);
            Evaluation? evaluation = test is null ? null : rank.Evaluate(test);
            rank.Recorder?.Add(rank.Epochs, fit.LossSum / train.Count, evaluation);
            if (rank.IsLeader)
            {
                line?.Clear();
                EpochCompleted?.Invoke(new(rank.Epochs, fit.LossSum / train.Count, evaluation, Stopwatch.GetElapsedTime(start)));
            }

            fit.EndEpoch();
            checkpoints[index]?.AfterEpoch();
        }

        checkpoints[index]?.AfterFit();
    }

    private void SetLearningRate(TrainingRank rank, FitProgress fit, long totalSteps)
    {
        if (Options.LearningRateSchedule is null)
        {
            double progress = (double)(rank.Steps - fit.FirstStep) / (totalSteps - fit.FirstStep);
            rank.LearningRate = Options.LearningRate + (progress * ((Options.FinalLearningRate ?? Options.LearningRate) - Options.LearningRate));
        }
    }

    private void Report(TrainingRank rank, IReadOnlyList<CurvatureRefreshed> refreshes)
    {
        if (rank.IsLeader)
        {
            foreach (CurvatureRefreshed refreshed in refreshes)
            {
                CurvatureMetrics.Record(refreshed.Estimate, refreshed.Stage);
                rank.Recorder?.Add(refreshed);
                meter?.Add(refreshed);
                line?.Clear();
                CurvatureRefreshed?.Invoke(refreshed);
            }

            if (refreshes.Count > 0)
            {
                CurvatureMetrics.RecordCost(refreshes[0].CostFactor);
            }

            if (refreshes.Count > 0 && setup.Layout.DedicatedCurvature)
            {
                CurvatureMetrics.RecordWaiting(refreshes[0].Lateness, refreshes[0].DedicatedIdle);
            }
        }
    }
}
