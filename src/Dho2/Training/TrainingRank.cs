using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Admm;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Data;
using Dho2.Numerics;
using Dho2.Optimizers;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;

namespace Dho2;

/// <summary>
/// One rank of a run: one stage of one replica, with its parameters, optimizer and connections. Ranks are numbered replica
/// by replica, stages within. All its methods run on the rank's own thread, on all ranks in step.
/// </summary>
internal sealed partial class TrainingRank : IDisposable
{
    private readonly TrainingSetup setup;
    private readonly RankGrid grid;
    private readonly ICommunicator workers;
    private readonly ICommunicator pipeline;
    private readonly ICommunicator replicas;
    private readonly IPipelineStage[] stages;
    private readonly PipelineExecutor executor;
    private readonly FlatParameters flat;
    private readonly HybridOptimizer optimizer;
    private readonly AdmmUpdate? admm;
    private readonly CurvatureWork? curvature;
    private readonly AgreedState agreed;
    private readonly ParameterShard? shard;
    private readonly GradientReducer? reducer;
    private readonly TrafficForecast forecast;
    private RateSchedule? schedule;
    private long reportedBytes;

    /// <summary>Builds the rank's stage. All ranks of the world do so in step.</summary>
    /// <exception cref="InvalidOperationException">The ranks have different plans, or the stage is not what its plan says.</exception>
    public TrainingRank(TrainingSetup setup, ICommunicator world)
    {
        this.setup = setup;
        Cost = new CurvatureCost(setup.Options.Clock);
        ComparePlans(setup, world);
        grid = new RankGrid(setup.Layout, world);
        Replica = grid.Place.Replica;
        Stage = grid.Place.Position;
        workers = grid.Peers;
        pipeline = grid.Pipeline;
        replicas = grid.Replicas;

        var context = new StageContext(setup.Options.Seed) { DType = setup.ComputeType, MasterType = setup.DType, Device = world.Device };
        stages = [.. setup.Layout.StagesAt(Stage).Select(stage => setup.Definition.Stages[stage](context))];
        flat = new FlatParameters(
            [.. stages.SelectMany(stage => stage.Layers)], context, [.. stages.SelectMany(stage => stage.Mirrors)],
            setup.Plan.IsSharded ? setup.Replicas : 1);
        CompareParameters();
        executor = new PipelineExecutor(stages, context, pipeline, setup.Plan.Cuts, setup.Definition.Loss)
        {
            WorldRank = world.Rank,
            CountedLoss = setup.Definition.CountedLoss,
            GradientsAdded = flat.CollectGradients,
            Recomputed = [.. stages.Select(stage => RecomputedStage.Of(setup.Plan, setup.Description, stage.Index)).OfType<RecomputedStage>()],
            Ties = setup.Layout.Chunks == 1 ? new StageTies(stages[0], flat, setup.Definition.Ties, pipeline) : null,
        };

        shard = setup.Plan.IsSharded ? new ParameterShard(flat, replicas) : null;
        reducer = CreateReducer();
        IReadOnlyList<ParameterSegment> segments = shard?.Segments ?? [.. flat.Segments.Select(s => new ParameterSegment(s.Name, s.Offset, s.Length))];
        var model = new ShardedSpace(segments, shard is null ? pipeline : workers, setup.DType, context.Device);
        ShardedSpace space = setup.Curvature?.Scope == CurvatureScope.Stage ? new ShardedSpace(segments, shard is null ? null : replicas, setup.DType, context.Device) : model;
        forecast = new TrafficForecast(setup, grid, Stage, space);
        optimizer = new HybridOptimizer(space, setup.HybridSettings, model);
        curvature = setup.Curvature is null ? null : CurvatureWork.Create(setup, grid, space, optimizer, shard, forecast);
        admm = setup.Admm is { } rule ? CreateAdmm(rule) : null;
        agreed = new AgreedState(flat, replicas, admm as ConsensusUpdate);
        schedule = setup.Options.LearningRateSchedule is { } create ? new RateSchedule(create, setup.Options.LearningRate) : null;
        LearningRate = schedule?.Rate ?? LearningRate;
        reportedBytes = BytesSent;
    }

