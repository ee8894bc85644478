using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>The time that a micro-batch takes: by operation for the planner, by stage for a finished plan.</summary>
internal static class OperationTimes
{
    // A backward computes the gradients of what an operation used and of its weights: twice the forward's work.
    public const int BackwardFactor = 2;

    // Sequences and the like count as this many where their length is not known.
    private const long NominalSize = 1024;

    /// <summary>Picoseconds of the forward of one operation; null where its work is not known.</summary>
    public static long? ForwardOf(OperationFacts facts, DeviceProfile profile, int samples)
    {
        if (Evaluate(facts.Work, samples) is not { } work)
        {
            return null;
        }

        // What it makes is written once and as much is read.
        long bytes = 0;
        foreach (TensorMemory created in facts.Created)
        {
            bytes = SafeInteger.Add(bytes, Evaluate(created.Bytes, samples) ?? 0) ?? long.MaxValue / 4;
        }

        return profile.TimeOf(work, bytes > long.MaxValue / 4 ? long.MaxValue / 2 : 2 * bytes);
    }

    /// <summary>Bytes of a value, one way forward, and back as a gradient where it has one.</summary>
    public static (long Forward, long Backward) BytesOf(TensorType? type, bool differentiable, int samples)
    {
        long bytes = type is null ? 0 : Evaluate(TensorBytes.Of(type), samples) ?? 0;
        return (bytes, differentiable ? bytes : 0);
    }

    /// <summary>Picoseconds to send what crosses each cut forward, and its gradients back.</summary>
    public static (long Forward, long Backward)[] ExchangesOf(Plan plan, DeviceProfile profile) => plan.Cuts
        .Select(cut =>
        {
            (long Forward, long Backward)[] values = cut.Values.Select(v => BytesOf(v.Type, v.Differentiable, plan.MicroBatches[0])).ToArray();
            return (profile.SendTimeOf(Sum(values.Select(v => v.Forward))), profile.SendTimeOf(Sum(values.Select(v => v.Backward))));
        })
        .ToArray();

    // Sizes in half-typed code can be anything.
    private static long Sum(IEnumerable<long> bytes) => bytes.Aggregate(0L, (sum, more) => SafeInteger.Add(sum, more) ?? long.MaxValue);

    /// <summary>
    /// Picoseconds that each stage works on one micro-batch, with what it exchanges with its neighbours; null where the work
    /// of an operation is not known.
    /// </summary>
    public static IReadOnlyList<long>? OfStages(Plan plan, InferenceResult inference, DeviceProfile profile)
    {
        int samples = plan.MicroBatches[0];
        long[] cuts = plan.Cuts.Select(cut => ExchangeOf(cut.Values.Select(v => BytesOf(v.Type, v.Differentiable, samples)), profile)).ToArray();
        var times = new long[plan.Stages.Count];
        foreach (StagePlan stage in plan.Stages)
        {
            long time = (stage.Index > 0 ? cuts[stage.Index - 1] : 0) + (stage.Index < cuts.Length ? cuts[stage.Index] : 0);
            foreach (int operation in stage.Operations)
            {
                if (ForwardOf(inference.Operations[operation], profile, samples) is not { } forward)
                {
                    return null;
                }

                time += ((stage.Recomputes ? 2 : 1) + BackwardFactor) * forward;
            }

            times[stage.Index] = time;
        }

        return times;
    }

    /// <summary>Picoseconds to send values forward and their gradients back.</summary>
    public static long ExchangeOf(IEnumerable<(long Forward, long Backward)> values, DeviceProfile profile)
    {
        long forward = 0;
        long backward = 0;
        foreach ((long Forward, long Backward) value in values)
        {
            forward = SafeInteger.Add(forward, value.Forward) ?? long.MaxValue;
            backward = SafeInteger.Add(backward, value.Backward) ?? long.MaxValue;
        }

        return profile.SendTimeOf(forward) + profile.SendTimeOf(backward);
    }

    private static long? Evaluate(Dimension dimension, int samples) =>
        dimension.Evaluate(symbol => symbol == ShapeInference.Batch ? samples : NominalSize);
}
