using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Pooling, of layers and of functions.</summary>
internal static class PoolingOperations
{
    public static void AddTo(RuleTable table)
    {
        for (int d = 1; d <= 3; d++)
        {
            int dimensions = d;
            table.Add($"max_pool{d}d", c => Pool(c, c.Arguments, dimensions, isMax: true));
            table.Add($"avg_pool{d}d", c => Pool(c, c.Arguments, dimensions, isMax: false));
            table.Add($"adaptive_avg_pool{d}d", c => Adaptive(c, c.Arguments, dimensions, isMax: false));
        }

        // The one of three dimensions throws whatever it is given.
        table.Add("adaptive_max_pool1d", static c => Adaptive(c, c.Arguments, 1, isMax: true));
        table.Add("adaptive_max_pool2d", static c => Adaptive(c, c.Arguments, 2, isMax: true));
    }

    /// <summary>Pooling by a sliding window.</summary>
    public static Symbolic Pool(CallContext c, ArgumentReader arguments, int dimensions, bool isMax)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape || Windows.Read(arguments, dimensions, strideIsKernel: true) is not { } windows ||
            arguments.Boolean("ceil_mode", false) is not { } roundUp)
        {
            c.Facts.AddUnknown();
            return c.New(null, x.Type, x.Differentiable);
        }

        if (Leading(c, x, shape, dimensions) is not { } leading)
        {
            return SymbolicUnknown.Value;
        }

        // More than half a window of padding would give windows that see nothing.
        bool tooPadded = Enumerable.Range(0, dimensions).Any(i =>
            windows.Padding[i].IsNumber && windows.Kernel[i].IsNumber && windows.Padding[i].Number > windows.Kernel[i].Number / 2);
        // The three-dimensional average alone wants its window inside the tensor even without padding.
        bool isLarge = !isMax && dimensions == 3 && Enumerable.Range(0, dimensions).Any(i =>
            windows.Kernel[i].IsNumber && shape[leading + i].IsNumber && windows.Kernel[i].Number > shape[leading + i].Number);
        var sizes = new Dimension[dimensions];
        for (int i = 0; i < dimensions; i++)
        {
            sizes[i] = windows.Places(i, shape[leading + i], roundUp);
            if (windows.IsImpossible || tooPadded || isLarge || (sizes[i].IsNumber && sizes[i].Number < 1))
            {
                return c.RefuseShape(
                    $"{c.Describe("Pooling")} with window {ShapeText.Of(windows.Kernel)}, stride {ShapeText.Of(windows.Stride)} and padding {ShapeText.Of(windows.Padding)} has no place in {x}");
            }
        }

        SymbolicTensor y = c.Like(x, shape.Take(leading).Concat(sizes));
        c.Facts.AddWork(y.Count * TensorBytes.Count(windows.Kernel));
        Save(c, x, y, isMax);
        return y;
    }

    /// <summary>Pooling to a given size.</summary>
    public static Symbolic Adaptive(CallContext c, ArgumentReader arguments, int dimensions, bool isMax)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape || Windows.Spread(arguments.Get("output_size"), dimensions, null) is not { } sizes)
        {
            c.Facts.AddUnknown();
            return c.New(null, x.Type, x.Differentiable);
        }

        if (sizes.Any(s => s.IsNumber && s.Number < 0))
        {
            return c.RefuseArgument($"{c.Describe("Pooling")} cannot make {ShapeText.Of(sizes)}", "output_size");
        }

        // The average over everything is a mean over the last dimensions, whatever comes before them.
        bool isMean = !isMax && dimensions > 1 && sizes.All(s => s == Dimension.One);
        int? leading = isMean && shape.Count >= dimensions ? shape.Count - dimensions : Leading(c, x, shape, dimensions);
        if (leading is null)
        {
            return SymbolicUnknown.Value;
        }

        SymbolicTensor y = c.Like(x, shape.Take(leading.Value).Concat(sizes));
        c.Facts.AddWork(x.Count);
        if (!isMean)
        {
            Save(c, x, y, isMax);
        }

        return y;
    }

    private static int? Leading(CallContext c, SymbolicTensor x, EquatableArray<Dimension> shape, int dimensions)
    {
        if (shape.Count != dimensions + 1 && shape.Count != dimensions + 2)
        {
            c.RefuseShape($"{c.Describe("Pooling")} needs {dimensions + 2} dimensions (or {dimensions + 1} without a batch), gets {x}");
            return null;
        }

        return shape.Count - dimensions;
    }

    private static void Save(CallContext c, SymbolicTensor x, SymbolicTensor y, bool isMax)
    {
        if (y.Differentiable)
        {
            c.Save(x);
            if (isMax)
            {
                c.SaveBytes(y.Count * Dimension.Of(sizeof(long)));
            }
        }
    }
}
