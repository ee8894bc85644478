using System.Globalization;
using System.Linq;
using System.Threading;
using Dho2.Planning;
using TorchSharp;

namespace Dho2.Pipelines;

/// <summary>A stage that recomputes its activations.</summary>
/// <param name="Stage">Its number.</param>
/// <param name="DrawsFromDefaultGenerator">
/// Whether it has layers, such as attention with dropout inside, that draw from the process's default generator: both
/// forwards then seed it, and no other rank of the process draws meanwhile. Dropout layers of the model itself, whose masks
/// follow from the micro-batch, need none of that.
/// </param>
/// <param name="MayWorkInPlace">
/// Whether its forward may change tensors that it is given: the first then works on a copy, and leaves what came in to the second.
/// </param>
public sealed record RecomputedStage(int Stage, bool DrawsFromDefaultGenerator = false, bool MayWorkInPlace = false)
{
    /// <summary>The stage of a plan, as far as it recomputes; null otherwise.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="model">The model that it was made for.</param>
    /// <param name="stage">The stage.</param>
    internal static RecomputedStage? Of(Plan plan, ModelDescription model, int stage) =>
        plan.Stages[stage].Recomputes
            ? new(
                stage,
                plan.Stages[stage].Layers.Any(layer => RandomLayers.DrawsFromDefaultGenerator(model.Layers[layer])),
                InPlaceOperations.MayBeAmong(model, plan.Stages[stage].Operations))
            : null;

    /// <summary>Before a forward of the stage: seeds the generator, so that a second one at the same micro-batch draws the same random numbers.</summary>
    internal void EnterGenerator(StageContext context)
    {
        if (DrawsFromDefaultGenerator)
        {
            // Left by the caller if the forward throws: what guards dropout layers' draws leaves all of it.
            Monitor.Enter(StageContext.DefaultGeneratorLock);
            torch.random.manual_seed(StageContext.SeedOf(
                context.Seed, string.Create(CultureInfo.InvariantCulture, $"stage {Stage}/{context.Position.Step}/{context.Position.MicroBatch}")));
        }
    }

    /// <summary>After the forward.</summary>
    internal void LeaveGenerator()
    {
        if (DrawsFromDefaultGenerator)
        {
            Monitor.Exit(StageContext.DefaultGeneratorLock);
        }
    }
}
