using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using TorchSharp;

namespace Dho2;

/// <summary>
/// One stage's part in a run of estimates on a snapshot: of the whole model's Hessian, or of each stage's diagonal block
/// in turn, for which the other stages only lend their sweeps. It is advanced by one product at a time, on all stages in
/// step.
/// </summary>
internal sealed class EstimateRun : IDisposable
{
    private readonly TrainingSetup setup;
    private readonly ICommunicator pipeline;
    private readonly PipelineHessian hessian;
    private readonly LanczosEstimator?[] estimators;
    private readonly ShardedSpace space;
    private readonly List<(int? Stage, CurvatureEstimate Estimate)> found = [];
    private Block? block;
    private Subspace? previous;
    private Subspace? fresh;
    private int current;
    private int ownIndex;
    private bool prepared;

    /// <summary>Creates the run's operator and estimators.</summary>
    /// <param name="setup">The run; it has a curvature.</param>
    /// <param name="pipeline">The stages that take part; stays the caller's.</param>
    /// <param name="hessian">The operator; the run's own from now on.</param>
    /// <param name="space">The space of the subspace: over all stages, or this stage alone.</param>
    public EstimateRun(TrainingSetup setup, ICommunicator pipeline, PipelineHessian hessian, ShardedSpace space)
    {
        this.setup = setup;
        this.pipeline = pipeline;
        this.hessian = hessian;
        estimators =
        [
            .. setup.EstimatedStages.Select(stage =>
                stage is null || stage == pipeline.Rank ? new LanczosEstimator(space, setup.LanczosSettings(pipeline.Rank)) : null),
        ];
        this.space = space;
    }

    /// <summary>This replica's share, where the space's vectors are shared out over replicas; null where they are whole.</summary>
    public ParameterShard? Shard { get; init; }

    /// <summary>Is told what is sent; null where nobody asks.</summary>
    public TrafficForecast? Traffic { get; init; }

    /// <summary>Whether a run was begun and is not complete.</summary>
    public bool InProgress { get; private set; }

    /// <summary>The number of runs begun so far, which random vectors depend on.</summary>
    public long Runs { get; set; }

    /// <summary>The operator of one rank.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="pipeline">The stages that take part; stays the caller's.</param>
    /// <param name="reducesProducts">Whether products are added up over replicas there and then.</param>
    public static PipelineHessian CreateHessian(TrainingSetup setup, ICommunicator pipeline, bool reducesProducts = true)
    {
        var context = new Pipelines.StageContext(setup.Options.Seed) { DType = setup.DType, Device = pipeline.Device };
        Pipelines.IPipelineStage[] twins = [.. setup.Layout.StagesAt(pipeline.Rank).Select(stage => setup.Definition.Stages[stage](context))];
        return new PipelineHessian(twins, context, pipeline, setup.Plan.Cuts, setup.Definition.Loss, setup.Products, setup.Definition.Ties)
        {
            CountedLoss = setup.Definition.CountedLoss,
            ReducesProducts = reducesProducts,
        };
    }

    /// <summary>Takes a snapshot, without a product yet.</summary>
    /// <param name="values">The stage's parameters, shape (n_s); copied.</param>
    /// <param name="buffers">Its buffers; copied.</param>
    /// <param name="batch">The samples, which must stay as they are until the run is complete.</param>
    /// <param name="previous">The eigenpairs to start from, or null; only read, until the run is complete.</param>
    public void Begin(torch.Tensor values, IReadOnlyList<torch.Tensor> buffers, CurvatureBatch batch, Subspace? previous)
    {
        this.previous = previous;
        hessian.Begin(values, buffers, batch);
        Traffic?.TookSnapshot();
        found.Clear();
        current = 0;
        ownIndex = -1;
        prepared = false;
        InProgress = true;
        foreach (LanczosEstimator? estimator in estimators)
        {
            estimator?.Cancel();
            if (estimator is not null)
            {
                estimator.Estimates = Runs;
            }
        }

        Runs++;
    }

