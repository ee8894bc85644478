using System;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

/// <summary>Arithmetic and conversions on values that are known at compile time.</summary>
internal static class ConstantFolding
{
    public static readonly Argument Unknown = Argument.OfUnknown("");

    public static bool IsKnown(this Argument argument) =>
        argument.Kind is not (ArgumentKind.Unknown or ArgumentKind.Value)
        && argument.Items.All(IsKnown);

    public static bool HasValues(this Argument argument) =>
        argument.Kind == ArgumentKind.Value || argument.Items.Any(HasValues);

    /// <summary>A constant of the compiler's as an argument.</summary>
    public static Argument Of(object? constant, ITypeSymbol? type)
    {
        if (constant is null)
        {
            return Argument.OfNull("");
        }

        if (Underlying(type) is { TypeKind: TypeKind.Enum } enumeration)
        {
            return EnumMember(enumeration, constant);
        }

        return constant switch
        {
            bool value => Argument.OfBoolean("", value),
            string value => Argument.OfText("", value),
            char value => Argument.OfText("", value.ToString()),
            float value => Argument.OfNumber("", value),
            double value => Argument.OfNumber("", value),
            decimal value => Argument.OfNumber("", (double)value),
            ulong value when value > long.MaxValue => Unknown,
            IConvertible value => Argument.OfInteger("", value.ToInt64(System.Globalization.CultureInfo.InvariantCulture)),
            _ => Unknown,
        };
    }

    public static Argument Convert(Argument argument, ITypeSymbol? type) =>
        (argument.Kind, Underlying(type)?.SpecialType) switch
        {
            // Beyond integers an expression over parameters is not followed.
            (ArgumentKind.Parameter, SpecialType.System_Double or SpecialType.System_Single) => argument.Integer == 0 ? argument : Unknown,
            (ArgumentKind.Parameter, >= SpecialType.System_SByte and <= SpecialType.System_UInt64) => argument.Integer != 0 ? argument : Unknown,
            (ArgumentKind.Integer, SpecialType.System_Double or SpecialType.System_Single) => Argument.OfNumber("", argument.Integer),
            (ArgumentKind.Number, SpecialType.System_Single) => Argument.OfNumber("", (float)argument.Number),
            (ArgumentKind.Number, >= SpecialType.System_SByte and <= SpecialType.System_UInt64) =>
                Math.Abs(argument.Number) < long.MaxValue ? Argument.OfInteger("", (long)argument.Number) : Unknown,
            _ => argument,
        };

    /// <summary>A variable's value after <c>++</c> or <c>--</c>.</summary>
    public static Argument Step(IIncrementOrDecrementOperation change, Argument value) => Binary(
        change.Kind == OperationKind.Increment ? BinaryOperatorKind.Add : BinaryOperatorKind.Subtract, value, Argument.OfInteger("", 1));

    /// <summary>Functions of numbers, such as <c>Math.Max</c>; ranges of them.</summary>
    public static Argument Call(IMethodSymbol method, System.Collections.Generic.IReadOnlyList<Argument> arguments) =>
        (method.ContainingType.Name, method.Name, arguments) switch
        {
            ("Math" or "MathF", "Max", [{ } a, { } b]) => Binary(BinaryOperatorKind.GreaterThan, a, b) is { Kind: ArgumentKind.Boolean, Integer: var isLarger } ? (isLarger != 0 ? a : b) : Unknown,
            ("Math" or "MathF", "Min", [{ } a, { } b]) => Binary(BinaryOperatorKind.LessThan, a, b) is { Kind: ArgumentKind.Boolean, Integer: var isSmaller } ? (isSmaller != 0 ? a : b) : Unknown,
            ("Math" or "MathF", "Abs", [{ Kind: ArgumentKind.Integer, Integer: > long.MinValue } a]) => Argument.OfInteger("", Math.Abs(a.Integer)),
            ("Math", "Sqrt", [{ Kind: ArgumentKind.Integer or ArgumentKind.Number } a]) => Argument.OfNumber("", Math.Sqrt(AsNumber(a))),
            ("Math", "Pow", [{ Kind: ArgumentKind.Integer or ArgumentKind.Number } a, { Kind: ArgumentKind.Integer or ArgumentKind.Number } b]) =>
                Argument.OfNumber("", Math.Pow(AsNumber(a), AsNumber(b))),
            ("Math", "Floor", [{ Kind: ArgumentKind.Number } a]) => Argument.OfNumber("", Math.Floor(a.Number)),
            ("Math", "Ceiling", [{ Kind: ArgumentKind.Number } a]) => Argument.OfNumber("", Math.Ceiling(a.Number)),
            ("Enumerable", "Range", [{ Kind: ArgumentKind.Integer } start, { Kind: ArgumentKind.Integer, Integer: >= 0 and <= 4096 } count]) =>
                Argument.OfList("", Enumerable.Range(0, (int)count.Integer).Select(i => Argument.OfInteger("", start.Integer + i)).ToEquatableArray()),
            ("Enumerable", "Repeat", [{ } value, { Kind: ArgumentKind.Integer, Integer: >= 0 and <= 4096 } count]) when value.IsKnown() =>
                Argument.OfList("", Enumerable.Repeat(value with { Name = "" }, (int)count.Integer).ToEquatableArray()),
            ("Enumerable", "Reverse", [{ Kind: ArgumentKind.List } list]) when list.IsKnown() => Argument.OfList("", list.Items.Reverse().ToEquatableArray()),
            ("Enumerable", "ToArray" or "ToList" or "AsEnumerable", [{ Kind: ArgumentKind.List } list]) when list.IsKnown() => list with { Name = "" },
            ("Enumerable", "Concat", [{ Kind: ArgumentKind.List } first, { Kind: ArgumentKind.List } second]) when first.IsKnown() && second.IsKnown() =>
                Argument.OfList("", first.Items.Concat(second.Items).ToEquatableArray()),
            _ => Unknown,
        };

