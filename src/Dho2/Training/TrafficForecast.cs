using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Planning;

namespace Dho2;

/// <summary>
/// The plan's prediction of what this rank sends, step by step. How many products an estimate takes, and how many numbers its
/// reorthogonalisations reduce, depends on the data: those two are taken from the estimate, and priced by the plan. Not
/// predicted are estimates of single stages, those that rebuild their graphs, and those beside training.
/// </summary>
internal sealed class TrafficForecast
{
    private readonly TrainingSetup setup;
    private readonly RankGrid grid;
    private readonly int stage;
    private readonly ShardedSpace space;
    private readonly TrafficModel model;
    private Dictionary<int, long> before = [];
    private int[] sizes = [];
    private bool shared;
    private long? estimate = 0;

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
    }

    // Estimates beside training send in steps of their own choosing; interleaved stages have no curvature to price.
    private bool IsBeside => setup.Curvature is not null && setup.Plan.Curvature!.Mode != CurvatureMode.Blocking;

    /// <summary>An estimate begins.</summary>
    /// <param name="microBatches">Samples in each micro-batch of its batch on this replica.</param>
    /// <param name="isShared">Whether replicas share it.</param>
    public void BeginEstimate(int[] microBatches, bool isShared)
    {
        before = space.Reductions.ToDictionary();
        sizes = microBatches;
        shared = isShared;
    }

    /// <summary>It has ended with these results.</summary>
    public void EndEstimate(IReadOnlyList<CurvatureRefreshed> found)
    {
        if (setup.Curvature!.Scope != CurvatureScope.Global || setup.ProductsOf(0).RetainGraphs == false)
        {
            estimate = null;
            return;
        }

        long products = found.Sum(f => f.Estimate.Products);
        int group = shared ? grid.Replicas.Size : 1;
        long counts = setup.Definition.CountedLoss is null ? 0 : RingVolume.Numbers(grid.Pipeline.Size, 1) + RingVolume.Numbers(group, 1);
        long numbers = RingVolume.Numbers(group, 1) + counts + space.Reductions.Sum(r =>
            (r.Value - before.GetValueOrDefault(r.Key)) * RingVolume.Numbers(space.GroupSize, r.Key));
        estimate += numbers + model.Cuts(stage, sizes) + (products * model.Product(stage, sizes));
    }

    /// <summary>What the rank sends in a step, with the estimates before it.</summary>
    /// <param name="microBatches">Samples in each micro-batch on this replica.</param>
    /// <param name="pairs">Eigenpairs in force.</param>
    /// <param name="endsPeriod">Whether a round of agreement ended the step.</param>
    public long? Step(int[] microBatches, int pairs, bool endsPeriod)
    {
        long? step = setup.Definition.Ties.Count > 0 || IsBeside ? null : model.Step(stage, new StepFacts(
            microBatches, pairs, endsPeriod, setup.Definition.CountedLoss is not null, setup.Options.DecoupledWeightDecay > 0)).Total;
        long? all = step + estimate;
        estimate = 0;
        return all;
    }
}
