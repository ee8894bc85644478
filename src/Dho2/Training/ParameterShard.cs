using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>
/// This replica's equal share of a stage's flat vector, where optimizer state and curvature are shared out over the
/// replicas (Rajbhandari et al. 2020, stage 1): gradients are reduced into shares, each replica updates its own, and
/// parameters are gathered. The last shares may reach beyond the parameters, into padding.
/// </summary>
internal sealed class ParameterShard : IDisposable
{
    private readonly FlatParameters flat;
    private readonly ICommunicator replicas;
    private readonly torch.Tensor share;
    private readonly long start;

    /// <summary>Cuts out a replica's share.</summary>
    /// <param name="flat">The stage's parameters, padded to a multiple of the replicas; stays the caller's.</param>
    /// <param name="replicas">The replicas of the stage; stay the caller's.</param>
    public ParameterShard(FlatParameters flat, ICommunicator replicas)
    {
        this.flat = flat;
        this.replicas = replicas;
        ShareLength = flat.PaddedValues.NumberOfElements / replicas.Size;
        start = ShareLength * replicas.Rank;
        Length = Math.Clamp(flat.Count - start, 0, ShareLength);
        using DisposeScope scope = torch.NewDisposeScope();
        share = torch.zeros(ShareLength, flat.Values.dtype, flat.Values.device).DetachFromDisposeScope();
        Values = flat.PaddedValues.narrow(0, start, Length).DetachFromDisposeScope();
        Gradient = share.narrow(0, 0, Length).DetachFromDisposeScope();
        Segments = [.. Cut(flat.Segments)];
    }

    /// <summary>Elements of every share, padding included.</summary>
    public long ShareLength { get; }

    /// <summary>Elements of this one, without padding.</summary>
    public long Length { get; }

    /// <summary>The parameters, or parts of them, that lie in the share.</summary>
    public IReadOnlyList<ParameterSegment> Segments { get; }

    /// <summary>The share of the parameters, shape (<see cref="Length"/>): a view of them.</summary>
    public torch.Tensor Values { get; }

    /// <summary>The share of the gradient after <see cref="ReduceGradients"/>, shape (<see cref="Length"/>).</summary>
    public torch.Tensor Gradient { get; }

    /// <summary>Adds up the replicas' gradients and leaves this replica's share of the sum in <see cref="Gradient"/>.</summary>
    public void ReduceGradients() => replicas.ReduceScatter(share, flat.PaddedGradients);

    /// <summary>Gathers all replicas' shares of the parameters; <see cref="Gradient"/> is overwritten.</summary>
    public void GatherValues()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        share.copy_(flat.PaddedValues.narrow(0, start, ShareLength));
        replicas.AllGather(flat.PaddedValues, share);
    }

    /// <summary>Multiplies a vector of which every replica holds its share, by an operator on the stage's whole vectors.</summary>
    /// <param name="whole">The operator: direction, product; the replicas' products are added up here.</param>
    /// <param name="direction">This replica's share, shape (<see cref="Length"/>).</param>
    /// <param name="product">Overwritten with this replica's share, shape (<see cref="Length"/>).</param>
    public void Multiply(Action<torch.Tensor, torch.Tensor> whole, torch.Tensor direction, torch.Tensor product)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGrad = torch.no_grad();
        torch.Tensor padded = torch.zeros_like(flat.PaddedValues);
        torch.Tensor part = torch.zeros_like(share);
        part.narrow(0, 0, Length).copy_(direction);
        replicas.AllGather(padded, part);
        torch.Tensor result = torch.zeros_like(padded);
        whole(padded.narrow(0, 0, flat.Count), result.narrow(0, 0, flat.Count));
        replicas.ReduceScatter(part, result);
        product.copy_(part.narrow(0, 0, Length));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Values.Dispose();
        Gradient.Dispose();
        share.Dispose();
    }

    private IEnumerable<ParameterSegment> Cut(IReadOnlyList<FlatSegment> segments)
    {
        foreach (FlatSegment segment in segments)
        {
            long first = Math.Max(segment.Offset, start);
            long end = Math.Min(segment.Offset + segment.Length, start + Length);
            if (first < end)
            {
                yield return new ParameterSegment(segment.Name, first - start, end - first, first - segment.Offset);
            }
        }
    }
}
