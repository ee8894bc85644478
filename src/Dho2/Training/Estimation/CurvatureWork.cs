using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>
/// A worker's part in estimating curvature: when an estimate is made, and when what it found takes force. All workers
/// call in step, in this order around every training step: <see cref="TakeEffect"/>, <see cref="Start"/> if an estimate
/// is due and none is under way, <see cref="TakeEffect"/> again, the step, <see cref="AfterStep"/>.
/// </summary>
internal abstract class CurvatureWork : IDisposable
{
    private EstimateResult? pending;
    private long snapshotStep;
    private long effectStep;
    private TimeSpan lateness;
    private TimeSpan idle;

    /// <summary>Creates what the plan's mode asks for.</summary>
    /// <param name="setup">The run; it has a curvature.</param>
    /// <param name="grid">The rank's groups; stay the caller's.</param>
    /// <param name="space">The space of the optimizer's subspace: over all stages, or this stage alone.</param>
    /// <param name="optimizer">The optimizer that takes the eigenpairs; stays the caller's.</param>
    /// <param name="shard">This replica's share, where vectors are shared out over replicas; null where they are whole.</param>
    /// <param name="traffic">Is told what is sent.</param>
    public static CurvatureWork Create(
        TrainingSetup setup, RankGrid grid, ShardedSpace space, HybridOptimizer optimizer, ParameterShard? shard, TrafficForecast traffic)
    {
        if (setup.Plan.Curvature!.Mode == CurvatureMode.Dedicated)
        {
            return new DedicatedCurvature(setup, grid, optimizer, traffic);
        }

        EstimateRun run = new(setup, grid.Pipeline, EstimateRun.CreateHessian(setup, grid.Pipeline, shard is null), space) { Shard = shard, Traffic = traffic };
        return setup.Plan.Curvature.Mode == CurvatureMode.Amortized ? new AmortizedCurvature(run, optimizer) : new BlockingCurvature(run, optimizer);
    }

    /// <summary>Goes with the optimizer that takes the eigenpairs.</summary>
    protected CurvatureWork(HybridOptimizer optimizer) => Optimizer = optimizer;

    /// <summary>Whether an estimate was due and has not been started.</summary>
    public bool IsDue { get; set; }

    /// <summary>Whether an estimate was started whose result is not in force.</summary>
    public bool IsBusy => pending is not null || IsEstimating;

    /// <summary>The optimizer that takes the eigenpairs.</summary>
    protected HybridOptimizer Optimizer { get; }

    /// <summary>The number of estimates started so far.</summary>
    protected abstract long Started { get; set; }

    /// <summary>Whether an estimate was started that is not complete.</summary>
    protected abstract bool IsEstimating { get; }

    /// <summary>Starts an estimate at the stage's present parameters.</summary>
    /// <param name="flat">The stage's parameters and buffers.</param>
    /// <param name="batch">The samples.</param>
    /// <param name="step">The step that comes next, counted from 1.</param>
    public void Start(FlatParameters flat, CurvatureBatch batch, long step)
    {
        IsDue = false;
        snapshotStep = step;
        Begin(flat, batch);
    }

    /// <summary>Puts into force what is to take force before a step; waits for it if it is late.</summary>
    /// <param name="step">The step that comes next, counted from 1.</param>
    /// <returns>What was found, the same on every stage: one estimate, or one for each stage that has a rank; or nothing.</returns>
    public IReadOnlyList<CurvatureRefreshed> TakeEffect(long step)
    {
        WaitFor(step);
        if (pending is not { } result || step < effectStep)
        {
            return [];
        }

        pending = null;
        if (result.Own() is { } own)
        {
            Optimizer.Refresh(own);
        }

        return
        [
            .. result.Found.Select(found => new CurvatureRefreshed(step, found.Stage, found.Estimate)
            {
                SnapshotStep = snapshotStep,
                Lateness = lateness,
                DedicatedIdle = idle,
            }),
        ];
    }

    /// <summary>Goes on with an estimate, where that is done beside training.</summary>
    public virtual void AfterStep()
    {
    }

    /// <summary>Tells ranks that estimate beside training that it goes on, in work that takes long.</summary>
    public virtual void KeepAlive()
    {
    }

    /// <summary>Tells ranks that estimate beside training that a call of the trainer is over.</summary>
    /// <param name="numbers">What the call came to.</param>
    public virtual void EndCall(IReadOnlyList<double> numbers)
    {
    }

    /// <summary>Gives up an estimate that is under way or has not taken force, where ranks of their own do not make it.</summary>
    public virtual void Cancel()
    {
        IsDue = false;
        DropPending();
    }

    /// <summary>Completes an estimate that is under way; when its result takes force stays as it was.</summary>
    public abstract void Finish();