    /// <summary>The replica, counted from 0.</summary>
    public int Replica { get; }

    /// <summary>The place in the pipeline, counted from 0: the stage, or the first of several.</summary>
    public int Stage { get; }

    /// <summary>Whether this rank reports for all.</summary>
    public bool IsLeader => grid.World.Rank == 0;

    /// <summary>Steps done so far.</summary>
    public long Steps { get; private set; }

    /// <summary>The base optimizer's rate in the next step.</summary>
    public double LearningRate
    {
        get => optimizer.LearningRate;
        set => optimizer.LearningRate = value;
    }

    /// <summary>Passes over the training data begun so far.</summary>
    public int Epochs { get; set; }

    /// <summary>The parameters, their gradients and the buffers of the rank's stage.</summary>
    public FlatParameters Flat => flat;

    /// <summary>Bytes that this rank has sent so far.</summary>
    public long BytesSent => grid.BytesSent + (reducer?.BytesSent ?? 0);

    /// <summary>What was sent in the last step, and what the plan said; null before the first.</summary>
    public RankTraffic? Traffic { get; private set; }

    /// <summary>
    /// The share of the last step's forwards and backwards in which the ranks that train stood idle, by this rank's clock: of use
    /// on the first stage, whose backward ends last.
    /// </summary>
    public double Idle { get; private set; }

    /// <summary>Puts what the replicas have agreed on in place of what this rank trains, until the result is disposed.</summary>
    public IDisposable EnterAgreed() => agreed.Enter();

    /// <summary>Ends an epoch of <c>Fit</c>.</summary>
    /// <param name="loss">Its training loss, the same on every rank.</param>
    public void EndEpoch(double loss)
    {
        if (setup.Options.ScheduleUnit == ScheduleUnit.Epoch)
        {
            Advance(loss);
        }
    }

    /// <summary>This rank of the world.</summary>
    public int WorldRank => grid.World.Rank;

    /// <summary>Writes down what the rank comes to; null where nothing is recorded.</summary>
    public RankRecorder? Recorder { get; set; }

    /// <summary>Bytes of the tensors that last from step to step: parameters, gradients, buffers, and the state of optimizer, curvature and ADMM.</summary>
    public long HeldBytes =>
        BytesOf(flat.PaddedGradients) + BytesOf(flat.Values)
        + flat.Buffers.Sum(b => BytesOf(b.Buffer))
        + optimizer.GetState().Vectors.Values.Sum(BytesOf)
        + admm switch
        {
            ConsensusUpdate consensus => BytesOf(consensus.Consensus) + BytesOf(consensus.ScaledDual),
            DualUpdate dual => BytesOf(dual.Anchor) + BytesOf(dual.Dual),
            _ => 0,
        };

    /// <summary>Keeps what the rank does, while it is asked to.</summary>
    /// <param name="trace">Takes it; null for nothing of the kind.</param>
    /// <param name="reductions">Takes what the thread does that reduces gradients beside it.</param>
    public void Trace(ActivityTrace? trace, ActivityTrace? reductions)
    {
        grid.World.Activity.Trace = trace;
        if (reducer is not null)
        {
            reducer.Trace = reductions;
        }
    }

    /// <summary>Whether a thread beside the rank's own reduces its gradients.</summary>
    public bool ReducesBeside => reducer is not null;

    /// <summary>Begins a training step, before its samples are read.</summary>
    public void BeginStep()
    {
        Cost.BeginStep();
        Recorder?.BeginStep(
            curvature is not null && !IsCurvatureDropped && (admm is null || Steps % admm.Period == 0)
            && (setup.IsRefreshDue(Steps + 1) || curvature is { IsDue: true, IsBusy: false }));
    }

