using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Numerics;
using static TorchSharp.torch;

namespace Dho2.Curvature;

/// <summary>
/// A vector space whose vectors are spread over the ranks of a group: every rank holds its own elements only, and sums
/// over all elements are local sums in float64 followed by an all-reduce. Nobody ever holds a whole vector.
/// </summary>
public sealed class ShardedSpace
{
    private readonly ICommunicator? communicator;
    private readonly Dictionary<int, long> reductions = [];

    /// <summary>Describes this rank's shard. All ranks of the group construct it in step: the sizes are added up.</summary>
    /// <param name="segments">The parameters of the shard, in order and without gaps.</param>
    /// <param name="communicator">The group, or null for a rank that is alone.</param>
    /// <param name="dtype">The element type of the model's parameters: float32 or float64.</param>
    /// <param name="device">Where vectors live; the CPU by default.</param>
    /// <exception cref="ArgumentException">The segments leave gaps or overlap, or the element type is neither of the two.</exception>
    public ShardedSpace(
        IReadOnlyList<ParameterSegment> segments,
        ICommunicator? communicator = null,
        ScalarType dtype = ScalarType.Float32,
        Device? device = null)
    {
        if (dtype is not (ScalarType.Float32 or ScalarType.Float64))
        {
            throw new ArgumentException($"Vectors are float32 or float64, not {dtype}.", nameof(dtype));
        }

        long end = 0;
        foreach (ParameterSegment segment in segments)
        {
            if (segment.Offset != end || segment.Length < 0)
            {
                throw new ArgumentException(
                    $"Segment '{segment.Name}' has offset {segment.Offset} and length {segment.Length}; the one before it ends at {end}.",
                    nameof(segments));
            }

            end += segment.Length;
        }

        Segments = segments.ToArray();
        LocalSize = end;
        DType = dtype;
        Device = device ?? CPU;
        this.communicator = communicator is { Size: > 1 } ? communicator : null;
        Span<double> sizes = [end];
        AllReduce(sizes);
        Size = (long)sizes[0];
    }

    /// <summary>The parameters of this rank's shard.</summary>
    public IReadOnlyList<ParameterSegment> Segments { get; }

    /// <summary>The number of elements on this rank (n_s).</summary>
    public long LocalSize { get; }

    /// <summary>The number of elements on all ranks (n).</summary>
    public long Size { get; }

    /// <summary>The element type of vectors.</summary>
    public ScalarType DType { get; }

    /// <summary>Where vectors live.</summary>
    public Device Device { get; }

    /// <summary>Adds up each number over the ranks of the group.</summary>
    /// <param name="values">This rank's numbers; overwritten with the sums.</param>
    public void AllReduce(Span<double> values)
    {
        if (communicator is not null)
        {
            communicator.AllReduce(values);
            reductions[values.Length] = reductions.GetValueOrDefault(values.Length) + 1;
        }
    }

    /// <summary>Ranks of the group.</summary>
    internal int GroupSize => communicator?.Size ?? 1;

    /// <summary>How often so many numbers were reduced so far.</summary>
    internal IReadOnlyDictionary<int, long> Reductions => reductions;

    /// <summary>The inner product of two vectors, accumulated in float64.</summary>
    /// <param name="left">This rank's shard, shape (n_s).</param>
    /// <param name="right">This rank's shard, shape (n_s).</param>
    public double Dot(Tensor left, Tensor right)
    {
        Span<double> result = stackalloc double[1];
        RowBlock.LocalDot(left, right, result);
        AllReduce(result);
        return result[0];
    }

    /// <summary>The Euclidean norm of a vector, accumulated in float64.</summary>
    /// <param name="vector">This rank's shard, shape (n_s).</param>
    public double Norm(Tensor vector) => Math.Sqrt(Dot(vector, vector));

    /// <summary>The inner products of the rows of a matrix with a vector, accumulated in float64.</summary>
    /// <param name="rows">This rank's columns, shape (r, n_s).</param>
    /// <param name="vector">This rank's shard, shape (n_s).</param>
    /// <param name="result">Overwritten with the r inner products, the same on every rank.</param>
    public void Project(Tensor rows, Tensor vector, Span<double> result) => Project([rows], vector, result);

    /// <summary>The inner products of the rows of a matrix that lies in blocks with a vector, accumulated in float64.</summary>
    /// <param name="blocks">This rank's columns, each of shape (r, n_s).</param>
    /// <param name="vector">This rank's shard, shape (n_s).</param>
    /// <param name="result">Overwritten with as many inner products as there are rows, the same on every rank.</param>
    internal void Project(IReadOnlyList<Tensor> blocks, Tensor vector, Span<double> result)
    {
        int start = 0;
        foreach (Tensor rows in blocks)
        {
            int count = (int)rows.size(0);
            RowBlock.LocalDots(rows, vector, result.Slice(start, count));
            start += count;
        }

        AllReduce(result);
    }

    /// <summary>Adds a combination of the rows of a matrix to a vector, in place; no communication.</summary>
    /// <param name="rows">This rank's columns, shape (r, n_s).</param>
    /// <param name="coefficients">The r coefficients.</param>
    /// <param name="vector">This rank's shard, shape (n_s).</param>
    public void AddCombination(Tensor rows, ReadOnlySpan<double> coefficients, Tensor vector) =>
        RowBlock.AddCombination(rows, coefficients, vector);

    /// <summary>Adds a combination of the rows of a matrix that lies in blocks to a vector, in place; no communication.</summary>
    /// <param name="blocks">This rank's columns, each of shape (r, n_s).</param>
    /// <param name="coefficients">As many coefficients as there are rows.</param>
    /// <param name="vector">This rank's shard, shape (n_s).</param>
    internal void AddCombination(IReadOnlyList<Tensor> blocks, ReadOnlySpan<double> coefficients, Tensor vector)
    {
        int start = 0;
        foreach (Tensor rows in blocks)
        {
            int count = (int)rows.size(0);
            RowBlock.AddCombination(rows, coefficients.Slice(start, count), vector);
            start += count;
        }
    }

    /// <summary>A new vector of zeros, outside any dispose scope.</summary>
    public Tensor Zeros(ScalarType? dtype = null) => NewZeros([LocalSize], dtype);

    /// <summary>A new matrix of zeros with one row for each vector, outside any dispose scope.</summary>
    /// <param name="rows">The number of rows.</param>
    /// <param name="dtype">The element type; the space's own by default.</param>
    public Tensor ZeroRows(int rows, ScalarType? dtype = null) => NewZeros([rows, LocalSize], dtype);

    /// <summary>The same with whatever the memory holds.</summary>
    internal Tensor EmptyRows(int rows, ScalarType? dtype = null) => empty([rows, LocalSize], dtype ?? DType, Device).DetachFromDisposeScope();

    /// <summary>
    /// Fills a vector with independent random numbers of mean 0 and variance 1 that depend on the seed, the draw and each
    /// element's place in its parameter, and on nothing else: not on the partition.
    /// </summary>
    /// <param name="vector">This rank's shard, shape (n_s), overwritten.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="draw">Names the draw: different names give unrelated vectors.</param>
    public void FillRandom(Tensor vector, long seed, string draw)
    {
        foreach (ParameterSegment segment in Segments)
        {
            using Tensor part = vector.narrow(0, segment.Offset, segment.Length);
            CounterRandom.Fill(part, seed, segment.Name + "\n" + draw, segment.Start);
        }
    }

    private Tensor NewZeros(long[] shape, ScalarType? dtype) =>
        zeros(shape, dtype ?? DType, Device).DetachFromDisposeScope();
}
