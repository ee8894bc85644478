using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Softmax and its kin, and normalisations by statistics.</summary>
internal static class NormalisationOperations
{
    // Results that are there together in libtorch's formulas of second derivatives (FunctionsManual.cpp), the last included, as a
    // count of them shows: layer_norm_double_backward; batchnorm_double_backward; the operations that the backward of group
    // norm is put together from; softmax_double_backward, whose terms live to the expression's end; log_softmax_backward's.
    private const int LayerNormResults = 7;
    private const int BatchNormResults = 8;
    private const int GroupNormResults = 3;
    private const int SoftmaxResults = 7;
    public const int LogSoftmaxResults = 3;

    public static void AddTo(RuleTable table)
    {
        table.Add("softmax", static c => Softmax(c, c.Arguments.Constant("dim")));
        table.Add("log_softmax", static c => Softmax(c, c.Arguments.Constant("dim"), isLogarithm: true));
        table.Add("softmin", static c => Softmax(c, c.Arguments.Constant("dim")));
        table.Add("glu", static c => Glu(c, c.Arguments.Constant("dim", -1)));
        table.Add("layer_norm", static c => LayerNorm(c, c.Arguments.Integers("normalized_shape"), Weight(c), Bias(c)));
        table.Add("group_norm", static c => GroupNorm(c, c.Arguments.Constant("num_groups"), Weight(c), Bias(c)));
        table.Add("batch_norm", static c => BatchNorm(c, "batch norm", null, 2, int.MaxValue, Weight(c), Bias(c)));
        table.Add("normalize", Normalize);
    }

    /// <summary>Softmax over a dimension; its backward needs the result.</summary>
    public static Symbolic Softmax(CallContext c, long? dim, bool isLogarithm = false)
    {
        SymbolicTensor x = c.Input;
        DType? type = ScalarTypes.Of(c.Layer is null ? c.Arguments.Get("dtype") : SymbolicNull.Instance, x.Type);
        if (type is { } known && !ElementTypes.IsFloating(known))
        {
            return c.RefuseArgument($"{c.Describe("Softmax")} needs floating-point numbers, gets {ElementTypes.NameOf(known)} {x}");
        }

        if (x.Shape is { } shape && Axes.Resolve(c, "dim", dim, shape.Count) is null)
        {
            return SymbolicUnknown.Value;
        }

        SymbolicTensor y = c.New(x.Shape, type, x.Differentiable);
        c.Facts.AddWork(x.Count * Dimension.Of(5));
        if (y.Differentiable)
        {
            c.Save(y);
            c.Facts.AddSecond(y.Bytes);
            c.Facts.AddSweep(y.Bytes * Dimension.Of(isLogarithm ? LogSoftmaxResults : SoftmaxResults));
        }

        return y;
    }

