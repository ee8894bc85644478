using System;
using System.Runtime.CompilerServices;
using Dho2.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Optimizers;

/// <summary>
/// The hybrid update in as few passes over memory as it has reductions, for vectors in host memory: what a tensor
/// operation each would read and write again stays in the nearest cache, tile by tile.
/// </summary>
internal sealed unsafe class HostStep(FlatBase firstOrder, HybridSettings settings)
{
    /// <summary>Whether a step on these tensors can be taken here.</summary>
    public static bool Supports(Tensor? rows, Tensor parameters, Tensor gradient) =>
        parameters.dtype is ScalarType.Float32 or ScalarType.Float64
        && gradient.dtype == parameters.dtype
        && parameters.device_type == DeviceType.CPU && gradient.device_type == DeviceType.CPU
        && parameters.is_contiguous() && gradient.is_contiguous()
        && (rows is null || HostRows.Supports(rows, parameters));

    /// <summary>One reading of the rows: their inner products with the gradient, L2 included.</summary>
    public void Project(Tensor rows, Tensor parameters, Tensor gradient, Span<double> result) =>
        Dispatch(rows, parameters, new Projection(new Vectors(rows, parameters, gradient, null), settings.L2), result);

    /// <summary>
    /// One reading: takes the gradient's components along the rows away, applies the base, and adds the step and a
    /// combination of the rows to the parameters.
    /// </summary>
    public void Update(Tensor? rows, Tensor parameters, Tensor gradient, ReadOnlySpan<double> removed, double rate, double scale, ReadOnlySpan<double> added)
    {
        firstOrder.BeginStep();
        Dispatch(
            rows, parameters, new UpdatePass(new Vectors(rows, parameters, gradient, null), firstOrder, settings, Negated(removed), rate, scale, added.ToArray()), []);
    }

    /// <summary>
    /// One reading: takes the gradient's components along the rows away, applies the base, and gives the step and its own
    /// components, for bases whose components along the rows are not known beforehand.
    /// </summary>
    public void Prepare(
        Tensor rows, Tensor parameters, Tensor gradient, Tensor direction, ReadOnlySpan<double> removed, double rate, Span<double> components)
    {
        firstOrder.BeginStep();
        Dispatch(
            rows, parameters, new PreparePass(new Vectors(rows, parameters, gradient, direction), firstOrder, settings, Negated(removed), rate), components);
    }

    /// <summary>One reading: adds a prepared step and a combination of the rows to the parameters.</summary>
    public void Finish(Tensor rows, Tensor parameters, Tensor direction, double scale, ReadOnlySpan<double> added) =>
        Dispatch(rows, parameters, new FinishPass(new Vectors(rows, parameters, direction, null), scale, added.ToArray()), []);

    private static double[] Negated(ReadOnlySpan<double> values)
    {
        double[] result = new double[values.Length];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = -values[i];
        }

