using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>
/// One rank's part in estimating curvature: of the whole model's Hessian, or of each stage's diagonal block in turn, for
/// which the other stages only lend their sweeps.
/// </summary>
internal sealed class CurvatureWork : IDisposable
{
    private readonly TrainingSetup setup;
    private readonly ICommunicator pipeline;
    private readonly ShardedSpace space;
    private readonly PipelineHessian hessian;
    private readonly LanczosEstimator?[] estimators;
    private readonly torch.Tensor zero;
    private readonly torch.Tensor ignored;

    /// <summary>Creates the rank's operator and estimator. All stages of the replica do so in step.</summary>
    /// <param name="setup">The run; it has a curvature.</param>
    /// <param name="pipeline">The stages of this replica; stays the caller's.</param>
    /// <param name="space">The space of the optimizer's subspace: over all stages, or this stage alone.</param>
    public CurvatureWork(TrainingSetup setup, ICommunicator pipeline, ShardedSpace space)
    {
        this.setup = setup;
        this.pipeline = pipeline;
        this.space = space;
        var context = new StageContext(setup.Options.Seed) { DType = setup.DType };
        IPipelineStage twin = setup.Definition.Stages[pipeline.Rank](context);
        hessian = new PipelineHessian(twin, context, pipeline, setup.Plan.Cuts, setup.Definition.Loss, setup.Options.Products, setup.Definition.Ties)
        {
            CountedLoss = setup.Definition.CountedLoss,
        };
        estimators =
        [
            .. setup.EstimatedStages.Select(stage =>
                stage is null || stage == pipeline.Rank ? new LanczosEstimator(space, setup.LanczosSettings(pipeline.Rank)) : null),
        ];
        zero = space.Zeros();
        ignored = space.Zeros();
    }

    /// <summary>Estimates at the stage's present parameters and puts the result into force.</summary>
    /// <param name="flat">The stage's parameters and buffers.</param>
    /// <param name="batch">The samples.</param>
    /// <param name="optimizer">The optimizer that takes the eigenpairs.</param>
    /// <param name="step">The step before which they take force, counted from 1.</param>
    /// <returns>What was found, the same on every stage: one estimate, or one for each stage that has a rank.</returns>
    public IReadOnlyList<CurvatureRefreshed> Refresh(FlatParameters flat, CurvatureBatch batch, HybridOptimizer optimizer, long step)
    {
        var found = new List<CurvatureRefreshed>();
        hessian.Begin(flat, batch);
        for (int i = 0; i < estimators.Length; i++)
        {
            int? stage = setup.EstimatedStages[i];
            CurvatureEstimate? own = null;
            if (stage is null)
            {
                own = estimators[i]!.Run(hessian, optimizer.Subspace);
            }
            else if (estimators[i] is { } estimator)
            {
                own = estimator.Run(new Block(hessian, pipeline), optimizer.Subspace);
                Announce(more: false);
            }
            else
            {
                while (Announce(more: false))
                {
                    hessian.Multiply(zero, ignored);
                }
            }

            if (own is not null)
            {
                optimizer.Refresh(own);
            }

            found.Add(new CurvatureRefreshed(step, stage, stage is { } s ? Share(own, s) : own! with { Subspace = null }));
        }

        hessian.End();
        return found;
    }

    /// <summary>What a later run needs to go on exactly.</summary>
    public OptimizerState GetState() => new(
        new Dictionary<string, torch.Tensor>(),
        new Dictionary<string, double[]>
        {
            ["curvature.started"] = [estimators.Max(e => e?.Estimates ?? 0), estimators.Max(e => e?.NonFiniteEstimates ?? 0)],
        });

    /// <summary>Goes on from a state that a run with the same plan had.</summary>
    /// <param name="state">The state.</param>
    public void SetState(OptimizerState state)
    {
        double[] started = state.Numbers["curvature.started"];
        foreach (LanczosEstimator estimator in estimators.OfType<LanczosEstimator>())
        {
            estimator.Estimates = (long)started[0];
            estimator.NonFiniteEstimates = (int)started[1];
        }
    }

    public void Dispose()
    {
        foreach (LanczosEstimator? estimator in estimators)
        {
            estimator?.Dispose();
        }

        hessian.Dispose();
        zero.Dispose();
        ignored.Dispose();
    }

    private bool Announce(bool more) => Announce(pipeline, more);

    private static bool Announce(ICommunicator pipeline, bool more)
    {
        Span<double> flag = [more ? 1 : 0];
        pipeline.AllReduce(flag);
        return flag[0] > 0;
    }

    /// <summary>Tells all stages what one of them has found, but for the vectors.</summary>
    private CurvatureEstimate Share(CurvatureEstimate? own, int stage)
    {
        LanczosSettings settings = setup.LanczosSettings(stage);
        double[] numbers = new double[9 + (2 * settings.Count)];
        if (own is not null)
        {
            double[] facts =
            [
                (double)own.Outcome, own.Products, own.GateProducts, own.CertificateProducts, own.Breakdowns,
                own.NonFiniteEstimates, own.Duration.Ticks, own.Eigenvalues.Count, own.ResidualBounds.Count,
                .. own.Eigenvalues, .. own.ResidualBounds,
            ];
            facts.CopyTo(numbers, 0);
        }

        pipeline.AllReduce(numbers);
        int values = (int)numbers[7];
        return new CurvatureEstimate
        {
            Outcome = (EstimateOutcome)numbers[0],
            Subspace = null,
            Products = (int)numbers[1],
            GateProducts = (int)numbers[2],
            CertificateProducts = (int)numbers[3],
            Breakdowns = (int)numbers[4],
            NonFiniteEstimates = (int)numbers[5],
            Duration = TimeSpan.FromTicks((long)numbers[6]),
            Eigenvalues = numbers[9..(9 + values)],
            ResidualBounds = numbers[(9 + values)..(9 + values + (int)numbers[8])],
        };
    }

    /// <summary>One stage's diagonal block: the product with a vector that is zero on all other stages.</summary>
    private sealed class Block(PipelineHessian hessian, ICommunicator pipeline) : IHessianOperator
    {
        public long LocalSize => hessian.LocalSize;

        public void Multiply(torch.Tensor direction, torch.Tensor product)
        {
            Announce(pipeline, more: true);
            hessian.Multiply(direction, product);
        }
    }
}
