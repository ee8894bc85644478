using System;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Operations on two or three tensors with broadcasting, and arithmetic on numbers such as <c>x.shape[0] * 2</c>.</summary>
internal static class ArithmeticOperations
{
    private static readonly string[] Second = ["right", "target", "scalar", "other", "exponent", "value"];

    /// <summary>What the backward needs for the gradients of the two operands.</summary>
    private enum Needs
    {
        Nothing,
        Other,
        Both,
    }

    public static void AddTo(RuleTable table)
    {
        foreach (string name in new[] { "add", "operator +" })
        {
            Register(table, name, c => Arithmetic(c, Needs.Nothing, static (a, b) => a + b));
        }

        foreach (string name in new[] { "sub", "subtract" })
        {
            Register(table, name, Subtract);
        }

        Register(table, "operator -", static c => c.Arguments.Has("operand") ? Negate(c) : Subtract(c));
        foreach (string name in new[] { "mul", "operator *" })
        {
            Register(table, name, c => Arithmetic(c, Needs.Other, static (a, b) => a * b));
        }

        foreach (string name in new[] { "div", "divide", "true_divide", "operator /" })
        {
            Register(table, name, Divide);
        }

        Register(table, "operator %", static c => Remainder(c));
        table.AddWithInPlace("remainder", static c => Remainder(c));
        table.AddWithInPlace("fmod", static c => Remainder(c));
        table.AddWithInPlace("pow", Power);
        table.AddWithInPlace("maximum", static c => Arithmetic(c, Needs.Both, null));
        table.AddWithInPlace("minimum", static c => Arithmetic(c, Needs.Both, null));
        foreach (string name in new[]
        {
            "eq", "ne", "lt", "le", "gt", "ge", "greater", "greater_equal", "less", "less_equal", "not_equal",
            "operator ==", "operator !=", "operator <", "operator <=", "operator >", "operator >=",
        })
        {
            Register(table, name, Compare);
        }

        foreach (string name in new[] { "logical_and", "logical_or", "logical_xor" })
        {
            table.Add(name, Compare);
        }

        table.Add("where", Where);
        table.AddWithInPlace("masked_fill", MaskedFill);
        table.AddWithInPlace("lerp", static c => Ternary(c, ["end"], ["weight"]));
        table.AddWithInPlace("addcmul", static c => Ternary(c, ["tensor1"], ["tensor2"]));
        table.AddWithInPlace("addcdiv", static c => Ternary(c, ["tensor1"], ["tensor2"]));
    }

    private static void Register(RuleTable table, string name, Func<CallContext, Symbolic> rule)
    {
        if (name.StartsWith("operator", StringComparison.Ordinal))
        {
            table.AddExact(name, rule);
        }
        else
        {
            table.AddWithInPlace(name, rule);
        }
    }

    private static Symbolic Subtract(CallContext c) =>
        Operands(c) is var (a, b) && (a is SymbolicTensor { Type: DType.Bool } || b is SymbolicTensor { Type: DType.Bool })
            ? c.RefuseArgument($"`{c.Name}` cannot subtract truth values; use logical_xor or logical_not")
            : Arithmetic(c, Needs.Nothing, static (a, b) => a - b);

    private static Symbolic Power(CallContext c)
    {
        Symbolic power = Arithmetic(c, Needs.Both, null);
        if (power is SymbolicTensor { Type: DType.Bool })
        {
            return c.RefuseArgument($"`{c.Name}` needs numbers, gets truth values");
        }

        if (power is SymbolicTensor { Differentiable: true } result && Operands(c).Right is not SymbolicTensor)
        {
            // The gradient is multiplied with the power of one less times the exponent: both factors are kept.
            c.Facts.AddSecond(result.Bytes * Dimension.Of(2));
            c.Facts.AddSweep(result.Bytes * Dimension.Of(3));
        }

        return power;
    }

    private static Symbolic Negate(CallContext c) => c.Arguments.Get("operand") switch
    {
        SymbolicInteger integer => new SymbolicInteger(Dimension.Of(0) - integer.Value),
        SymbolicNumber number => new SymbolicNumber(-number.Value),
        _ => ElementwiseOperations.Rule("neg")(c),
    };

    private static Symbolic Divide(CallContext c)
    {
        (Symbolic a, Symbolic b) = Operands(c);
        if (a is SymbolicInteger left && b is SymbolicInteger right)
        {
            // C# rounds towards zero; sizes are not negative.
            return new SymbolicInteger(right.Value.IsNumber ? left.Value.FloorDivide(right.Value.Number) : left.Value.DivideExactly(right.Value));
        }

        string? rounding = c.Arguments.Text("rounding_mode", "None");
        Symbolic result = Arithmetic(c, Needs.Both, null);
        return result is not SymbolicTensor tensor ? result
            : rounding is null ? tensor with { Type = null }
            : rounding == "None" || rounding == "none" ? tensor with { Type = TypePromotion.ToFloating(tensor.Type) }
            : tensor;
    }

    private static Symbolic Remainder(CallContext c) =>
        Operands(c) is (SymbolicInteger { Value.IsNumber: true } a, SymbolicInteger { Value: { IsNumber: true, Number: > 0 } } b)
            ? new SymbolicInteger(Dimension.Of(a.Value.Number % b.Value.Number))
            : Arithmetic(c, Needs.Nothing, null);

    private static (Symbolic Left, Symbolic Right) Operands(CallContext c) =>
        (c.Arguments.Get("this", "input", "left", "x"), c.Arguments.Get(Second));

