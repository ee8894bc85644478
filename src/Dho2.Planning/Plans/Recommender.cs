using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Dho2.Planning;

/// <summary>
/// Searches for the quickest way to run a model within its devices' memory: over the schedule, the number of micro-batches and
/// the stages that recompute their activations. Stages and devices stay as they are.
/// </summary>
public static class Recommender
{
    // What starting an operation takes, whatever its size: the order of a kernel launch. Without it the smallest micro-batches
    // would always be the best.
    private const long LaunchTime = 5_000_000;

    // With so many micro-batches for each rank, a bubble takes less than 1 / 32 of a step: more only make each of them smaller.
    private const int MostForEachRank = 32;

    private static readonly Schedule[] OnePerRank = [Schedule.OneForwardOneBackward, Schedule.ZeroBubble, Schedule.GPipe];

    /// <summary>Finds and ranks the ways.</summary>
    /// <remarks>
    /// For each schedule and each number of micro-batches that divides the batch there is one candidate: every stage that
    /// does not fit its device recomputes, and no other, because recomputing never makes a step shorter. Where stages are interleaved, other
    /// schedules would need more devices, and are left out; on a device with several stages, the first of them recompute.
    /// </remarks>
    /// <param name="model">The model.</param>
    /// <param name="overrides">Numbers in place of the attributes'; its schedule, micro-batches and recomputed stages are what is searched for.</param>
    /// <param name="costs">What the instructions of a plan cost; by default the prices of its device, and a constant for every operation.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <returns>
    /// The ways, those that fit first, the quickest first among them and the smallest first among those; what the model and the
    /// overrides say is one of them. None where that is not planned, or the work of an operation is not known.
    /// </returns>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public static IReadOnlyList<Recommendation> Recommend(
        ModelDescription model, PlanOverrides? overrides = null, Func<Plan, ScheduleCosts?>? costs = null, CancellationToken cancellation = default) =>
        Recommend(model, overrides ?? new(), costs, OptionChecks.MaxMicroBatches, cancellation);

    /// <summary>The same for those who cannot wait: more than some micro-batches are not tried, even where nothing fits.</summary>
    internal static IReadOnlyList<Recommendation> Recommend(
        ModelDescription model, PlanOverrides overrides, Func<Plan, ScheduleCosts?>? costs, int mostMicroBatches, CancellationToken cancellation)
    {
        if (ValueUses.FindInconsistency(model) is not null)
        {
            return [];
        }

        // Stages are those of the source: what a run overrides moves no layer.
        ModelOptions options = overrides.Apply(model.Options);
        ModelDescription split = StageChooser.Fill(model, ShapeInference.Infer(model, cancellation), cancellation);
        model = split with
        {
            Options = options,
            Layers = split.Layers.Select(layer => layer with { StageIsAutomatic = false }).ToEquatableArray(),
        };
        InferenceResult inference = ShapeInference.Infer(model, cancellation);
        costs ??= plan => StageTimes.Of(plan, model, inference, plan.Options.Profile, LaunchTime);
        if (Price(options) is not { } current || Candidate(current, isCurrent: true) is not { } now)
        {
            return [];
        }

        int ranks = current.Layout.Ranks;
        var found = new List<Recommendation> { now };
        foreach (Schedule schedule in options.Schedule == Schedule.Interleaved ? [Schedule.Interleaved] : OnePerRank)
        {
            bool anyFits = false;
            foreach (int count in Divisors(current.Options.Batch, mostMicroBatches))
            {
                if (count > (long)MostForEachRank * ranks && anyFits)
                {
                    break;
                }

                cancellation.ThrowIfCancellationRequested();
                if (Quickest(options with { Schedule = schedule, MicroBatches = count }) is { } candidate)
                {
                    anyFits |= candidate.Fits;
                    if (!IsSame(candidate, now))
                    {
                        found.Add(candidate);
                    }
                }
            }
        }

        return
        [
            .. found
                .OrderByDescending(way => way.Fits)
                .ThenBy(way => way.StepTime)
                .ThenBy(way => way.PeakBytes)
                .ThenBy(way => way.Plan.Options.MicroBatches)
                .ThenByDescending(way => way.IsCurrent),
        ];

        Plan? Price(ModelOptions tried) =>
            Planner.Price(model with { Options = tried }, inference, cancellation) is { Plan: { } plan, HasStructuralErrors: false } ? plan : null;

        Plan? With(ModelOptions tried, RecomputeOptions stages) => Price(tried with { Recompute = stages with { OverridesLayers = true } });

        Recommendation? Candidate(Plan plan, bool isCurrent)
        {
            if (costs(plan) is not { } times || StepForecast.ReductionOf(plan, plan.Options.Profile) is not { } reduction)
            {
                return null;
            }

            IEnumerable<long> devices = plan.Stages.GroupBy(stage => plan.RankOf(stage.Index)).Select(rank => rank.Aggregate(0L, (sum, stage) => SafeInteger.Add(sum, stage.KnownBytes) ?? long.MaxValue));
            return new(
                plan,
                SafeInteger.Add(ScheduleSimulator.Run(plan.Schedule, times).Makespan, reduction) ?? long.MaxValue,
                devices.Max(),
                plan.Stages.All(stage => Fits(plan, stage)),
                isCurrent)
            {
                Recomputed = plan.Stages.Where(stage => stage.Recomputes).Select(stage => stage.Index).ToEquatableArray(),
            };
        }

        bool Fits(Plan plan, StagePlan stage) =>
            !(stage.KnownBytes > DeviceMemory.LeftFor(stage, plan.Stages, model, plan.Options, other => other.KnownBytes));

        Recommendation? Quickest(ModelOptions tried)
        {
            if (With(tried, RecomputeOptions.None) is not { } kept)
            {
                return null;
            }

            if (kept.Layout.StagesPerRank == 1)
            {
                // What others do makes no difference to a stage.
                int[] full = [.. kept.Stages.Where(stage => !Fits(kept, stage)).Select(stage => stage.Index)];
                return full.Length > 0 && With(tried, RecomputeOptions.Of(full)) is { } all ? Candidate(all, isCurrent: false) : Candidate(kept, isCurrent: false);
            }

            var stages = new List<int>();
            Plan plan = kept;
            for (int stage = 0; stage < kept.Stages.Count; stage++)
            {
                // Of several on a device, one after the other until they fit.
                if (!Fits(plan, plan.Stages[stage]) && With(tried, RecomputeOptions.Of([.. stages, stage])) is { } changed && changed.Stages[stage].Recomputes)
                {
                    stages.Add(stage);
                    plan = changed;
                }
            }

            return Candidate(plan, isCurrent: false);
        }
    }

    private static bool IsSame(Recommendation one, Recommendation other) =>
        one.Plan.Options.Schedule == other.Plan.Options.Schedule && one.Plan.Options.MicroBatches == other.Plan.Options.MicroBatches && one.Recomputed.Equals(other.Recomputed);

    private static IEnumerable<int> Divisors(int batch, int most) => Enumerable.Range(1, Math.Min(batch, most)).Where(count => batch % count == 0);
}