    /// <summary>What curvature costs in time.</summary>
    public CurvatureCost Cost { get; }

    /// <summary>The optimizer of the rank's parameters, or of its share of them.</summary>
    public HybridOptimizer Optimizer => optimizer;

    /// <summary>This rank's part in estimating curvature; null where there is none.</summary>
    public CurvatureWork? Curvature => curvature;

    /// <summary>Reads what this rank's stage needs of some samples; the tensors belong to the current scope.</summary>
    public Batch Read(IDataset data, long[] indices)
    {
        Note(TraceNames.ReadingData);
        return new(
            executor.IsFirst && indices.Length > 0 ? ToDevice(data.Inputs(indices)) : [],
            executor.IsLast && indices.Length > 0 ? ToDevice(data.Targets(indices)) : [],
            indices.Length);
    }

    // On the CPU nothing is copied. What a copy is made of belongs to the same scope as the copy.
    private torch.Tensor[] ToDevice(IEnumerable<torch.Tensor> tensors) => [.. tensors.Select(tensor => tensor.to(grid.World.Device))];

    /// <summary>
    /// Puts into force what was found of the curvature, and starts an estimate, if that is due before the next step. Under
    /// consensus ADMM an estimate waits for the replicas to stand at the consensus, and everywhere for the one before it.
    /// </summary>
    /// <param name="batch">This replica's samples of the next step.</param>
    /// <param name="draw">Draws so many samples for this replica where more are wanted than the step has; null to do with the step's.</param>
    /// <returns>What has taken force, or nothing.</returns>
    public IReadOnlyList<CurvatureRefreshed> RefreshIfDue(Batch batch, Func<int, Batch>? draw)
    {
        if (curvature is null || IsCurvatureDropped)
        {
            return [];
        }

        long start = Cost.Now;
        curvature.IsDue |= setup.IsRefreshDue(Steps + 1);
        IReadOnlyList<CurvatureRefreshed> found = TakeEffect(curvature);
        if (curvature.IsDue && !curvature.IsBusy && (admm is null || Steps % admm.Period == 0))
        {
            StartEstimate(curvature, batch, draw);
            found = [.. found, .. TakeEffect(curvature)];
        }

        Cost.Estimated(start, found.Count > 0);
        return found.Count == 0 ? found : [.. found.Select(refreshed => refreshed with { CostFactor = Cost.Factor })];
    }

    private IReadOnlyList<CurvatureRefreshed> TakeEffect(CurvatureWork work)
    {
        if (setup.Layout.DedicatedCurvature && work.IsBusy)
        {
            Note(TraceNames.AwaitingEstimate);
        }

        // Carrying the momentum over to new eigenvectors takes projections.
        using IDisposable counting = forecast.Estimating();
        return work.TakeEffect(Steps + 1);
    }

    private void StartEstimate(CurvatureWork work, Batch batch, Func<int, Batch>? draw)
    {
        Note(TraceNames.Estimate);
        using DisposeScope scope = torch.NewDisposeScope();
        int wanted = setup.Curvature!.Batch;
        Batch chosen = wanted == 0 || wanted == batch.Samples ? batch
            : wanted < batch.Samples ? batch.Narrow(0, wanted)
            : draw?.Invoke(wanted) ?? batch;
        if (setup.ComputeType != setup.DType)
        {
            // Products compute in the type of the parameters, whatever the data set gives.
            chosen = new(
                [.. chosen.Inputs.Select(input => input.is_floating_point() ? input.to_type(setup.DType) : input)], chosen.Targets, chosen.Samples);
        }

        bool shared = !setup.HasLocalCurvature;
        Span<double> total = [chosen.Samples];
        if (shared)
        {
            replicas.AllReduce(total);
        }

        forecast.BeginEstimate(MicroBatchesOf(chosen.Samples), shared);
        work.Start(
            flat,
            new CurvatureBatch(
                chosen, MicroBatchesOf(chosen.Samples), Steps, (long)total[0], Replica * setup.Plan.MicroBatches.Count, shared && setup.Replicas > 1 ? replicas : null),
            Steps + 1);
    }