    public static Argument Unary(UnaryOperatorKind kind, Argument operand) => (kind, operand.Kind) switch
    {
        (UnaryOperatorKind.Plus, ArgumentKind.Integer or ArgumentKind.Number) => operand,
        (UnaryOperatorKind.Minus, ArgumentKind.Integer) => operand.Integer == long.MinValue ? Unknown : Argument.OfInteger("", -operand.Integer),
        (UnaryOperatorKind.Minus, ArgumentKind.Number) => Argument.OfNumber("", -operand.Number),
        (UnaryOperatorKind.Minus, ArgumentKind.Parameter) when operand.Integer != 0 => Argument.OfParameter("", $"(-{operand.Text})", isInteger: true),
        (UnaryOperatorKind.Not, ArgumentKind.Parameter) when operand.Integer == 0 => Argument.OfParameter("", $"(!{operand.Text})", isInteger: false),
        (UnaryOperatorKind.Not, ArgumentKind.Boolean) => Argument.OfBoolean("", operand.Integer == 0),
        _ => Unknown,
    };

    public static Argument Binary(BinaryOperatorKind kind, Argument left, Argument right)
    {
        try
        {
            return (left.Kind, right.Kind) switch
            {
                (ArgumentKind.Integer, ArgumentKind.Integer) => Integers(kind, left.Integer, right.Integer),
                (ArgumentKind.Integer or ArgumentKind.Number, ArgumentKind.Integer or ArgumentKind.Number) =>
                    Numbers(kind, AsNumber(left), AsNumber(right)),
                (ArgumentKind.Boolean, ArgumentKind.Boolean) => Booleans(kind, left.Integer != 0, right.Integer != 0),
                (ArgumentKind.Text, ArgumentKind.Text) => Texts(kind, left.Text!, right.Text!),
                (ArgumentKind.Null, ArgumentKind.Null) => Compared(kind, 0),
                (ArgumentKind.Parameter, _) or (_, ArgumentKind.Parameter) => OverParameters(kind, left, right),
                (ArgumentKind.Null, not (ArgumentKind.Unknown or ArgumentKind.Value)) or (not (ArgumentKind.Unknown or ArgumentKind.Value), ArgumentKind.Null) =>
                    kind is BinaryOperatorKind.Equals or BinaryOperatorKind.NotEquals ? Compared(kind, 1) : Unknown,
                _ => Unknown,
            };
        }
        catch (ArithmeticException)
        {
            return Unknown;
        }
    }

    /// <summary>What the caller of a constructor will know: integers, and conditions on them.</summary>
    private static Argument OverParameters(BinaryOperatorKind kind, Argument left, Argument right)
    {
        (string? sign, bool isInteger) = kind switch
        {
            BinaryOperatorKind.Add => ("+", true),
            BinaryOperatorKind.Subtract => ("-", true),
            BinaryOperatorKind.Multiply => ("*", true),
            BinaryOperatorKind.Divide => ("/", true),
            BinaryOperatorKind.Remainder => ("%", true),
            BinaryOperatorKind.Equals => ("==", false),
            BinaryOperatorKind.NotEquals => ("!=", false),
            BinaryOperatorKind.LessThan => ("<", false),
            BinaryOperatorKind.LessThanOrEqual => ("<=", false),
            BinaryOperatorKind.GreaterThan => (">", false),
            BinaryOperatorKind.GreaterThanOrEqual => (">=", false),
            _ => ((string?)null, false),
        };
        return sign is not null && Integer(left) is { } first && Integer(right) is { } second
            ? Argument.OfParameter("", $"({first}{sign}{second})", isInteger)
            : kind is BinaryOperatorKind.ConditionalAnd or BinaryOperatorKind.ConditionalOr && left.Kind == ArgumentKind.Parameter && right.Kind == ArgumentKind.Parameter
            ? Argument.OfParameter("", $"({left.Text}{(kind == BinaryOperatorKind.ConditionalAnd ? "&&" : "||")}{right.Text})", isInteger: false)
            : Unknown;

        static string? Integer(Argument argument) => argument switch
        {
            { Kind: ArgumentKind.Parameter, Integer: not 0 } => argument.Text,
            { Kind: ArgumentKind.Integer, Integer: >= 0 } => argument.Integer.ToString(System.Globalization.CultureInfo.InvariantCulture),
            _ => null,
        };
    }