    /// <summary>Halves a dimension: one half times the sigmoid of the other.</summary>
    public static Symbolic Glu(CallContext c, long? dim)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape)
        {
            return c.Unknown();
        }

        if (x.Type is { } type && !ElementTypes.IsFloating(type))
        {
            return c.RefuseArgument($"{c.Describe("GLU")} needs floating-point numbers, gets {ElementTypes.NameOf(type)} {x}");
        }

        if (Axes.Resolve(c, "dim", dim, shape.Count) is not { } axis || shape.Count == 0)
        {
            return SymbolicUnknown.Value;
        }

        if (shape[axis] is { IsNumber: true, Number: var size } && size % 2 != 0)
        {
            return c.RefuseShape($"{c.Describe("GLU")} halves dimension {axis} of {x}, which is odd");
        }

        SymbolicTensor y = c.Like(x, Axes.With(shape, axis, shape[axis].FloorDivide(2)));
        c.Facts.AddWork(x.Count * Dimension.Of(3));
        if (y.Differentiable)
        {
            c.Save(x);
            c.Facts.AddSecond(y.Bytes);
        }

        return y;
    }

    /// <summary>Normalisation over the last dimensions, which must be the given ones.</summary>
    public static Symbolic LayerNorm(
        CallContext c, IReadOnlyList<Dimension>? normalized, SymbolicTensor? weight, SymbolicTensor? bias)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape || normalized is null)
        {
            return Statistics(c, x, weight, bias, Dimension.Unknown, LayerNormResults);
        }

        int leading = shape.Count - normalized.Count;
        if (leading < 0 || Enumerable.Range(0, normalized.Count).Any(i => shape[leading + i].CertainlyDiffers(normalized[i])))
        {
            return c.RefuseShape($"{c.Describe("LayerNorm")} expects {ShapeText.Of(normalized)} as last dimensions, gets {x}");
        }

        return Statistics(c, x, weight, bias, TensorBytes.Count(shape.Take(leading)), LayerNormResults);
    }

    /// <summary>Normalisation over groups of channels.</summary>
    public static Symbolic GroupNorm(CallContext c, long? groups, SymbolicTensor? weight, SymbolicTensor? bias, Dimension? channels = null)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape || groups is not { } count)
        {
            return Statistics(c, x, weight, bias, Dimension.Unknown, GroupNormResults);
        }

        // TorchSharp's module wants something behind the channels, its function does not.
        int least = c.Layer is null ? 2 : 3;
        if (shape.Count < least)
        {
            return c.RefuseShape($"{c.Describe("GroupNorm")} needs at least {least} dimensions, gets {x}");
        }

        if (channels is { } expected && shape[1].CertainlyDiffers(expected))
        {
            return c.RefuseShape($"{c.Describe("GroupNorm")} expects {expected} channels, gets {shape[1]} {c.Origin(x)}");
        }

        return count < 1 || (shape[1].IsNumber && shape[1].Number % count != 0)
            ? c.RefuseShape($"{c.Describe("GroupNorm")} cannot put the {shape[1]} channels of {x} into {count} groups")
            : Statistics(c, x, weight, bias, shape[0] * Dimension.Of(count), GroupNormResults);
    }

    /// <summary>Normalisation of every channel over the batch.</summary>
    public static Symbolic BatchNorm(
        CallContext c, string kind, Dimension? channels, int minRank, int maxRank, SymbolicTensor? weight, SymbolicTensor? bias)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is not { } shape)
        {
            return Statistics(c, x, weight, bias, Dimension.Unknown, BatchNormResults);
        }

        if (shape.Count < minRank || shape.Count > maxRank)
        {
            string range = minRank == maxRank ? $"{minRank}" : maxRank == int.MaxValue ? $"at least {minRank}" : $"{minRank} or {maxRank}";
            return c.RefuseShape($"{c.Describe(kind)} needs {range} dimensions, gets {x}");
        }

        return channels is { } expected && shape[1].CertainlyDiffers(expected)
            ? c.RefuseShape($"{c.Describe(kind)} expects {expected} channels, gets {shape[1]} {c.Origin(x)}")
            : Statistics(c, x, weight, bias, shape[1], BatchNormResults);
    }

    private static SymbolicTensor? Weight(CallContext c) => c.Arguments.Get("weight") as SymbolicTensor;

    private static SymbolicTensor? Bias(CallContext c) => c.Arguments.Get("bias") as SymbolicTensor;

    /// <summary>The result of a normalisation whose mean and deviation are kept for the backward.</summary>
    private static Symbolic Statistics(CallContext c, SymbolicTensor x, SymbolicTensor? weight, SymbolicTensor? bias, Dimension groups, int results)
    {
        if (x.Type is { } type && !ElementTypes.IsFloating(type))
        {
            return c.RefuseArgument($"{c.Describe("The normalisation")} needs floating-point numbers, gets {ElementTypes.NameOf(type)} {x}");
        }

        SymbolicTensor y = c.New(x.Shape, x.Type, x.Differentiable || weight is { Differentiable: true } || bias is { Differentiable: true });
        c.Facts.AddWork(x.Count * Dimension.Of(8));
        if (y.Differentiable)
        {
            c.Save(x);
            c.SaveBytes(groups * Dimension.Of(2 * ElementTypes.SizeOf(x.Type ?? c.Elements)));
            c.Facts.AddSecond(y.Bytes);
            c.Facts.AddSweep(y.Bytes * Dimension.Of(results));
        }

        return y;
    }

    private static Symbolic Normalize(CallContext c)
    {
        SymbolicTensor x = c.Input;
        if (x.Shape is { } shape && Axes.Resolve(c, "dim", c.Arguments.Constant("dim", 1), shape.Count) is null)
        {
            return SymbolicUnknown.Value;
        }

        SymbolicTensor y = c.Like(x, x.Shape);
        c.Facts.AddWork(x.Count * Dimension.Of(4));
        if (y.Differentiable)
        {
            c.Save(x);
            c.SaveInner(x.Bytes);
            c.Facts.AddSecond(y.Bytes);
        }

        return y;
    }
}