    /// <summary>Trains on one batch.</summary>
    /// <param name="batch">This replica's samples; may be empty where a last batch does not reach round.</param>
    /// <param name="samples">Samples of all replicas.</param>
    /// <exception cref="TrainingDivergedException">Loss or gradient is not finite.</exception>
    public StepResult Step(Batch batch, int samples)
    {
        using Activity? activity = Tracing.Source.StartActivity("training.step");
        activity?.SetTag("stage", Stage);
        int[] sizes = MicroBatchesOf(batch.Samples);
        int pairs = optimizer.Subspace?.Count ?? 0;
        (double loss, double norm, AdmmRound? round) = Train(batch, samples, sizes);
        long sent = BytesSent - reportedBytes;
        reportedBytes += sent;
        Traffic = new RankTraffic(grid.World.Rank, Replica, Stage, sent, forecast.Step(sizes, pairs, round is not null));
        TrainingMetrics.RecordStep(Traffic, round, loss, samples, Idle);
        var result = new StepResult(Steps, loss, norm, optimizer.LearningRate, samples) { Traffic = Traffic, Round = round };
        AdvancePerStep(loss);
        if (curvature is not null)
        {
            long start = Cost.Now;
            curvature.AfterStep();
            Cost.Estimated(start);
        }

        Cost.EndStep();
        Recorder?.EndStep(result);
        return result;
    }

    /// <summary>A step itself: gradients, update, and the round that may end it.</summary>
    /// <returns>Loss and norm of the gradient before the update, the same on every rank, and the round.</returns>
    private (double Loss, double Norm, AdmmRound? Round) Train(Batch batch, int samples, int[] sizes)
    {
        bool local = admm is { AveragesGradients: false };
        double share = (double)batch.Samples / samples;
        flat.PublishValues();
        flat.PaddedGradients.zero_();
        reducer?.BeginStep(Stage, Steps);
        long begin = Stopwatch.GetTimestamp();
        TimeSpan waited = executor.Waited;
        double loss = executor.Train(
            setup.Instructions(Stage, sizes.Length),
            batch,
            sizes,
            Steps,
            local ? batch.Samples : samples,
            Replica * setup.Plan.MicroBatches.Count);
        double duration = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        double busy = duration - (executor.Waited - waited).TotalSeconds;
        Note(TraceNames.GradientReduction);
        torch.Tensor gradient = ReduceGradients(local);

        double count = batch.Samples;
        if (setup.Definition.CountedLoss is not null)
        {
            count = DivideByCount(gradient, ref loss, local, local ? batch.Samples : samples);
        }

        Note(TraceNames.NormAndLoss);

        // Local losses and gradients are means over the replica's own samples, or over what its loss counts.
        double norm = optimizer.ClipGradient(gradient);
        Span<double> sums = [local ? count * loss : loss, executor.IsLast ? share * norm : 0, executor.IsLast ? count : 0, busy];
        workers.AllReduce(sums);

        // All began together, and the first stage's rank, which leads, ends last.
        Idle = duration > 0 ? Math.Clamp(1 - (sums[3] / (workers.Size * duration)), 0, 1) : 0;
        sums[0] = !local ? sums[0] : sums[2] > 0 ? sums[0] / sums[2] : 0;
        RequireFinite("loss", sums[0]);
        RequireFinite("norm of the gradient", sums[1]);

        if (admm is not null)
        {
            using IDisposable noGrad = torch.no_grad();
            admm.AddLocalTerm(gradient, flat.Values);
        }

        Note(TraceNames.OptimizerStep);
        long start = Cost.Now;
        optimizer.Step(shard?.Values ?? flat.Values, gradient);
        Cost.Updated(start, optimizer.Subspace is not null);
        if (shard is not null)
        {
            Note(TraceNames.Gathering);
            shard.GatherValues();
        }

        Steps++;
        return (sums[0], sums[1], admm is not null && Steps % admm.Period == 0 ? EndPeriod(admm) : null);
    }

