using System.Collections.Generic;
using System.Globalization;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Modeling;

/// <summary>Writes values that are known at compile time as C# expressions.</summary>
internal static class ConstantText
{
    /// <summary>The expression, or null where the type has no literal for the value.</summary>
    public static string? Write(Argument argument, ITypeSymbol type)
    {
        if (type is INamedTypeSymbol { OriginalDefinition.SpecialType: SpecialType.System_Nullable_T } nullable)
        {
            return argument.Kind == ArgumentKind.Null ? "null" : Write(argument, nullable.TypeArguments[0]);
        }

        return (argument.Kind, type) switch
        {
            (ArgumentKind.Text, { TypeKind: TypeKind.Enum }) => type.GlobalName() + "." + argument.Text,
            (ArgumentKind.Text, { SpecialType: SpecialType.System_String }) => SymbolDisplay.FormatLiteral(argument.Text!, quote: true),
            (ArgumentKind.Boolean, { SpecialType: SpecialType.System_Boolean }) => argument.Integer != 0 ? "true" : "false",
            (ArgumentKind.Integer or ArgumentKind.Number, _) => Number(argument, type.SpecialType),
            (ArgumentKind.Null, { IsReferenceType: true }) => "null",
            (ArgumentKind.List, INamedTypeSymbol { IsTupleType: true } tuple) => Tuple(argument, tuple),
            _ => null,
        };
    }

    private static string? Number(Argument argument, SpecialType type)
    {
        if (argument.Kind == ArgumentKind.Integer && type is >= SpecialType.System_SByte and <= SpecialType.System_UInt64)
        {
            string digits = argument.Integer.ToString(CultureInfo.InvariantCulture);
            return type == SpecialType.System_Int64 ? digits + "L" : digits;
        }

        double value = argument.Kind == ArgumentKind.Integer ? argument.Integer : argument.Number;
        return type switch
        {
            SpecialType.System_Double => Finite(value) ? Double(value) : "double." + Special(value),
            SpecialType.System_Single => Finite(value) ? ((float)value).ToString("R", CultureInfo.InvariantCulture) + "f" : "float." + Special(value),
            _ => null,
        };
    }

    private static string Double(double value)
    {
        string digits = value.ToString("R", CultureInfo.InvariantCulture);
        return digits.IndexOfAny(['.', 'E']) < 0 ? digits + ".0" : digits;
    }

    private static bool Finite(double value) => !double.IsNaN(value) && !double.IsInfinity(value);

    private static string Special(double value) =>
        double.IsNaN(value) ? "NaN" : value > 0 ? "PositiveInfinity" : "NegativeInfinity";

    private static string? Tuple(Argument argument, INamedTypeSymbol tuple)
    {
        if (argument.Items.Count != tuple.TupleElements.Length)
        {
            return null;
        }

        var items = new List<string>();
        for (int i = 0; i < argument.Items.Count; i++)
        {
            if (Write(argument.Items[i], tuple.TupleElements[i].Type) is not { } item)
            {
                return null;
            }

            items.Add(item);
        }

        return "(" + string.Join(", ", items) + ")";
    }
}
