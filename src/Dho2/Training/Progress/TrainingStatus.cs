using System;
using System.Collections.Generic;

namespace Dho2;

/// <summary>How a run is doing, beside what its steps come to.</summary>
/// <param name="Remaining">Time until the last step, if it goes on as it did since <c>Fit</c> began.</param>
public sealed record TrainingStatus(TimeSpan Remaining)
{
    /// <summary>
    /// The share of the time of a step's forwards and backwards in which ranks wait for each other, the mean of all of them
    /// over the last second or so; null where there is one rank. What <see cref="PlannedIdle"/> is beside it, prices say.
    /// </summary>
    public double? Idle { get; init; }

    /// <summary>The share that the plan foretells: the bubble.</summary>
    public double PlannedIdle { get; init; }

    /// <summary>Bytes of resident memory that the process of rank 0 has gained since its trainer began to be built.</summary>
    public long ResidentBytes { get; init; }

    /// <summary>Bytes that the plan gives the ranks of that process at their peaks, those that are known.</summary>
    public long PlannedBytes { get; init; }

    /// <summary>The largest eigenvalues of the last estimate, the largest first; none before the first.</summary>
    public IReadOnlyList<double> Eigenvalues { get; init; } = [];

    /// <summary>What <see cref="CurvatureRefreshed.CostFactor"/> was at the last estimate; null before the first.</summary>
    public double? CurvatureCost { get; init; }

    /// <summary>What the last trial of curvature came to; null before the first.</summary>
    public CurvatureCompared? Comparison { get; init; }
}