    /// <summary>Adds up loss and hits over a data set, dealt out over the replicas.</summary>
    public Evaluation Evaluate(IDataset data)
    {
        using DisposeScope outer = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();

        // Between two rounds a replica stands elsewhere than what all have agreed on.
        using IDisposable state = EnterAgreed();
        flat.PublishValues();
        var sums = new EvaluationSums();
        var sampler = new EpochSampler(data.Count, setup.Plan.Options.Batch, setup.Replicas, seed: 0);
        foreach (long[][] dealt in sampler.InOrder())
        {
            using DisposeScope scope = torch.NewDisposeScope();
            Batch batch = Read(data, dealt[Replica]);
            executor.Evaluate(batch, MicroBatchesOf(batch.Samples), sums.Add);
            curvature?.KeepAlive();

            // Keeps the first stage from running far ahead: what it sends waits in memory.
            pipeline.Barrier();
        }

        Evaluation result = sums.Reduce(workers);
        reportedBytes = BytesSent;
        forecast.Forget();
        return result;
    }

    public void Dispose()
    {
        reducer?.Dispose();
        shard?.Dispose();
        agreed.Dispose();
        schedule?.Dispose();
        admm?.Dispose();
        curvature?.Dispose();
        optimizer.Dispose();
        executor.Dispose();
        flat.Dispose();
        Array.ForEach(stages, stage => stage.Dispose());
        grid.Dispose();
    }

    private static long BytesOf(torch.Tensor tensor) => tensor.numel() * tensor.element_size();

    private static int[] MicroBatchesOf(int samples, int count) => samples == 0 ? [] : [.. MicroBatches.Split(samples, count)];

    private int[] MicroBatchesOf(int samples) => MicroBatchesOf(samples, setup.Plan.Options.MicroBatches);

    private AdmmUpdate CreateAdmm(AdmmOptions options)
    {
        AdmmUpdate update = setup.Layout.Chunks == 1 && setup.Definition.Admm is { } generated && options == setup.Description.Options.Admm
            ? generated[Stage](flat.Values)
            : AdmmUpdate.Create(options.Rule, flat.Values, options.Period, options.Sigma, options.Relaxation);
        (update as ConsensusUpdate)?.Balance(setup.Options.ResidualBalance);
        return update;
    }

    private AdmmRound EndPeriod(AdmmUpdate update)
    {
        Note(TraceNames.ConsensusRound);

        // The ceiling moves with the rate and with every refresh.
        double ceiling = optimizer.SigmaCeiling;
        if (update is ConsensusUpdate consensus)
        {
            if (setup.HasLocalCurvature)
            {
                // Replicas with eigenpairs of their own have ceilings of their own, but one sigma.
                Span<double> lowest = [-ceiling];
                replicas.AllReduce(lowest, Reduction.Max);
                ceiling = -lowest[0];
            }

            consensus.SigmaCeiling = ceiling;
        }

        AdmmResiduals residuals = update.EndPeriod(flat.Values, flat.Gradients, replicas, pipeline);
        optimizer.Sigma = update.Sigma;
        if (!update.AveragesGradients)
        {
            agreed.EndRound();
        }

        return new AdmmRound(residuals.Primal, residuals.Dual, update.Sigma, ceiling);
    }

    /// <summary>Turns a gradient and a loss that were divided by samples into those divided by what the loss counts; 0 where it counts nothing.</summary>
    /// <returns>What the loss has counted: on this replica where it trains locally, else on all of them.</returns>
    private double DivideByCount(torch.Tensor gradient, ref double loss, bool local, int samples)
    {
        Span<double> count = [executor.IsLast ? executor.Count : 0];
        (local ? pipeline : workers).AllReduce(count);
        double factor = count[0] > 0 ? samples / count[0] : 0;
        gradient.ScaleBy(factor);
        loss *= factor;
        return count[0];
    }

