using System;
using System.Linq;
using Dho2.Curvature;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>Going on without a subspace: for a while, or for good.</summary>
public sealed partial class HybridOptimizer
{
    /// <summary>
    /// Gives up the eigenpairs in force: from here on the base takes the whole step, until the next <see cref="Refresh"/>. What
    /// the Newton part has accumulated goes over to the base, so that its momentum is what the whole gradients would have left
    /// (for heavy-ball and Adam's mean exactly that, where both parts decay alike).
    /// </summary>
    public void DropSubspace()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGrad = no_grad();
        HandOver();
        Subspace?.Dispose();
        Subspace = null;
        newton.Clear();
        (Scale, magnitudes, rates) = (1, [], []);
    }

    /// <summary>
    /// Lets the base take the whole step, as after <see cref="DropSubspace"/>, until the result is disposed, which puts back all
    /// that is part of the optimizer's state, bit for bit. No refresh may come in between.
    /// </summary>
    internal IDisposable EnterBaseAlone() => new BaseAlone(this);

    private void HandOver()
    {
        if (Subspace is not null)
        {
            using Tensor mean = space.Zeros();
            newton.AddTo(Subspace.Vectors, mean);
            firstOrder.TakeOver(mean.DivideBy(newton.StationaryGain));
        }
    }

    // Without a subspace nothing of the Newton part, of the rates or of the momentum's coefficients is read or written.
    private sealed class BaseAlone : IDisposable
    {
        private readonly HybridOptimizer optimizer;
        private readonly (Tensor Live, Tensor Copy)[] vectors;
        private readonly Subspace? subspace;
        private readonly long steps;
        private readonly double learningRate;
        private readonly double sigma;
        private readonly double scale;

        public BaseAlone(HybridOptimizer optimizer)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGrad = no_grad();
            this.optimizer = optimizer;
            vectors = [.. optimizer.firstOrder.Vectors.Values.Select(vector => (vector, vector.clone().DetachFromDisposeScope()))];
            (subspace, scale) = (optimizer.Subspace, optimizer.Scale);
            (steps, learningRate, sigma) = (optimizer.firstOrder.Steps, optimizer.LearningRate, optimizer.sigma);
            optimizer.HandOver();
            (optimizer.Subspace, optimizer.Scale) = (null, 1);
        }

        public void Dispose()
        {
            using IDisposable noGrad = no_grad();
            foreach ((Tensor live, Tensor copy) in vectors)
            {
                live.copy_(copy);
                copy.Dispose();
            }

            (optimizer.Subspace, optimizer.Scale) = (subspace, scale);
            (optimizer.firstOrder.Steps, optimizer.LearningRate, optimizer.sigma) = (steps, learningRate, sigma);
        }
    }
}