    private static Symbolic Arithmetic(CallContext c, Needs needs, Func<Dimension, Dimension, Dimension>? onIntegers)
    {
        (Symbolic a, Symbolic b) = Operands(c);
        if (a is not (SymbolicTensor or SymbolicUnknown) && b is not (SymbolicTensor or SymbolicUnknown))
        {
            return a is SymbolicInteger left && b is SymbolicInteger right
                ? new SymbolicInteger(onIntegers?.Invoke(left.Value, right.Value) ?? Dimension.Unknown)
                : new SymbolicNumber(null);
        }

        if (Elementwise(c, a, b) is not { } result)
        {
            return SymbolicUnknown.Value;
        }

        if (result.Differentiable)
        {
            SaveFor(c, needs, a, b);
            PassGradient(c, a, b, result);
            c.Facts.AddSecond(needs == Needs.Nothing || a is not SymbolicTensor || b is not SymbolicTensor ? Dimension.Of(0) : result.Bytes);
        }

        return result;
    }

    // The gradient of a sum is that of its terms, of a difference that of the first; smaller terms take a sum of it.
    private static void PassGradient(CallContext c, Symbolic a, Symbolic b, SymbolicTensor result)
    {
        bool isSum = c.Name is "operator +" or "add";
        Symbolic[] passing = isSum ? [a, b] : c.Name is "operator -" or "sub" or "subtract" ? [a] : [];
        foreach (SymbolicTensor operand in passing.OfType<SymbolicTensor>().Where(operand => operand.Differentiable && operand.Shape == result.Shape))
        {
            c.Facts.Passes(operand.Storage);
        }
    }

    private static void SaveFor(CallContext c, Needs needs, Symbolic a, Symbolic b)
    {
        if (b is SymbolicTensor right && (needs == Needs.Both || (needs == Needs.Other && a.Differentiable)))
        {
            c.Save(right);
        }

        // Divided by a number, the dividend is not needed.
        if (a is SymbolicTensor left && ((needs == Needs.Both && (b is SymbolicTensor || c.Name == "pow")) || (needs == Needs.Other && b.Differentiable)))
        {
            c.Save(left);
        }
    }

    private static Symbolic Compare(CallContext c)
    {
        (Symbolic a, Symbolic b) = Operands(c);
        if (a is not (SymbolicTensor or SymbolicUnknown) && b is not (SymbolicTensor or SymbolicUnknown))
        {
            return new SymbolicBoolean(null);
        }

        return Elementwise(c, a, b) is { } result ? c.New(result.Shape, DType.Bool, differentiable: false) : SymbolicUnknown.Value;
    }

    private static Symbolic Where(CallContext c)
    {
        // Tensor.where(condition, y) has the tensor itself as the first choice.
        if (!c.Arguments.Has("y"))
        {
            return c.Unknown();
        }

        SymbolicTensor condition = c.Tensor(c.Arguments.Get("condition"));
        Symbolic a = c.Arguments.Get("this", "x");
        Symbolic b = c.Arguments.Get("y");
        if (Elementwise(c, a, b) is not { } choice || Elementwise(c, condition, choice) is not { } shape)
        {
            return SymbolicUnknown.Value;
        }

        SymbolicTensor result = c.New(shape.Shape, choice.Type, choice.Differentiable);
        if (result.Differentiable)
        {
            c.Save(condition);
        }

        return result;
    }

    private static Symbolic MaskedFill(CallContext c)
    {
        SymbolicTensor x = c.Input;
        SymbolicTensor mask = c.Tensor(c.Arguments.Get("mask"));
        if (mask.Type is { } type && type != DType.Bool)
        {
            return c.RefuseArgument($"`{c.Name}` needs a mask of bool, gets {ElementTypes.NameOf(type)} {mask}", "mask");
        }

        if (Elementwise(c, x, mask) is not { } shape)
        {
            return SymbolicUnknown.Value;
        }

        SymbolicTensor result = c.Like(x, shape.Shape);
        if (result.Differentiable)
        {
            c.Save(mask);
        }

        return result;
    }

    private static Symbolic Ternary(CallContext c, string[] second, string[] third)
    {
        SymbolicTensor[] operands = [c.Input, c.Tensor(c.Arguments.Get(second)), c.Tensor(c.Arguments.Get(third))];
        if (Elementwise(c, operands[1], operands[2]) is not { } both || Elementwise(c, operands[0], both) is not { } all)
        {
            return SymbolicUnknown.Value;
        }

        SymbolicTensor result = c.New(all.Shape, TypePromotion.Promote(operands), operands.Any(o => o.Differentiable));
        c.Facts.AddWork(result.Count * Dimension.Of(3));
        if (result.Differentiable)
        {
            c.Save(operands[1]);
            c.Save(operands[2]);
            c.Facts.AddSecond(result.Bytes);
        }

        return result;
    }

    /// <summary>The broadcast of two operands; null, with a problem, where they do not agree.</summary>
    private static SymbolicTensor? Elementwise(CallContext c, Symbolic a, Symbolic b)
    {
        SymbolicTensor left = c.Tensor(a);
        SymbolicTensor right = c.Tensor(b);
        EquatableArray<Dimension>? shape = null;
        if (left.Shape is { } l && right.Shape is { } r)
        {
            if (!Broadcasting.TryBroadcast(l, r, out EquatableArray<Dimension> both, out int conflict))
            {
                c.RefuseShape(
                    $"`{c.Name}` cannot combine {ShapeText.Of(l)} and {ShapeText.Of(r)}: dimension {-conflict} is {l[l.Count - conflict]} against {r[r.Count - conflict]}");
                return null;
            }

            shape = both;
        }

        SymbolicTensor result = c.New(shape, TypePromotion.Promote([a, b]), left.Differentiable || right.Differentiable);
        c.Facts.AddWork(result.Count);
        return result;
    }
}