        return result;
    }

    private static void Dispatch<TPass>(Tensor? rows, Tensor parameters, TPass pass, Span<double> sums)
        where TPass : struct, IPass
    {
        long size = parameters.NumberOfElements;
        sums.Clear();
        if (size == 0)
        {
            return;
        }

        switch (rows?.dtype ?? parameters.dtype)
        {
            case ScalarType.Float64:
                Run<TPass, DoubleKernel, double>(pass, size, sums);
                break;
            case ScalarType.Float32:
                Run<TPass, SingleKernel, float>(pass, size, sums);
                break;
            default:
                Run<TPass, BFloat16Kernel, float>(pass, size, sums);
                break;
        }

        GC.KeepAlive(rows);
        GC.KeepAlive(parameters);
    }

    private static void Run<TPass, TRows, T>(TPass pass, long size, Span<double> sums)
        where TPass : struct, IPass
        where TRows : struct, IRowKernel
        where T : unmanaged
    {
        int blocks = HostRows.Blocks(size);
        int count = sums.Length;
        double[] partial = new double[(long)blocks * count];
        HostRows.ForBlocks(blocks, block =>
        {
            int tile = pass.TileBytes / TRows.RowElementSize;

            // It is cleared for every block: not where nobody looks at it.
            byte* scratch = stackalloc byte[pass.UsesScratch ? tile * sizeof(T) : 0];
            Span<double> blockSums = partial.AsSpan(block * count, count);
            long end = Math.Min(size, (block + 1L) * HostRows.BlockSize);
            for (long start = (long)block * HostRows.BlockSize; start < end; start += tile)
            {
                pass.Tile<TRows>(start, (int)Math.Min(tile, end - start), scratch, blockSums);
            }
        });
        for (int i = 0; i < partial.Length; i++)
        {
            sums[i % count] += partial[i];
        }
    }

    private interface IPass
    {
        /// <summary>Bytes of a row's tile.</summary>
        int TileBytes { get; }

        /// <summary>Whether it needs room for a tile of a vector, on the stack.</summary>
        bool UsesScratch { get; }

        /// <summary>Works on one tile; its sums are added to those of its block.</summary>
        void Tile<TRows>(long start, int count, byte* scratch, Span<double> sums)
            where TRows : struct, IRowKernel;
    }

    /// <summary>The addresses that the passes work on.</summary>
    private readonly struct Vectors(Tensor? rows, Tensor parameters, Tensor source, Tensor? direction)
    {
        private readonly long size = parameters.NumberOfElements;
        private readonly byte* rows = rows is null || parameters.NumberOfElements == 0 ? null : HostRows.Address(rows);
        private readonly byte* parameters = AddressOf(parameters);
        private readonly byte* source = AddressOf(source);
        private readonly byte* direction = direction is null ? null : AddressOf(direction);

        /// <summary>Elements of a row.</summary>
        public long Size => size;

        public byte* Rows<TRows>(long start)
            where TRows : struct, IRowKernel => rows + (start * TRows.RowElementSize);

        public byte* Parameters<TRows>(long start)
            where TRows : struct, IRowKernel => parameters + (start * TRows.VectorElementSize);

        public byte* Source<TRows>(long start)
            where TRows : struct, IRowKernel => source + (start * TRows.VectorElementSize);

        public byte* Direction<TRows>(long start)
            where TRows : struct, IRowKernel => direction + (start * TRows.VectorElementSize);

        /// <summary>The gradient's tile with L2.</summary>
        public void Load<TRows>(byte* tile, long start, int count, double l2)
            where TRows : struct, IRowKernel
        {
            Buffer.MemoryCopy(Source<TRows>(start), tile, count * TRows.VectorElementSize, count * TRows.VectorElementSize);
            if (l2 > 0)
            {
                AddVector<TRows>(l2, Parameters<TRows>(start), tile, count);
            }
        }

        private static byte* AddressOf(Tensor tensor) => tensor.NumberOfElements == 0 ? null : HostRows.Address(tensor);
    }

    private readonly struct Projection(Vectors vectors, double l2) : IPass
    {
        public int TileBytes => UsesScratch ? HostRows.TileBytes : HostRows.LongTileBytes;

        public bool UsesScratch => l2 > 0;

        public void Tile<TRows>(long start, int count, byte* scratch, Span<double> sums)
            where TRows : struct, IRowKernel
        {
            byte* tile = vectors.Source<TRows>(start);
            if (l2 > 0)
            {
                vectors.Load<TRows>(scratch, start, count, l2);
                tile = scratch;
            }

            HostRows.DotTile<TRows>(vectors.Rows<TRows>(start), vectors.Size, tile, count, sums, inRuns: true);
        }
    }

    private readonly struct UpdatePass(
        Vectors vectors, FlatBase firstOrder, HybridSettings settings, double[] removal, double rate, double scale, double[] added) : IPass
    {
        // A plain gradient step alone reads the gradient where it lies: a copy of it would take longer than the rest.
        private readonly bool isPlain = removal.Length == 0 && added.Length == 0 && settings.L2 == 0 && settings.WeightDecay == 0
            && firstOrder is MomentumBase { Momentum: null };

        public int TileBytes => HostRows.TileBytes;

        public bool UsesScratch => !isPlain;

        public void Tile<TRows>(long start, int count, byte* scratch, Span<double> sums)
            where TRows : struct, IRowKernel
        {
            byte* parameters = vectors.Parameters<TRows>(start);
            if (isPlain)
            {
                AddVector<TRows>(-rate * scale, vectors.Source<TRows>(start), parameters, count);
                return;
            }

            vectors.Load<TRows>(scratch, start, count, settings.L2);
            HostRows.AddTile<TRows>(removal, vectors.Rows<TRows>(start), vectors.Size, scratch, count);

            firstOrder.ApplyTile(scratch, start, count, rate);
            if (settings.WeightDecay > 0)
            {
                AddVector<TRows>(-rate * settings.WeightDecay, parameters, scratch, count);
            }

            AddVector<TRows>(scale, scratch, parameters, count);
            HostRows.AddTile<TRows>(added, vectors.Rows<TRows>(start), vectors.Size, parameters, count);
        }
    }

    private readonly struct PreparePass(Vectors vectors, FlatBase firstOrder, HybridSettings settings, double[] removal, double rate) : IPass
    {
        public int TileBytes => HostRows.TileBytes;

        public bool UsesScratch => false;

        public void Tile<TRows>(long start, int count, byte* scratch, Span<double> sums)
            where TRows : struct, IRowKernel
        {
            byte* direction = vectors.Direction<TRows>(start);
            vectors.Load<TRows>(direction, start, count, settings.L2);
            HostRows.AddTile<TRows>(removal, vectors.Rows<TRows>(start), vectors.Size, direction, count);

            firstOrder.ApplyTile(direction, start, count, rate);
            if (settings.WeightDecay > 0)
            {
                AddVector<TRows>(-rate * settings.WeightDecay, vectors.Parameters<TRows>(start), direction, count);
            }

            HostRows.DotTile<TRows>(vectors.Rows<TRows>(start), vectors.Size, direction, count, sums, inRuns: true);
        }
    }

    private readonly struct FinishPass(Vectors vectors, double scale, double[] added) : IPass
    {
        public int TileBytes => HostRows.LongTileBytes;

        public bool UsesScratch => false;

        public void Tile<TRows>(long start, int count, byte* scratch, Span<double> sums)
            where TRows : struct, IRowKernel
        {
            byte* parameters = vectors.Parameters<TRows>(start);
            AddVector<TRows>(scale, vectors.Source<TRows>(start), parameters, count);
            HostRows.AddTile<TRows>(added, vectors.Rows<TRows>(start), vectors.Size, parameters, count);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddVector<TRows>(double factor, byte* from, byte* to, int count)
        where TRows : struct, IRowKernel
    {
        if (TRows.VectorElementSize == sizeof(double))
        {
            DoubleKernel.Add(factor, from, to, count);
        }
        else
        {
            SingleKernel.Add(factor, from, to, count);
        }
    }
}
