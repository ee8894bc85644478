namespace Dho2.Planning;

/// <summary>The times of each stage's instructions on one micro-batch, by a device's prices.</summary>
internal static class StageTimes
{
    // Beyond this, times are cut off: sums of them still fit.
    private const long Longest = long.MaxValue / 8;

    /// <summary>
    /// The costs of a plan's stages, with what they send: forward to the next stage, back to the one before. Null where the work
    /// of an operation is not known.
    /// </summary>
    /// <param name="plan">The plan.</param>
    /// <param name="model">The model that it was made for.</param>
    /// <param name="inference">What is known of its shapes, under the plan's options.</param>
    /// <param name="profile">What work and messages cost.</param>
    /// <param name="launch">What every operation of a forward takes besides; a backward takes twice that, as it does of all else.</param>
    public static ScheduleCosts? Of(Plan plan, ModelDescription model, InferenceResult inference, DeviceProfile profile, long launch = 0)
    {
        bool isSplit = plan.Options.Schedule == Schedule.ZeroBubble;
        (long Forward, long Backward)[] exchanges = OperationTimes.ExchangesOf(plan, profile);
        var forward = new long[plan.Stages.Count];
        var backward = new long[plan.Stages.Count];
        var weight = new long[plan.Stages.Count];
        foreach (StagePlan stage in plan.Stages)
        {
            int i = stage.Index;
            if (WalksOf(stage, model, inference, profile, plan.MicroBatches[0], launch) is not { } walks)
            {
                return null;
            }

            // Split, the first stage has no gradients of inputs, and whatever is recomputed is recomputed for its weights.
            long again = stage.Recomputes ? walks.Forward : 0;
            long input = i == 0 ? 0 : walks.Input + again;
            weight[i] = walks.Weight + (i == 0 ? again : 0);
            forward[i] = Sum(walks.Forward, i < exchanges.Length ? exchanges[i].Forward : 0);
            backward[i] = Sum(
                isSplit ? Sum(input, weight[i]) : Sum(OperationTimes.BackwardFactor * walks.Forward, again), i > 0 ? exchanges[i - 1].Backward : 0);
        }

        return new(forward.ToEquatableArray(), backward.ToEquatableArray(), isSplit ? weight.ToEquatableArray() : default);
    }

    /// <summary>
    /// The forward, and the two walks of a split backward: down to the stage's inputs without its weights' gradients, and once
    /// more from its results, down to the first of its weights (see docs/schedules.md).
    /// </summary>
    private static (long Forward, long Input, long Weight)? WalksOf(StagePlan stage, ModelDescription model, InferenceResult inference, DeviceProfile profile, int samples, long launch)
    {
        (long Forward, long Input, long Weight) times = default;
        bool reachesWeights = false;
        foreach (int operation in stage.Operations)
        {
            if (OperationTimes.ForwardOf(inference.Operations[operation], profile, samples) is not { } work)
            {
                return null;
            }

            long time = Sum(work, launch);

            int layer = model.Operations[operation].Layer;
            bool hasWeights = layer >= 0 && inference.Layers[layer].Parameters is not { Count: 0 };

            // A backward of twice the forward: half of it for the inputs and half for the weights, or all for the inputs.
            long inputs = hasWeights ? time : OperationTimes.BackwardFactor * time;

            // Within a module of several layers the second walk stops at the first of them.
            int inner = hasWeights && model.Layers[layer].Body is { Layers.Count: > 0 and var count } ? count : 1;
            long again = reachesWeights ? inputs : hasWeights ? inputs - (inputs / inner) : 0;
            times = (Sum(times.Forward, time), Sum(times.Input, inputs), Sum(times.Weight, Sum(hasWeights ? time : 0, again)));
            reachesWeights |= hasWeights;
        }

        return times;
    }

    private static long Sum(long left, long right) => System.Math.Min(SafeInteger.Add(left, right) ?? Longest, Longest);
}
