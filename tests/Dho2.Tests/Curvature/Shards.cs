using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using static TorchSharp.torch;

namespace Dho2.Tests.Curvature;

/// <summary>One rank's slice of vectors of length n, whose "parameters" are single elements, so that any cut is a partition.</summary>
internal sealed class Shards
{
    private readonly int size;
    private readonly int start;
    private readonly int length;
    private readonly ICommunicator? communicator;

    public Shards(int size, ICommunicator? communicator = null, ScalarType dtype = ScalarType.Float64)
    {
        int rank = communicator?.Rank ?? 0;
        int ranks = communicator?.Size ?? 1;
        this.size = size;
        this.communicator = communicator;
        start = size * rank / ranks;
        length = (size * (rank + 1) / ranks) - start;
        Space = new ShardedSpace(
            [.. Enumerable.Range(0, length).Select(i => new ParameterSegment($"p{start + i}", i, 1))], communicator, dtype);
    }

    public ShardedSpace Space { get; }

    /// <summary>This rank's slice of a whole vector.</summary>
    public double[] Slice(double[] whole) => whole[start..(start + length)];

    /// <summary>This rank's slice of a whole vector, as a tensor of the space.</summary>
    public Tensor SliceTensor(double[] whole) => tensor(Slice(whole), Space.DType);

    /// <summary>The whole vector on every rank: what only a test does.</summary>
    public double[] Gather(Tensor slice)
    {
        double[] whole = new double[size];
        using Tensor wide = slice.to(ScalarType.Float64);
        wide.data<double>().ToArray().CopyTo(whole, start);
        communicator?.AllReduce(whole.AsSpan());
        return whole;
    }

    /// <summary>All rows of a matrix that is sharded by columns.</summary>
    public double[][] GatherRows(Tensor rows)
    {
        List<double[]> result = [];
        for (int i = 0; i < rows.size(0); i++)
        {
            using Tensor row = rows.select(0, i);
            result.Add(Gather(row));
        }

        return [.. result];
    }

    /// <summary>An operator on the shards from one on whole vectors.</summary>
    public WholeOperator Operator(Func<double[], double[]> multiply) => new(this, length, multiply);

    /// <summary>The operator of a dense matrix.</summary>
    public WholeOperator Operator(double[][] matrix) =>
        Operator(v => [.. matrix.Select(row => row.Zip(v, (a, b) => a * b).Sum())]);

    internal sealed class WholeOperator(Shards shards, int length, Func<double[], double[]> multiply) : IHessianOperator
    {
        public long LocalSize => length;

        public int Products { get; private set; }

        public void Multiply(Tensor direction, Tensor product)
        {
            Products++;
            using Tensor slice = shards.SliceTensor(multiply(shards.Gather(direction)));
            product.copy_(slice);
        }
    }
}
