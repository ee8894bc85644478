using System;
using System.Collections.Generic;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Functions of one tensor, element by element: activations, powers, roundings.</summary>
internal static class ElementwiseOperations
{
    /// <summary>What the backward needs.</summary>
    private enum Needs
    {
        Nothing,
        Operand,
        Result,
    }

    /// <summary>What becomes of the element type.</summary>
    private enum Gives
    {
        /// <summary>The operand's; of integers too.</summary>
        Same,

        /// <summary>The operand's; truth values are refused.</summary>
        Numeric,

        /// <summary>The operand's; truth values are refused, and bytes depending on other arguments.</summary>
        Signed,

        /// <summary>A floating-point one, also of integers.</summary>
        Floating,

        /// <summary>The operand's, which must be floating-point.</summary>
        FloatingOnly,

        /// <summary>The operand's; of truth values an integer.</summary>
        Counted,

        /// <summary>A truth value.</summary>
        Truth,
    }

    /// <param name="Needs">What the backward needs.</param>
    /// <param name="Gives">What becomes of the element type.</param>
    /// <param name="Work">Floating-point operations of one element.</param>
    /// <param name="IsLinear">Whether the gradient's own backward needs no gradient: it is linear, or piecewise so.</param>
    /// <param name="HasGradient">Whether a gradient passes.</param>
    /// <param name="HasSecond">Whether libtorch can differentiate the gradient again.</param>
    /// <param name="Kept">
    /// Results that a backward with a graph keeps: the gradient that came; more where libtorch then puts it together from
    /// operations that each keep their own, as for <c>silu</c> and powers.
    /// </param>
    /// <param name="Momentary">
    /// Results that are there together in the formula of the second derivative, the last included (<c>derivatives.yaml</c> and
    /// <c>FunctionsManual.cpp</c>): five in <c>gelu_double_backward</c>, the square, the density, twice that, their product, and the difference.
    /// </param>
    private sealed record Entry(
        Needs Needs, Gives Gives, int Work = 1, bool IsLinear = false, bool HasGradient = true, bool HasSecond = true, int Kept = 1, int Momentary = 0);

    private static readonly Dictionary<string, Entry> Table = new(StringComparer.Ordinal)
    {
        ["relu"] = new(Needs.Result, Gives.Numeric, IsLinear: true),
        ["relu6"] = new(Needs.Operand, Gives.Numeric, 2, IsLinear: true),
        ["leaky_relu"] = new(Needs.Operand, Gives.FloatingOnly, 2, IsLinear: true),
        ["hardtanh"] = new(Needs.Operand, Gives.Signed, 2, IsLinear: true),
        ["hardsigmoid"] = new(Needs.Operand, Gives.FloatingOnly, 3, IsLinear: true, HasSecond: false),
        ["hardshrink"] = new(Needs.Operand, Gives.FloatingOnly, IsLinear: true),
        ["softshrink"] = new(Needs.Operand, Gives.FloatingOnly, IsLinear: true),
        ["threshold"] = new(Needs.Operand, Gives.FloatingOnly, IsLinear: true),
        ["sigmoid"] = new(Needs.Result, Gives.Floating, 4, Momentary: 4),
        ["tanh"] = new(Needs.Result, Gives.Floating, 8, Momentary: 3),
        ["gelu"] = new(Needs.Operand, Gives.FloatingOnly, 10, Momentary: 5),
        ["silu"] = new(Needs.Operand, Gives.FloatingOnly, 5, Kept: 5, Momentary: 3),
        ["SiLU"] = new(Needs.Operand, Gives.FloatingOnly, 5, Kept: 5, Momentary: 3),
        ["elu"] = new(Needs.Operand, Gives.FloatingOnly, 5, Momentary: 5),
        ["selu"] = new(Needs.Operand, Gives.FloatingOnly, 5, Momentary: 5),
        ["celu"] = new(Needs.Operand, Gives.FloatingOnly, 5, Momentary: 5),
        ["hardswish"] = new(Needs.Operand, Gives.FloatingOnly, 4),
        ["softplus"] = new(Needs.Operand, Gives.FloatingOnly, 6, Momentary: 7),
        ["exp"] = new(Needs.Result, Gives.Floating, 4),
        ["expm1"] = new(Needs.Result, Gives.Floating, 4),
        ["exp2"] = new(Needs.Result, Gives.Floating, 4),
        ["log"] = new(Needs.Operand, Gives.Floating, 4),
        ["log1p"] = new(Needs.Operand, Gives.Floating, 4),
        ["log2"] = new(Needs.Operand, Gives.Floating, 4),
        ["log10"] = new(Needs.Operand, Gives.Floating, 4),
        ["sqrt"] = new(Needs.Result, Gives.Floating),
        ["rsqrt"] = new(Needs.Result, Gives.Floating, 2),
        ["reciprocal"] = new(Needs.Result, Gives.Floating),
        ["sin"] = new(Needs.Operand, Gives.Floating, 8),
        ["cos"] = new(Needs.Operand, Gives.Floating, 8),
        ["tan"] = new(Needs.Result, Gives.Floating, 8),
        ["asin"] = new(Needs.Operand, Gives.Floating, 8),
        ["acos"] = new(Needs.Operand, Gives.Floating, 8),
        ["atan"] = new(Needs.Operand, Gives.Floating, 8),
        ["sinh"] = new(Needs.Operand, Gives.Floating, 8),
        ["cosh"] = new(Needs.Operand, Gives.Floating, 8),
        ["erf"] = new(Needs.Operand, Gives.Floating, 8),
        ["square"] = new(Needs.Operand, Gives.Counted, Kept: 2, Momentary: 3),
        ["abs"] = new(Needs.Operand, Gives.Numeric, IsLinear: true),
        ["neg"] = new(Needs.Nothing, Gives.Numeric, IsLinear: true),
        ["negative"] = new(Needs.Nothing, Gives.Numeric, IsLinear: true),
        ["positive"] = new(Needs.Nothing, Gives.Same, IsLinear: true),
        ["sign"] = new(Needs.Nothing, Gives.Same, IsLinear: true),
        ["floor"] = new(Needs.Nothing, Gives.Numeric, IsLinear: true),
        ["ceil"] = new(Needs.Nothing, Gives.Numeric, IsLinear: true),
        ["round"] = new(Needs.Nothing, Gives.FloatingOnly, IsLinear: true),
        ["trunc"] = new(Needs.Nothing, Gives.Numeric, IsLinear: true),
        ["isnan"] = new(Needs.Nothing, Gives.Truth, HasGradient: false),
        ["isinf"] = new(Needs.Nothing, Gives.Truth, HasGradient: false),
        ["isfinite"] = new(Needs.Nothing, Gives.Truth, HasGradient: false),
        ["logical_not"] = new(Needs.Nothing, Gives.Truth, HasGradient: false),
    };

