using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Benchmarks.TimeToLoss;
using Dho2.Curvature;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Benchmarks.Tests.TimeToLoss;

public sealed class InverseHessianTests : IDisposable
{
    private const int Size = 12;
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly Generator random = new(11);
    private readonly ShardedSpace space = new([new ParameterSegment("x", 0, Size)], dtype: ScalarType.Float64);
    private readonly Tensor hessian;

    public InverseHessianTests()
    {
        // Eigenvalues from 1 up to some tens.
        Tensor root = Normal(Size, Size);
        hessian = root.mm(root.t()) + eye(Size, dtype: ScalarType.Float64);
    }

    [Theory]
    [InlineData(3, 8)]
    [InlineData(5, 5)]
    [InlineData(3, 1)]
    public void Two_loops_multiply_by_the_matrix_of_the_latest_pairs(int added, int memory)
    {
        added = Math.Max(added, memory + 2);
        using InverseHessian inverse = new(space, memory);
        (Tensor S, Tensor Y)[] pairs = [.. Enumerable.Range(0, added).Select(_ => Normal(Size)).Select(s => (s, hessian.mv(s)))];
        foreach ((Tensor s, Tensor y) in pairs)
        {
            inverse.Add(s, y);
        }

        Tensor expected = Dense([.. pairs.TakeLast(memory)]);
        Tensor vector = Normal(Size);
        Tensor found = vector.clone();
        inverse.Multiply(found);

        Assert.Equal(memory, inverse.Count);
        Assert.True(allclose(expected.mv(vector), found, 1e-12, 1e-12), $"{expected.mv(vector) - found}");
    }

    [Fact]
    public void Before_there_are_pairs_a_vector_stays_as_it_is()
    {
        using InverseHessian inverse = new(space, 3);
        Tensor vector = Normal(Size);
        Tensor found = vector.clone();
        inverse.Multiply(found);
        Assert.Equal(0, space.Norm(vector - found));
    }

    [Fact]
    public void The_latest_displacement_comes_back_from_its_change()
    {
        using InverseHessian inverse = new(space, 4);
        for (int i = 0; i < 4; i++)
        {
            Tensor s = Normal(Size);
            Tensor y = hessian.mv(s);
            inverse.Add(s, y);
            inverse.Multiply(y);
            Assert.True(allclose(s, y, 1e-10, 1e-10));
        }
    }

    [Theory]
    [InlineData(-1.0)]
    [InlineData(0.0)]
    [InlineData(double.NaN)]
    public void A_pair_without_positive_curvature_is_refused(double factor)
    {
        using InverseHessian inverse = new(space, 3);
        Tensor s = Normal(Size);
        Assert.Throws<ArgumentException>(() => inverse.Add(s, s * factor));
    }

    [Fact]
    public void With_exact_line_searches_it_ends_at_the_minimum_of_a_quadratic_after_as_many_steps_as_there_are_dimensions()
    {
        using InverseHessian inverse = new(space, Size);
        Tensor x = Normal(Size);
        Tensor gradient = hessian.mv(x);
        double start = space.Norm(gradient);
        for (int i = 0; i < Size; i++)
        {
            Tensor direction = gradient.clone();
            inverse.Multiply(direction);
            double rate = space.Dot(gradient, direction) / space.Dot(direction, hessian.mv(direction));
            Tensor step = direction * -rate;
            x += step;
            inverse.Add(step, hessian.mv(step));
            gradient = hessian.mv(x);
        }

        Assert.True(space.Norm(gradient) < 1e-8 * start, $"{space.Norm(gradient)} of {start}");
    }

    [Theory]
    [InlineData(-3.0)]
    [InlineData(0.1)]
    public void Powells_damping_raises_the_curvature_of_a_pair_to_a_fifth_of_the_models(double measured)
    {
        Tensor s = Normal(Size);
        Tensor modelled = hessian.mv(s);
        double expected = space.Dot(s, modelled);
        Tensor change = Normal(Size);
        change.add_(s, alpha: ((measured * expected) - space.Dot(s, change)) / space.Dot(s, s));

        LimitedBfgsMethod.Damp(change, modelled, space.Dot(s, change), expected);
        Assert.Equal(0.2, space.Dot(s, change) / expected, 1e-10);
    }

    [Fact]
    public void Powells_damping_leaves_a_pair_with_enough_curvature_alone()
    {
        Tensor s = Normal(Size);
        Tensor modelled = hessian.mv(s);
        Tensor change = modelled * 0.3;
        Tensor before = change.clone();
        LimitedBfgsMethod.Damp(change, modelled, space.Dot(s, change), space.Dot(s, modelled));
        Assert.Equal(0, space.Norm(before - change));
    }

    public void Dispose()
    {
        random.Dispose();
        scope.Dispose();
    }

    private Tensor Normal(params long[] shape) => randn(shape, ScalarType.Float64, generator: random);

    // The BFGS update of the inverse, pair by pair, from the scaled identity.
    private static Tensor Dense((Tensor S, Tensor Y)[] pairs)
    {
        (Tensor lastS, Tensor lastY) = pairs[^1];
        Tensor matrix = eye(Size, dtype: ScalarType.Float64) * (lastS.dot(lastY) / lastY.dot(lastY));
        foreach ((Tensor s, Tensor y) in pairs)
        {
            Tensor rho = 1 / s.dot(y);
            Tensor left = eye(Size, dtype: ScalarType.Float64) - (rho * s.outer(y));
            matrix = left.mm(matrix).mm(left.t()) + (rho * s.outer(s));
        }

        return matrix;
    }
}
