using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.TimeToLoss;

/// <summary>
/// The limited-memory BFGS approximation of an inverse Hessian from pairs of a displacement s and a change of the gradient y
/// (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4), in its two loops over the pairs.
/// </summary>
internal sealed class InverseHessian(ShardedSpace space, int memory) : IDisposable
{
    private readonly List<Pair> pairs = [];

    /// <summary>Pairs kept at the moment.</summary>
    public int Count => pairs.Count;

    /// <summary>Takes over a pair with <c>s'y &gt; 0</c>, in place of the oldest where the memory is full.</summary>
    /// <param name="displacement">s, shape (n); copied.</param>
    /// <param name="change">y, shape (n); copied.</param>
    /// <exception cref="ArgumentException">The product of both is not a positive number.</exception>
    public void Add(Tensor displacement, Tensor change)
    {
        double curvature = space.Dot(displacement, change);
        if (!(curvature > 0 && double.IsFinite(curvature)))
        {
            throw new ArgumentException($"s'y is {curvature}; a pair needs a positive one.", nameof(change));
        }

        if (pairs.Count == memory)
        {
            pairs[0].Dispose();
            pairs.RemoveAt(0);
        }

        pairs.Add(new Pair(
            displacement.detach().clone().DetachFromDisposeScope(), change.detach().clone().DetachFromDisposeScope(), 1 / curvature, curvature / space.Dot(change, change)));
    }

    /// <summary>Multiplies a vector by the matrix, in place; without pairs it stays as it is.</summary>
    /// <param name="vector">Shape (n).</param>
    public void Multiply(Tensor vector)
    {
        double[] shares = new double[pairs.Count];
        for (int i = pairs.Count - 1; i >= 0; i--)
        {
            shares[i] = pairs[i].Rho * space.Dot(pairs[i].Displacement, vector);
            vector.add_(pairs[i].Change, alpha: -shares[i]);
        }

        if (pairs.Count > 0)
        {
            vector.mul_(pairs[^1].Gamma);
        }

        for (int i = 0; i < pairs.Count; i++)
        {
            double back = pairs[i].Rho * space.Dot(pairs[i].Change, vector);
            vector.add_(pairs[i].Displacement, alpha: shares[i] - back);
        }
    }

    public void Dispose() => pairs.ForEach(pair => pair.Dispose());

    private sealed record Pair(Tensor Displacement, Tensor Change, double Rho, double Gamma) : IDisposable
    {
        public void Dispose()
        {
            Displacement.Dispose();
            Change.Dispose();
        }
    }
}