    /// <summary>The activations that are modules too, by the function they call.</summary>
    public static Func<CallContext, Symbolic> Rule(string name)
    {
        Entry entry = Table[name];
        return c => Apply(c, c.Input, entry);
    }

    public static void AddTo(RuleTable table)
    {
        foreach (string name in Table.Keys)
        {
            table.AddWithInPlace(name, Rule(name));
        }

        table.AddWithInPlace("clamp", Clamp);
        table.AddWithInPlace("clip", Clamp);
        table.AddWithInPlace("clamp_min", Clamp);
        table.AddWithInPlace("clamp_max", Clamp);
        table.AddWithInPlace("logsigmoid", LogSigmoid);
        table.AddWithInPlace("log_sigmoid", LogSigmoid);
        table.AddWithInPlace("mish", Mish);
        table.AddWithInPlace("Mish", Mish);
        table.AddWithInPlace("softsign", Softsign);
        table.AddWithInPlace("Softsign", Softsign);
        table.AddWithInPlace("tanhshrink", Tanhshrink);
        table.AddWithInPlace("Tanhshrink", Tanhshrink);
        table.AddWithInPlace("dropout", Dropout);
        table.Add("detach", static c => c.Input with { RequiresGradient = false });
        table.Add("contiguous", static c => c.Input is { Strides: not null, Shape: { } shape } x ? c.Like(x, shape) : c.Input);
        table.Add("alias", static c => c.Input);
        table.Add("cpu", static c => c.Input);
        table.Add("clone", static c => c.Like(c.Input, c.Input.Shape));
        table.Add("to", Convert);
        table.Add("to_type", Convert);
        table.Add("type", Convert);
        table.Add("type_as", static c => WithType(c, c.Tensor(c.Arguments.Get("tensor")).Type));
        AddConversion(table, "float", DType.Float32);
        AddConversion(table, "double", DType.Float64);
        AddConversion(table, "half", DType.Float16);
        AddConversion(table, "bfloat16", DType.BFloat16);
        AddConversion(table, "long", DType.Int64);
        AddConversion(table, "int", DType.Int32);
        AddConversion(table, "byte", DType.UInt8);
        AddConversion(table, "bool", DType.Bool);
    }

    /// <summary>Multiplies with a random mask, which the backward needs.</summary>
    public static Symbolic Dropout(CallContext c)
    {
        SymbolicTensor x = c.Input;
        if (RefuseType(c, x, Gives.FloatingOnly) is { } refused)
        {
            return refused;
        }

        SymbolicTensor result = c.Like(x, x.Shape);
        c.Facts.AddWork(x.Count * Dimension.Of(2));
        if (result.Differentiable)
        {
            c.SaveBytes(x.Bytes);
        }

        return result;
    }

