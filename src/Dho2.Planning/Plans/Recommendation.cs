namespace Dho2.Planning;

/// <summary>A way to run a model on the devices that it is split over.</summary>
/// <param name="Plan">Its plan: <see cref="ModelOptions.Schedule"/> and the number of micro-batches among its options.</param>
/// <param name="StepTime">Picoseconds of a step, by the prices of the search: they compare ways, and foretell no seconds.</param>
/// <param name="PeakBytes">The most bytes that a device needs; at least these where a term is not known.</param>
/// <param name="Fits">Whether every device has room for the bytes that are known.</param>
/// <param name="IsCurrent">Whether it is what the model and the overrides say.</param>
public sealed record Recommendation(Plan Plan, long StepTime, long PeakBytes, bool Fits, bool IsCurrent)
{
    /// <summary>The stages that recompute their activations.</summary>
    public EquatableArray<int> Recomputed { get; init; }
}
