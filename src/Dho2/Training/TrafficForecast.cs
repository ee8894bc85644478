using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Planning;

namespace Dho2;

/// <summary>
/// The plan's prediction of what this rank sends, step by step. How many products an estimate takes, and how many numbers its
/// reorthogonalisations reduce, depends on the data: those two are told by the estimate as it goes, and priced by the plan.
/// </summary>
internal sealed class TrafficForecast
{
    private readonly TrainingSetup setup;
    private readonly RankGrid grid;
    private readonly int stage;
    private readonly ShardedSpace space;
    private readonly TrafficModel model;
    private readonly bool rebuildsGraphs;
    private int[] sizes = [];
    private bool shared;
    private long? curvature = 0;

    /// <summary>Prepares the prediction of one rank.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="grid">The rank's groups.</param>
    /// <param name="stage">Its stage.</param>
    /// <param name="space">The space of the curvature's vectors.</param>
    public TrafficForecast(TrainingSetup setup, RankGrid grid, int stage, ShardedSpace space)
    {
        this.setup = setup;
        this.grid = grid;
        this.stage = stage;
        this.space = space;
        model = new TrafficModel(setup.Plan);
        rebuildsGraphs = setup.Products.RetainGraphs == false;
    }

    /// <summary>An estimate begins.</summary>
    /// <param name="microBatches">Samples in each micro-batch of its batch on this replica.</param>
    /// <param name="isShared">Whether replicas share it, and thus tell each other their samples.</param>
    public void BeginEstimate(int[] microBatches, bool isShared)
    {
        sizes = microBatches;
        shared = isShared;
        curvature += isShared ? RingVolume.Numbers(grid.Replicas.Size, 1) : 0;
    }

    /// <summary>Parameters were copied to where products are taken.</summary>
    public void TookSnapshot() => curvature += model.SpreadTies(stage, inProducts: true);

    /// <summary>Graphs were built, to be kept.</summary>
    public void BuiltGraphs() => curvature += rebuildsGraphs ? 0 : model.Cuts(stage, sizes, inProducts: true) + Counts;

    /// <summary>A product was taken.</summary>
    /// <param name="firstStage">The stage whose block it is; 0 for the whole matrix.</param>
    public void Multiplied(int firstStage) => curvature += model.Product(stage, sizes, firstStage, rebuildsGraphs) + (rebuildsGraphs ? Counts : 0);

    /// <summary>The stages have told each other numbers about an estimate.</summary>
    public void Agreed(int numbers) => curvature += RingVolume.Numbers(grid.Pipeline.Size, numbers);

    /// <summary>Numbers were sent to the rank that estimates for this stage.</summary>
    public void Told(int numbers) => curvature += sizeof(double) * (1L + numbers);

    /// <summary>A snapshot was sent to the rank that estimates for this stage.</summary>
    /// <param name="samples">This replica's samples in it.</param>
    /// <param name="withStage">Whether parameters and buffers went with them.</param>
    /// <param name="vectors">Bytes of eigenvectors that went with them.</param>
    public void HandedOver(int samples, bool withStage, long vectors) =>
        curvature += model.Snapshot(stage, setup.Description.Inputs, setup.Description.Targets, samples, withStage) + vectors;

    /// <summary>Counts the reductions over the curvature's space that are made until the result is disposed.</summary>
    public IDisposable Estimating() => new Reductions(this);

    /// <summary>Forgets what was sent since the last step: it belongs to none.</summary>
    public void Forget() => curvature = 0;

    /// <summary>What the rank sends in a step, with what was done for estimates since the one before.</summary>
    /// <param name="microBatches">Samples in each micro-batch on this replica.</param>
    /// <param name="pairs">Eigenpairs in force.</param>
    /// <param name="endsPeriod">Whether a round of agreement ended the step.</param>
    public long? Step(int[] microBatches, int pairs, bool endsPeriod)
    {
        long? all = curvature + model.Step(stage, new StepFacts(
            microBatches, pairs, endsPeriod, setup.Definition.CountedLoss is not null, setup.Options.DecoupledWeightDecay > 0)).Total;
        curvature = 0;
        return all;
    }

    // What a loss counts is added up over stages, and over the replicas that share the estimate.
    private long Counts => setup.Definition.CountedLoss is null ? 0
        : RingVolume.Numbers(grid.Pipeline.Size, 1) + RingVolume.Numbers(shared ? grid.Replicas.Size : 1, 1);

    private sealed class Reductions(TrafficForecast forecast) : IDisposable
    {
        private readonly Dictionary<int, long> before = forecast.space.Reductions.ToDictionary();

        public void Dispose() => forecast.curvature += forecast.space.Reductions.Sum(reduction =>
            (reduction.Value - before.GetValueOrDefault(reduction.Key)) * RingVolume.Numbers(forecast.space.GroupSize, reduction.Key));
    }
}
