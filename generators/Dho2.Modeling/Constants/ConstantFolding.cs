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
            (ArgumentKind.Integer, SpecialType.System_Double or SpecialType.System_Single) => Argument.OfNumber("", argument.Integer),
            (ArgumentKind.Number, SpecialType.System_Single) => Argument.OfNumber("", (float)argument.Number),
            (ArgumentKind.Number, >= SpecialType.System_SByte and <= SpecialType.System_UInt64) =>
                Math.Abs(argument.Number) < long.MaxValue ? Argument.OfInteger("", (long)argument.Number) : Unknown,
            _ => argument,
        };

    public static Argument Unary(UnaryOperatorKind kind, Argument operand) => (kind, operand.Kind) switch
    {
        (UnaryOperatorKind.Plus, ArgumentKind.Integer or ArgumentKind.Number) => operand,
        (UnaryOperatorKind.Minus, ArgumentKind.Integer) => operand.Integer == long.MinValue ? Unknown : Argument.OfInteger("", -operand.Integer),
        (UnaryOperatorKind.Minus, ArgumentKind.Number) => Argument.OfNumber("", -operand.Number),
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
                _ => Unknown,
            };
        }
        catch (ArithmeticException)
        {
            return Unknown;
        }
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
