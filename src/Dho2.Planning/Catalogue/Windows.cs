using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>The sizes of a window that slides over the last dimensions: kernel, stride, padding, dilation.</summary>
/// <param name="Kernel">The window's size in each dimension.</param>
/// <param name="Stride">Its steps.</param>
/// <param name="Padding">What is added at both ends.</param>
/// <param name="Dilation">The distance between its elements.</param>
internal sealed record Windows(
    IReadOnlyList<Dimension> Kernel, IReadOnlyList<Dimension> Stride, IReadOnlyList<Dimension> Padding, IReadOnlyList<Dimension> Dilation)
{
    /// <summary>
    /// A number for each dimension of an argument that may be one number for all; null where their number is not known
    /// or not right.
    /// </summary>
    public static IReadOnlyList<Dimension>? Spread(Symbolic argument, int dimensions, Dimension? defaultValue)
    {
        if (argument is SymbolicNull)
        {
            return defaultValue is { } value ? Enumerable.Repeat(value, dimensions).ToArray() : null;
        }

        IReadOnlyList<Dimension>? given = ArgumentReader.AsIntegers(argument);
        return given is { Count: 1 } ? Enumerable.Repeat(given[0], dimensions).ToArray() : given?.Count == dimensions ? given : null;
    }

    /// <summary>Reads a window from arguments; null where something is not known.</summary>
    /// <param name="arguments">The arguments of a layer or function.</param>
    /// <param name="dimensions">The number of dimensions it slides over.</param>
    /// <param name="strideIsKernel">Whether the stride is the kernel's size where it is not given, as in pooling.</param>
    public static Windows? Read(ArgumentReader arguments, int dimensions, bool strideIsKernel)
    {
        IReadOnlyList<Dimension>? kernel = Spread(arguments.Get("kernel_size"), dimensions, null);
        IReadOnlyList<Dimension>? stride = arguments.Get("stride", "strides") is SymbolicNull && strideIsKernel
            ? kernel
            : Spread(arguments.Get("stride", "strides"), dimensions, Dimension.One);
        IReadOnlyList<Dimension>? padding = Spread(arguments.Get("padding"), dimensions, Dimension.Of(0));
        IReadOnlyList<Dimension>? dilation = Spread(arguments.Get("dilation"), dimensions, Dimension.One);
        return kernel is null || stride is null || padding is null || dilation is null ? null : new(kernel, stride, padding, dilation);
    }

    /// <summary>Whether a number is certainly outside what every window allows.</summary>
    public bool IsImpossible => Kernel.Concat(Stride).Concat(Dilation).Any(d => d.IsNumber && d.Number < 1) || Padding.Any(d => d.IsNumber && d.Number < 0);

    /// <summary>The number of places of the window in dimension <paramref name="i"/> of the given size.</summary>
    public Dimension Places(int i, Dimension size, bool roundUp = false)
    {
        Dimension span = (Dilation[i] * (Kernel[i] - Dimension.One)) + Dimension.One;
        Dimension room = size + (Dimension.Of(2) * Padding[i]) - span;
        if (!Stride[i].IsNumber || Stride[i].Number < 1)
        {
            return Dimension.Unknown;
        }

        long stride = Stride[i].Number;
        if (!roundUp)
        {
            return room.FloorDivide(stride) + Dimension.One;
        }

        // The last place must begin inside the tensor or its padding at the front.
        Dimension places = (room + Dimension.Of(stride - 1)).FloorDivide(stride) + Dimension.One;
        Dimension last = ((places - Dimension.One) * Stride[i]) - size - Padding[i];
        return last.IsNumber && last.Number >= 0 ? places - Dimension.One : last.IsNumber ? places : Dimension.Unknown;
    }

    /// <summary>The size that a transposed window makes of dimension <paramref name="i"/>.</summary>
    public Dimension Transposed(int i, Dimension size, Dimension added) =>
        ((size - Dimension.One) * Stride[i]) - (Dimension.Of(2) * Padding[i]) + (Dilation[i] * (Kernel[i] - Dimension.One)) + added + Dimension.One;
}
