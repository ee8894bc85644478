using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>What a rank of the world is there for.</summary>
public enum RankRole
{
    /// <summary>It trains its stages of one replica.</summary>
    Worker,

    /// <summary>It estimates the curvature of its stages on a snapshot, beside the workers.</summary>
    Curvature,
}

/// <summary>A rank's place in the grid.</summary>
/// <param name="Role">What it is there for.</param>
/// <param name="Replica">A worker's replica, counted from 0; 0 for a curvature rank.</param>
/// <param name="Position">Its place in its pipeline, counted from 0.</param>
public readonly record struct RankPlace(RankRole Role, int Replica, int Position);

/// <summary>
/// How the ranks of a world are laid out: replica by replica the positions of a pipeline, then, where curvature has ranks
/// of its own, one more pipeline of those. A position holds one stage, or several where stages are interleaved
/// (Narayanan et al. 2021): every <see cref="Positions"/>-th, beginning with its own number.
/// </summary>
public sealed record RankLayout
{
    /// <summary>Lays out a world.</summary>
    /// <param name="stages">Stages (S); at least 1.</param>
    /// <param name="replicas">Replicas (R); at least 1.</param>
    /// <param name="chunks">Stages on each rank; at least 1, and a divisor of the stages.</param>
    /// <param name="dedicatedCurvature">Whether one more pipeline of ranks estimates curvature beside the workers.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1, or the chunks do not divide the stages.</exception>
    public RankLayout(int stages, int replicas, int chunks = 1, bool dedicatedCurvature = false)
    {
        Stages = stages >= 1 ? stages : throw new ArgumentOutOfRangeException(nameof(stages), stages, "A pipeline has at least one stage.");
        Replicas = replicas >= 1 ? replicas : throw new ArgumentOutOfRangeException(nameof(replicas), replicas, "There is at least one replica.");
        Chunks = chunks >= 1 && stages % chunks == 0
            ? chunks
            : throw new ArgumentOutOfRangeException(nameof(chunks), chunks, $"{stages} stages do not make whole ranks of {chunks} stages each.");
        DedicatedCurvature = dedicatedCurvature;
    }

    /// <summary>Stages (S).</summary>
    public int Stages { get; }

    /// <summary>Replicas of the pipeline (R).</summary>
    public int Replicas { get; }

    /// <summary>Stages on each rank.</summary>
    public int Chunks { get; }

    /// <summary>Whether one more pipeline of ranks estimates curvature beside the workers.</summary>
    public bool DedicatedCurvature { get; }

    /// <summary>Ranks in one pipeline.</summary>
    public int Positions => Stages / Chunks;

    /// <summary>Ranks that train: the first of the world.</summary>
    public int Workers => Positions * Replicas;

    /// <summary>Ranks of the world.</summary>
    public int Size => Workers + (DedicatedCurvature ? Positions : 0);

    /// <summary>The place of a rank of the world.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The world has no such rank.</exception>
    public RankPlace PlaceOf(int rank) =>
        rank < 0 || rank >= Size ? throw new ArgumentOutOfRangeException(nameof(rank), rank, $"Ranks of this layout are 0 to {Size - 1}.")
        : rank < Workers ? new(RankRole.Worker, rank / Positions, rank % Positions)
        : new(RankRole.Curvature, 0, rank - Workers);

    /// <summary>The rank of the world that is at a place.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The layout has no such place.</exception>
    public int RankOf(RankPlace place)
    {
        int rank = place.Role == RankRole.Worker ? (place.Replica * Positions) + place.Position : Workers + place.Position;
        return place.Position >= 0 && place.Replica >= 0 && rank < Size && PlaceOf(rank) == place
            ? rank
            : throw new ArgumentOutOfRangeException(nameof(place), place, $"{Describe()} have no such place.");
    }

    /// <summary>The position that holds a stage.</summary>
    public int PositionOf(int stage) => stage % Positions;

    /// <summary>The stages that a position holds, in order.</summary>
    public IReadOnlyList<int> StagesAt(int position) => Enumerable.Range(0, Chunks).Select(c => (c * Positions) + position).ToArray();

    /// <summary>What is wrong with a world of so many ranks, and what would be right; null if it fits.</summary>
    public string? Mismatch(int worldSize) => worldSize == Size
        ? null
        : $"The plan needs {Size} ranks ({Describe()}), the world has {worldSize}: start {Size} ranks, or change the number of replicas{(DedicatedCurvature ? " or the curvature's ranks" : "")}.";

    /// <summary>The layout in words, such as "2 stages x 3 replicas".</summary>
    public string Describe() =>
        Count(Stages, "stage") + (Chunks > 1 ? $", {Chunks} on each rank," : "") + " x " + Count(Replicas, "replica")
        + (DedicatedCurvature ? " and " + Count(Positions, "curvature rank") : "");

    private static string Count(int number, string what) => $"{number} {what}{(number == 1 ? "" : "s")}";
}