    // Only the first stage's reduction has nothing else to overlap with: the others' own is over before it ends its backward.
    private GradientReducer? CreateReducer()
    {
        if (setup.Options.GradientBuckets == 1 || setup.Replicas == 1 || shard is not null || setup.Admm is { Rule: AdmmRule.Consensus }
            || !executor.IsFirst || setup.Layout.Chunks > 1 || setup.Definition.Ties.Count > 0)
        {
            return null;
        }

        IReadOnlyList<GradientBucket> buckets = GradientBucket.Split([.. flat.Segments.Select(s => s.Length)], setup.Options.GradientBuckets);
        var created = new GradientReducer(replicas, flat.Gradients, buckets);
        int next = 0;
        executor.Segments = new BackwardSegments(
            [.. buckets.Select(b => flat.Parameters.Skip(b.FirstParameter).Take(b.Parameters).Cast<torch.Tensor>().ToArray())],
            () =>
            {
                flat.CollectGradients(buckets[next].Start, buckets[next].Length);
                next = (next + 1) % buckets.Count;
                created.Add();
            });
        return created;
    }

    /// <summary>Adds up gradients over the replicas, where that is done in every step.</summary>
    /// <returns>The gradient that this rank goes on with: its own, the sum of all, or its share of that.</returns>
    private torch.Tensor ReduceGradients(bool local)
    {
        if (shard is not null)
        {
            shard.ReduceGradients();
            return shard.Gradient;
        }

        if (reducer is not null)
        {
            reducer.Complete();
        }
        else if (setup.Replicas > 1 && !local)
        {
            replicas.AllReduce(flat.Gradients);
        }

        return flat.Gradients;
    }

    private void AdvancePerStep(double loss)
    {
        if (setup.Options.ScheduleUnit == ScheduleUnit.Step)
        {
            Advance(loss);
        }
    }

    private void Advance(double loss)
    {
        if (schedule is not null)
        {
            schedule.Advance(loss);
            LearningRate = schedule.Rate;
        }
    }

    private void Note(string doing) => grid.World.Activity.Enter(doing, Stage, Steps);

    private void RequireFinite(string quantity, double value)
    {
        if (!double.IsFinite(value))
        {
            throw new TrainingDivergedException(Steps + 1, quantity, value, optimizer.LearningRate);
        }
    }

    // Ranks of different builds or options would wait for messages that never come, or train different models.
    internal static void ComparePlans(TrainingSetup setup, ICommunicator world)
    {
        byte[] hash = Convert.FromHexString(setup.Plan.Hash);
        double[] extremes = [.. hash.Select(b => (double)b), .. hash.Select(b => -(double)b), setup.Options.Seed, -(double)setup.Options.Seed];
        double[] own = [.. extremes];
        world.AllReduce(extremes, Reduction.Max);
        if (!extremes.SequenceEqual(own))
        {
            throw new InvalidOperationException(
                $"Rank {world.Rank} has plan {setup.Plan.Hash} and seed {setup.Options.Seed}, another rank has not: all ranks must run the same build with the same options.");
        }
    }

    private void CompareParameters()
    {
        StagePlan[] plans = [.. setup.Layout.StagesAt(Stage).Select(stage => setup.Plan.Stages[stage])];
        if (plans.Any(plan => plan.Parameters is null))
        {
            return;
        }

        string[] expected = [.. plans.SelectMany(plan => plan.Parameters!.Value).Select(p => $"{p.Name} ({string.Join(", ", p.Shape)})")];
        string[] actual = [.. flat.Segments.Select(s => $"{s.Name} ({string.Join(", ", s.Shape)})")];
        if (!expected.SequenceEqual(actual))
        {
            throw new InvalidOperationException(
                $"Stage {Stage} has the parameters {string.Join(", ", actual)}; its plan says {string.Join(", ", expected)}.");
        }
    }
}