    public static Symbolic LogSigmoid(CallContext c) => Composite(c, saved: 2, work: 8, Gives.FloatingOnly);

    /// <summary>TorchSharp's is the operand times the hyperbolic tangent of its softplus.</summary>
    public static Symbolic Mish(CallContext c) => Composite(c, saved: 2, work: 10, Gives.FloatingOnly, second: 3, momentary: 7);

    public static Symbolic Softsign(CallContext c) => Composite(c, saved: 2, work: 3, Gives.Numeric);

    public static Symbolic Tanhshrink(CallContext c) => Composite(c, saved: 1, work: 9, Gives.Numeric);

    private static Symbolic Apply(CallContext c, SymbolicTensor x, Entry entry)
    {
        if (RefuseType(c, x, entry.Gives) is { } refused)
        {
            return refused;
        }

        DType? result = entry.Gives switch
        {
            Gives.Floating => TypePromotion.ToFloating(x.Type),
            Gives.Truth => DType.Bool,
            Gives.Counted when x.Type == DType.Bool => DType.Int64,
            _ => x.Type,
        };
        SymbolicTensor y = c.New(x.Shape, result, x.Differentiable && entry.HasGradient);
        c.Facts.AddWork(x.Count * Dimension.Of(entry.Work));
        if (y.Differentiable)
        {
            if (!entry.HasSecond)
            {
                c.Facts.LacksSecondDerivative();
            }

            if (entry.Needs != Needs.Nothing)
            {
                c.Save(entry.Needs == Needs.Result ? y : x);
            }

            if (!entry.IsLinear)
            {
                c.Facts.AddSecond(y.Bytes * Dimension.Of(entry.Kept));
                c.Facts.AddSweep(y.Bytes * Dimension.Of(entry.Momentary));
            }
        }

        return y;
    }

    private static Symbolic? RefuseType(CallContext c, SymbolicTensor x, Gives gives) => (gives, x.Type) switch
    {
        (Gives.FloatingOnly, { } type) when !ElementTypes.IsFloating(type) =>
            c.RefuseArgument($"`{c.Name}` needs floating-point numbers, gets {ElementTypes.NameOf(type)} {x}"),
        (Gives.Signed, DType.UInt8) => c.Unknown(),
        (Gives.Numeric or Gives.Signed, DType.Bool) => c.RefuseArgument($"`{c.Name}` needs numbers, gets bool {x}"),
        _ => null,
    };

    private static Symbolic Composite(CallContext c, int saved, int work, Gives gives, int second = 2, int momentary = 0)
    {
        SymbolicTensor x = c.Input;
        if (RefuseType(c, x, gives) is { } refused)
        {
            return refused;
        }

        SymbolicTensor y = c.New(x.Shape, TypePromotion.ToFloating(x.Type), x.Differentiable);
        c.Facts.AddWork(x.Count * Dimension.Of(work));
        if (y.Differentiable)
        {
            c.Save(x);
            c.SaveInner(x.Bytes * Dimension.Of(saved - 1));
            c.Facts.AddSecond(y.Bytes * Dimension.Of(second));
            c.Facts.AddSweep(y.Bytes * Dimension.Of(momentary));
        }

        return y;
    }

    private static Symbolic Clamp(CallContext c)
    {
        Symbolic low = c.Arguments.Get("min");
        Symbolic high = c.Arguments.Get("max");
        SymbolicTensor x = c.Input;
        if (low is SymbolicTensor || high is SymbolicTensor)
        {
            return c.Unknown();
        }

        SymbolicTensor y = c.New(x.Shape, TypePromotion.Promote([x, low, high]), x.Differentiable);
        c.Facts.AddWork(x.Count * Dimension.Of(2));
        if (y.Differentiable)
        {
            c.Save(x);
        }

        return y;
    }

    private static Symbolic Convert(CallContext c)
    {
        // Without a type the conversion is to another device or another tensor's.
        Symbolic type = c.Arguments.Get("type", "dtype");
        if (type is SymbolicNull)
        {
            return c.Arguments.Get("other") is SymbolicTensor other ? WithType(c, other.Type) : c.Input;
        }

        return WithType(c, ScalarTypes.Of(type));
    }

    private static void AddConversion(RuleTable table, string name, DType type) => table.AddExact("Tensor." + name, c => WithType(c, type));

    private static Symbolic WithType(CallContext c, DType? type)
    {
        SymbolicTensor x = c.Input;
        return x.Type is { } known && known == type ? x : c.New(x.Shape, type, x.Differentiable);
    }
}
