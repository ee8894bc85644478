using System;
using System.Collections.Generic;

namespace Dho2.Checkpoints;

/// <summary>What became of a checkpoint that was begun.</summary>
/// <param name="Path">Its folder; null if it could not be written.</param>
/// <param name="Step">The step.</param>
/// <param name="Bytes">Bytes of all its files.</param>
/// <param name="Held">How long training stood still for it on rank 0: with asynchronous saving, the time of a copy.</param>
/// <param name="Duration">From its begin until it was whole.</param>
/// <param name="Failure">Why it could not be written; null if it could.</param>
public sealed record CheckpointSaved(string? Path, long Step, long Bytes, TimeSpan Held, TimeSpan Duration, CheckpointException? Failure);

/// <summary>The checkpoint that a run goes on from.</summary>
/// <param name="Path">Its folder.</param>
/// <param name="Step">The step.</param>
/// <param name="Refused">Why newer ones were not used.</param>
public sealed record CheckpointResumed(string Path, long Step, IReadOnlyList<CheckpointException> Refused);