    /// <summary>Builds the snapshot's graphs, the first time, and then spends one product a call.</summary>
    /// <returns>True once the run is complete.</returns>
    public bool Advance()
    {
        using Activity? activity = Tracing.Source.StartActivity(prepared ? "curvature.product" : "curvature.graphs");
        activity?.SetTag("stage", pipeline.Rank);
        using IDisposable? counting = Traffic?.Estimating();
        if (!prepared)
        {
            prepared = true;
            hessian.Prepare();
            Traffic?.BuiltGraphs();
            return false;
        }

        int? stage = setup.EstimatedStages[current];
        LanczosEstimator? estimator = estimators[current];
        if (stage is null ? !AdvanceWhole(estimator!) : !AdvanceBlock(estimator, stage.Value))
        {
            return false;
        }

        CurvatureEstimate? own = estimator?.TakeResult();
        if (own is not null)
        {
            ownIndex = current;
            fresh = own.Subspace;
        }

        found.Add((stage, stage is { } s ? Share(own, s) : own! with { Subspace = null }));
        if (++current < estimators.Length)
        {
            return false;
        }

        hessian.End();
        previous = null;
        InProgress = false;
        return true;
    }

    /// <summary>What the complete run found; vectors belong to the caller.</summary>
    public EstimateResult Take()
    {
        var result = new EstimateResult([.. found], ownIndex, fresh?.Vectors, setup.Curvature!.Smallest);
        fresh = null;
        return result;
    }

    /// <summary>Gives up a run that is not complete. All stages do so in step.</summary>
    public void Cancel()
    {
        foreach (LanczosEstimator? estimator in estimators)
        {
            estimator?.Cancel();
        }

        fresh?.Dispose();
        (fresh, previous, InProgress) = (null, null, false);
        hessian.End();
    }

    public void Dispose()
    {
        foreach (LanczosEstimator? estimator in estimators)
        {
            estimator?.Dispose();
        }

        fresh?.Dispose();
        hessian.Dispose();
    }

    private bool AdvanceWhole(LanczosEstimator estimator)
    {
        if (!estimator.InProgress)
        {
            estimator.Start(new Whole(this), previous);
        }

        return estimator.Advance();
    }

    // The stage whose block it is says whether it has a product to make, and then whether that was the last.
    private bool AdvanceBlock(LanczosEstimator? estimator, int stage)
    {
        if (estimator is null)
        {
            if (Agree(false))
            {
                using torch.Tensor zero = space.Zeros();
                using torch.Tensor ignored = space.Zeros();
                Multiply(zero, ignored, stage);
            }

            return Agree(false);
        }

        block ??= new Block(this, stage);
        if (!estimator.InProgress)
        {
            estimator.Start(block, previous);
        }

        block.Multiplied = false;
        bool complete = estimator.Advance();
        if (!block.Multiplied)
        {
            Agree(false);
        }

        return Agree(complete);
    }

    // On shares of vectors, where replicas hold shares.
    private void Multiply(torch.Tensor direction, torch.Tensor product, int firstStage = 0)
    {
        if (Shard is null)
        {
            hessian.Multiply(direction, product, firstStage);
        }
        else
        {
            Shard.Multiply((whole, result) => hessian.Multiply(whole, result, firstStage), direction, product);
        }

        Traffic?.Multiplied(firstStage);
    }

    private bool Agree(bool flag)
    {
        Span<double> numbers = [flag ? 1 : 0];
        pipeline.AllReduce(numbers);
        Traffic?.Agreed(1);
        return numbers[0] > 0;
    }

    /// <summary>Tells all stages what one of them has found, but for the vectors.</summary>
    private CurvatureEstimate Share(CurvatureEstimate? own, int stage)
    {
        double[] numbers = new double[EstimateNumbers.LengthFor(setup.LanczosSettings(stage).Count)];
        if (own is not null)
        {
            EstimateNumbers.Write(own).CopyTo(numbers, 0);
        }

        pipeline.AllReduce(numbers);
        Traffic?.Agreed(numbers.Length);
        return EstimateNumbers.Read(numbers);
    }

    /// <summary>The whole model's matrix.</summary>
    private sealed class Whole(EstimateRun run) : IHessianOperator
    {
        public long LocalSize => run.space.LocalSize;

        public void Multiply(torch.Tensor direction, torch.Tensor product) => run.Multiply(direction, product);
    }

    /// <summary>One stage's diagonal block: the product with a vector that is zero on all other stages.</summary>
    private sealed class Block(EstimateRun run, int stage) : IHessianOperator
    {
        public long LocalSize => run.space.LocalSize;

        public bool Multiplied { get; set; }

        public void Multiply(torch.Tensor direction, torch.Tensor product)
        {
            run.Agree(true);
            run.Multiply(direction, product, stage);
            Multiplied = true;
        }
    }
}
