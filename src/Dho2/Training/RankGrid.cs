using System;
using Dho2.Communication;
using Dho2.Planning;

namespace Dho2;

/// <summary>
/// One rank's place in the grid of stages and replicas, and the groups that follow from it. All ranks of the world
/// construct it in step.
/// </summary>
internal sealed class RankGrid : IDisposable
{
    /// <summary>Forms the groups.</summary>
    /// <param name="layout">The layout.</param>
    /// <param name="world">All ranks; the grid's own from now on.</param>
    /// <exception cref="ArgumentException">The world has another number of ranks.</exception>
    public RankGrid(RankLayout layout, ICommunicator world)
    {
        if (layout.Mismatch(world.Size) is { } mismatch)
        {
            throw new ArgumentException(mismatch, nameof(world));
        }

        Layout = layout;
        World = world;
        Place = layout.PlaceOf(world.Rank);
        bool works = Place.Role == RankRole.Worker;
        Pipeline = world.Split(works ? Place.Replica : layout.Replicas, Place.Position);
        Replicas = world.Split(works ? Place.Position : layout.Positions + Place.Position, Place.Replica);
        if (layout.DedicatedCurvature)
        {
            Peers = world.Split(works ? 0 : 1, world.Rank);
            Link = world.Split(Place.Position, world.Rank);
        }
        else
        {
            Peers = world;
        }
    }

    /// <summary>The layout of the world.</summary>
    public RankLayout Layout { get; }

    /// <summary>This rank's place.</summary>
    public RankPlace Place { get; }

    /// <summary>All ranks.</summary>
    public ICommunicator World { get; }

    /// <summary>All ranks with this one's role, in the order of the world: what agrees on a step's loss. The world itself where all ranks work.</summary>
    public ICommunicator Peers { get; }

    /// <summary>The ranks of this replica's pipeline, or of the curvature's, by position.</summary>
    public ICommunicator Pipeline { get; }

    /// <summary>The workers at this position, by replica; a curvature rank is alone in its group.</summary>
    public ICommunicator Replicas { get; }

    /// <summary>
    /// The workers at this position, by replica, and last the curvature rank that estimates for their stages; null where
    /// curvature has no ranks of its own.
    /// </summary>
    public ICommunicator? Link { get; }

    /// <summary>Bytes that this rank has sent so far, in all groups.</summary>
    public long BytesSent =>
        World.BytesSent + Pipeline.BytesSent + Replicas.BytesSent + (Link?.BytesSent ?? 0) + (Peers == World ? 0 : Peers.BytesSent);

    /// <inheritdoc/>
    public void Dispose()
    {
        Link?.Dispose();
        Replicas.Dispose();
        Pipeline.Dispose();
        if (Peers != World)
        {
            Peers.Dispose();
        }

        World.Dispose();
    }
}