    private static double AsNumber(Argument argument) =>
        argument.Kind == ArgumentKind.Integer ? argument.Integer : argument.Number;

    private static Argument Integers(BinaryOperatorKind kind, long left, long right) => kind switch
    {
        BinaryOperatorKind.Add => Argument.OfInteger("", checked(left + right)),
        BinaryOperatorKind.Subtract => Argument.OfInteger("", checked(left - right)),
        BinaryOperatorKind.Multiply => Argument.OfInteger("", checked(left * right)),
        BinaryOperatorKind.Divide => Argument.OfInteger("", left / right),
        BinaryOperatorKind.Remainder => Argument.OfInteger("", left % right),
        BinaryOperatorKind.LeftShift when right is >= 0 and < 31 => Argument.OfInteger("", checked(left * (1L << (int)right))),
        BinaryOperatorKind.RightShift when right is >= 0 and < 31 => Argument.OfInteger("", left >> (int)right),
        _ => Compared(kind, left.CompareTo(right)),
    };

    private static Argument Numbers(BinaryOperatorKind kind, double left, double right) => kind switch
    {
        BinaryOperatorKind.Add => Argument.OfNumber("", left + right),
        BinaryOperatorKind.Subtract => Argument.OfNumber("", left - right),
        BinaryOperatorKind.Multiply => Argument.OfNumber("", left * right),
        BinaryOperatorKind.Divide => Argument.OfNumber("", left / right),
        _ => double.IsNaN(left) || double.IsNaN(right) ? Unknown : Compared(kind, left.CompareTo(right)),
    };

    private static Argument Booleans(BinaryOperatorKind kind, bool left, bool right) => kind switch
    {
        BinaryOperatorKind.And or BinaryOperatorKind.ConditionalAnd => Argument.OfBoolean("", left && right),
        BinaryOperatorKind.Or or BinaryOperatorKind.ConditionalOr => Argument.OfBoolean("", left || right),
        BinaryOperatorKind.Equals => Argument.OfBoolean("", left == right),
        BinaryOperatorKind.NotEquals or BinaryOperatorKind.ExclusiveOr => Argument.OfBoolean("", left != right),
        _ => Unknown,
    };

    private static Argument Texts(BinaryOperatorKind kind, string left, string right) => kind switch
    {
        BinaryOperatorKind.Equals or BinaryOperatorKind.NotEquals => Compared(kind, string.CompareOrdinal(left, right)),
        BinaryOperatorKind.Add => Argument.OfText("", left + right),
        _ => Unknown,
    };

    private static Argument Compared(BinaryOperatorKind kind, int order) => kind switch
    {
        BinaryOperatorKind.Equals => Argument.OfBoolean("", order == 0),
        BinaryOperatorKind.NotEquals => Argument.OfBoolean("", order != 0),
        BinaryOperatorKind.LessThan => Argument.OfBoolean("", order < 0),
        BinaryOperatorKind.LessThanOrEqual => Argument.OfBoolean("", order <= 0),
        BinaryOperatorKind.GreaterThan => Argument.OfBoolean("", order > 0),
        BinaryOperatorKind.GreaterThanOrEqual => Argument.OfBoolean("", order >= 0),
        _ => Unknown,
    };

    private static Argument EnumMember(ITypeSymbol enumeration, object constant)
    {
        string? name = enumeration.GetMembers().OfType<IFieldSymbol>()
            .FirstOrDefault(field => field.HasConstantValue && Equals(field.ConstantValue, constant))?.Name;
        return name is null ? Unknown : Argument.OfText("", name);
    }

    private static ITypeSymbol? Underlying(ITypeSymbol? type) =>
        type is INamedTypeSymbol { OriginalDefinition.SpecialType: SpecialType.System_Nullable_T } nullable
            ? nullable.TypeArguments[0]
            : type;
}
