using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>One of a rank's stages as products with the Hessian see it: its twin, its part of the rank's flat vectors, and its micro-batches.</summary>
internal sealed class TwinStage
{
    private readonly FlatSegment[] segments;

    /// <summary>Finds the stage's part of the rank's parameters.</summary>
    /// <param name="twin">The stage; stays the caller's.</param>
    /// <param name="cuts">What crosses between stages.</param>
    /// <param name="flat">The parameters of all stages of the rank.</param>
    /// <param name="mirrors">The stage's mirrors of parameters that other stages own.</param>
    /// <param name="products">Where products add up: a view for each parameter of the rank, and behind them one for each mirror.</param>
    /// <param name="reusesTangents">Whether the stage differentiates the tangents' graph on the way down.</param>
    public TwinStage(
        IPipelineStage twin, IReadOnlyList<CutPlan> cuts, FlatParameters flat, IReadOnlyList<Tensor> mirrors, IReadOnlyList<Tensor> products, bool reusesTangents)
    {
        Twin = twin;
        Incoming = twin.Index > 0 ? cuts[twin.Index - 1] : null;
        Outgoing = twin.Index < cuts.Count ? cuts[twin.Index] : null;
        ReusesTangents = reusesTangents;

        var own = new HashSet<(IntPtr, long)>(twin.Layers
            .SelectMany(layer => layer.Parameter is { } parameter ? [parameter] : layer.Module!.parameters())
            .Select(TensorIdentity.Of));
        int[] places = [.. Enumerable.Range(0, flat.Segments.Count).Where(i => own.Contains(TensorIdentity.Of(flat.Parameters[i])))];
        segments = [.. places.Select(i => flat.Segments[i])];
        Leaves = [.. places.Select(i => flat.Parameters[i]), .. mirrors];
        Products = [.. places.Select(i => products[i]), .. products.Skip(flat.Segments.Count)];
    }

    /// <summary>The stage itself.</summary>
    public IPipelineStage Twin { get; }

    /// <summary>What comes from the stage before; null on the first.</summary>
    public CutPlan? Incoming { get; }

    /// <summary>What goes to the stage after; null on the last.</summary>
    public CutPlan? Outgoing { get; }

    /// <summary>Whether the stage differentiates the tangents' graph on the way down.</summary>
    public bool ReusesTangents { get; }

    /// <summary>The parameters that the stage computes with: its own, and mirrors.</summary>
    public Tensor[] Leaves { get; }

    /// <summary>Where each leaf's part of a product adds up.</summary>
    public Tensor[] Products { get; }

    /// <summary>What the stage keeps of each micro-batch of the curvature batch.</summary>
    public TwinSlot[] Slots { get; private set; } = [];

    /// <summary>Makes room for micro-batches.</summary>
    public void Open(int microBatches)
    {
        Release();
        Slots = [.. Enumerable.Range(0, microBatches).Select(_ => new TwinSlot())];
    }

    /// <summary>Lets go of all micro-batches.</summary>
    public void Release() => Array.ForEach(Slots, slot => slot.Dispose());

    /// <summary>A direction's parts, one for each leaf; they belong to the current scope.</summary>
    /// <param name="direction">The rank's part of the direction.</param>
    /// <param name="mirrors">Its values for mirrors.</param>
    public Tensor[] PartsOf(Tensor direction, IReadOnlyList<Tensor> mirrors) => [.. segments.Select(segment => segment.ViewOf(direction)), .. mirrors];
}

/// <summary>
/// What a stage keeps of one micro-batch: its graphs, and what has come for it, or is to go, between two instructions. All
/// handles are the slot's own and belong to no scope.
/// </summary>
internal sealed class TwinSlot : IDisposable
{
    /// <summary>The graphs; null before they are built.</summary>
    public StageGraph? Graph { get; set; }

    /// <summary>What has come for the next computation.</summary>
    public Tensor[] Arrived { get; private set; } = [];

    /// <summary>What the last computation has made and is to go.</summary>
    public Tensor[] Leaving { get; private set; } = [];

    /// <summary>Keeps what has come.</summary>
    public void Arrive(IEnumerable<Tensor> tensors) => Arrived = Keep(tensors);

    /// <summary>Keeps what is to go.</summary>
    public void Leave(IEnumerable<Tensor> tensors) => Leaving = Keep(tensors);

    /// <summary>Lets go of what has come.</summary>
    public void ReleaseArrived()
    {
        Array.ForEach(Arrived, tensor => tensor.Dispose());
        Arrived = [];
    }

    /// <summary>Lets go of what was to go.</summary>
    public void ReleaseLeaving()
    {
        Array.ForEach(Leaving, tensor => tensor.Dispose());
        Leaving = [];
    }

    public void Dispose()
    {
        Graph?.Dispose();
        Graph = null;
        ReleaseArrived();
        ReleaseLeaving();
    }

    private static Tensor[] Keep(IEnumerable<Tensor> tensors) => [.. tensors.Select(tensor => tensor.DetachFromDisposeScope())];
}
