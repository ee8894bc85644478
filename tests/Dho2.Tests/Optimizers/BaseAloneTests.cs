using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Curvature;
using Dho2.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Optimizers;

/// <summary>An optimizer that gives up its subspace, for a while or for good.</summary>
public sealed class BaseAloneTests
{
    private const int Size = 53;

    private static readonly ShardedSpace Space = new([new ParameterSegment("x", 0, Size)], null, ScalarType.Float64);

    [Theory]
    [InlineData(BaseKind.HeavyBall, "momentum")]
    [InlineData(BaseKind.Adam, "mean")]
    public void MomentumIsWhatTheWholeGradientsWouldHaveLeft(BaseKind kind, string name)
    {
        using HybridOptimizer optimizer = new(Space, new HybridSettings { Base = kind });
        using FlatBase alone = FlatBase.Create(kind, Space.Zeros());
        Train(optimizer, 0, 17, gradient =>
        {
            using Tensor whole = gradient.clone();
            alone.Apply(whole, 0.1);
        });

        // The subspace has turned in between, so that a part of the direction rests outside it.
        Assert.Contains("newton.rest", optimizer.GetState().Vectors.Keys);
        optimizer.DropSubspace();
        Compare.Near(Numbers(alone.Vectors[name]), Numbers(optimizer.GetState().Vectors["base." + name]), 1e-12);
        Assert.Null(optimizer.Subspace);
        Assert.Equal(1, optimizer.Scale);
        Assert.DoesNotContain("newton.rest", optimizer.GetState().Vectors.Keys);
    }

    [Fact]
    public void AdamsFirstStepsWithoutASubspaceAreNoLongerThanAdamsAre()
    {
        // A gradient that only the Newton part has seen: nothing of it is in the mean of the squares.
        using HybridOptimizer optimizer = new(Space, new HybridSettings { Base = BaseKind.Adam, LearningRate = 0.01 });
        using Subspace all = new(eye(Size, dtype: ScalarType.Float64), [.. Enumerable.Repeat(1.0, Size)], 0);
        optimizer.Refresh(Estimates.Of(new Subspace(all.Vectors.clone().DetachFromDisposeScope(), all.Eigenvalues, 0)));
        using Tensor theta = Space.Zeros();
        using Tensor gradient = ones(Size, ScalarType.Float64);
        for (int step = 0; step < 50; step++)
        {
            optimizer.Step(theta, gradient);
        }

        optimizer.DropSubspace();
        using Tensor before = theta.clone();
        optimizer.Step(theta, gradient);
        using Tensor length = (theta - before).abs().max();
        Assert.InRange(length.item<double>(), 0.001, 0.012);
    }

    [Theory]
    [InlineData(BaseKind.Sgd)]
    [InlineData(BaseKind.HeavyBall)]
    [InlineData(BaseKind.Nesterov)]
    [InlineData(BaseKind.Adam)]
    public void WhatTheBaseDoesAloneForAWhileLeavesNothingBehind(BaseKind kind)
    {
        HybridSettings settings = new() { Base = kind, MaxScale = 3, Sigma = 0.1, WeightDecay = kind == BaseKind.Adam ? 0.01 : 0 };
        using HybridOptimizer undisturbed = new(Space, settings);
        using HybridOptimizer optimizer = new(Space, settings);
        using Tensor expected = Train(undisturbed, 0, 17);
        using Tensor theta = Train(optimizer, 0, 17);
        using Tensor gradient = Space.Zeros();
        using (Tensor elsewhere = theta.clone())
        using (optimizer.EnterBaseAlone())
        {
            optimizer.LearningRate = 0.5;
            optimizer.Sigma = 3;
            Assert.Equal(1, optimizer.Scale);
            for (int step = 0; step < 5; step++)
            {
                Space.FillRandom(gradient, step, "other");
                optimizer.Step(elsewhere, gradient);
            }
        }

        OptimizerState one = undisturbed.GetState(), other = optimizer.GetState();
        Assert.Equal(one.Numbers.ToDictionary(n => n.Key, n => string.Join(" ", n.Value)), other.Numbers.ToDictionary(n => n.Key, n => string.Join(" ", n.Value)));
        Assert.All(one.Vectors, vector => Assert.Equal(Numbers(vector.Value), Numbers(other.Vectors[vector.Key])));

        // What is not part of the state follows from it.
        for (int step = 0; step < 5; step++)
        {
            Space.FillRandom(gradient, step, "more");
            undisturbed.Step(expected, gradient);
            optimizer.Step(theta, gradient);
        }

        Assert.Equal(Numbers(expected), Numbers(theta));
    }

    private static Tensor Train(HybridOptimizer optimizer, int first, int steps, Action<Tensor>? each = null)
    {
        Tensor theta = Space.Zeros();
        using Tensor gradient = Space.Zeros();
        for (int step = first; step < first + steps; step++)
        {
            if (step % 6 == 3)
            {
                optimizer.Refresh(Estimates.Of(Subspace.Random(Space, [1, 2, 3], 0, step, "v")));
            }

            Space.FillRandom(gradient, step, "g");
            optimizer.Step(theta, gradient);
            each?.Invoke(gradient);
        }

        return theta;
    }

    private static double[] Numbers(Tensor tensor) => tensor.flatten().data<double>().ToArray();
}
