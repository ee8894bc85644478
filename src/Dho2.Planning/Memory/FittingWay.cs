using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Dho2.Planning;

/// <summary>The quickest way in which all stages of a pipeline fit their devices, as changes of what its plan says.</summary>
/// <param name="Schedule">The new schedule; null where it stays.</param>
/// <param name="MicroBatches">The new number of micro-batches; null where it stays.</param>
/// <param name="Recomputed">The stages that recompute their activations then, and do not now.</param>
/// <param name="PeakBytes">The most bytes that a device needs afterwards.</param>
public sealed record FittingWay(Schedule? Schedule, int? MicroBatches, EquatableArray<int> Recomputed, long PeakBytes)
{
    // An editor is waiting; the plan of 'dho2 plan' recommends more where only they fit.
    private const int MostMicroBatches = 256;

    // Enough for the classes that are open and do not fit.
    private const int Capacity = 16;

    private static readonly ContentCache<ModelDescription, FittingWay?> Cache = new(Capacity);

    /// <summary>Finds it among what <see cref="Recommender"/> tries.</summary>
    /// <param name="model">The model.</param>
    /// <param name="plan">Its plan, in which a stage does not fit.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <returns>The way; null where none of up to 256 micro-batches fits, or work is not known.</returns>
    /// <exception cref="System.OperationCanceledException">The search was cancelled.</exception>
    public static FittingWay? Find(ModelDescription model, Plan plan, CancellationToken cancellation = default)
    {
        model = model with { Options = plan.Options };
        return Cache.Get(model, () => Search(model, plan, cancellation));
    }

    private static FittingWay? Search(ModelDescription model, Plan plan, CancellationToken cancellation)
    {
        IReadOnlyList<Recommendation> ways = Recommender.Recommend(model, new(), costs: null, MostMicroBatches, cancellation);
        if (ways.Count == 0 || ways[0] is not { Fits: true, IsCurrent: false } best)
        {
            return null;
        }

        ModelOptions options = best.Plan.Options;
        return new(
            options.Schedule == plan.Options.Schedule ? null : options.Schedule,
            options.MicroBatches == plan.Options.MicroBatches ? null : options.MicroBatches,
            best.Recomputed.Where(stage => !plan.Stages[stage].Recomputes).ToEquatableArray(),
            best.PeakBytes);
    }
}