    /// <summary>
    /// What a later run needs to go on exactly, an estimate under way being completed first; its vectors are live, not
    /// copies.
    /// </summary>
    public OptimizerState GetState()
    {
        Finish();
        Dictionary<string, torch.Tensor> vectors = [];
        Dictionary<string, double[]> numbers = new() { ["curvature.started"] = [Started, IsDue ? 1 : 0] };
        if (pending is not null)
        {
            numbers["curvature.pending"] = [snapshotStep, effectStep, .. EstimateNumbers.Write(pending)];
            if (pending.Vectors is not null)
            {
                vectors["curvature.pending"] = pending.Vectors;
            }
        }

        return new OptimizerState(vectors, numbers);
    }

    /// <summary>Goes on from a state that a run with the same plan had; the optimizer has its own already.</summary>
    /// <param name="state">The state; copied.</param>
    /// <exception cref="ArgumentException">An entry is missing or does not fit.</exception>
    public void SetState(OptimizerState state)
    {
        Finish();
        DropPending();
        if (!state.Numbers.TryGetValue("curvature.started", out double[]? started) || started.Length != 2)
        {
            throw new ArgumentException("'curvature.started' is missing or not two numbers.");
        }

        Started = (long)started[0];
        IsDue = started[1] > 0;
        if (state.Numbers.TryGetValue("curvature.pending", out double[]? numbers))
        {
            snapshotStep = (long)numbers[0];
            effectStep = (long)numbers[1];
            pending = EstimateNumbers.Read(numbers.AsSpan(2), () => state.Vectors.TryGetValue("curvature.pending", out torch.Tensor? vectors)
                ? vectors.clone().DetachFromDisposeScope()
                : throw new ArgumentException("The vectors 'curvature.pending' are missing."));
        }

        Restored();
    }

    /// <inheritdoc/>
    public virtual void Dispose() => DropPending();

    /// <summary>Takes the snapshot.</summary>
    protected abstract void Begin(FlatParameters flat, CurvatureBatch batch);

    /// <summary>Waits for what takes force before a step, where it comes from elsewhere.</summary>
    protected virtual void WaitFor(long step)
    {
    }

    /// <summary>A state was set.</summary>
    protected virtual void Restored()
    {
    }

    /// <summary>Keeps a complete estimate until it takes force.</summary>
    /// <param name="result">What was found.</param>
    /// <param name="steps">Steps from the snapshot to the one before which it takes force.</param>
    /// <param name="late">The time that training waited for it.</param>
    /// <param name="rest">The time that dedicated ranks had nothing to do before it.</param>
    protected void Hold(EstimateResult result, long steps, TimeSpan late = default, TimeSpan rest = default)
    {
        pending = result;
        effectStep = snapshotStep + steps;
        lateness = late;
        idle = rest;
    }

    /// <summary>The step before which the estimate takes force that was started so many steps ahead of it.</summary>
    protected long EffectStep(int delay) => snapshotStep + delay;

    private void DropPending()
    {
        pending?.Vectors?.Dispose();
        pending = null;
    }
}

/// <summary>Training waits for the whole estimate.</summary>
internal sealed class BlockingCurvature(EstimateRun run, HybridOptimizer optimizer) : CurvatureWork(optimizer)
{
    protected override long Started { get => run.Runs; set => run.Runs = value; }

    protected override bool IsEstimating => false;

    public override void Finish()
    {
    }

    public override void Dispose()
    {
        base.Dispose();
        run.Dispose();
    }

    protected override void Begin(FlatParameters flat, CurvatureBatch batch)
    {
        run.Begin(flat.Values, [.. flat.Buffers.Select(b => b.Buffer)], batch, Optimizer.Subspace);
        while (!run.Advance())
        {
        }

        Hold(run.Take(), 0);
    }
}

/// <summary>
/// After each training step one product, or at first the graphs, on a snapshot; what was found takes force before the
/// step that follows the last product.
/// </summary>
internal sealed class AmortizedCurvature(EstimateRun run, HybridOptimizer optimizer) : CurvatureWork(optimizer)
{
    private CurvatureBatch? copied;
    private int advances;

    protected override long Started { get => run.Runs; set => run.Runs = value; }

    protected override bool IsEstimating => run.InProgress;

    public override void AfterStep()
    {
        if (run.InProgress)
        {
            Advance();
        }
    }

    public override void Finish()
    {
        while (run.InProgress)
        {
            Advance();
        }
    }

    public override void Cancel()
    {
        base.Cancel();
        run.Cancel();
        copied?.Release();
        copied = null;
    }

    public override void Dispose()
    {
        base.Dispose();
        copied?.Release();
        run.Dispose();
    }

    protected override void Begin(FlatParameters flat, CurvatureBatch batch)
    {
        advances = 0;
        copied = batch.Copy();
        run.Begin(flat.Values, [.. flat.Buffers.Select(b => b.Buffer)], copied, Optimizer.Subspace);
    }

    private void Advance()
    {
        advances++;
        if (run.Advance())
        {
            copied!.Release();
            copied = null;
            Hold(run.Take(), advances);
        }
    }
}
