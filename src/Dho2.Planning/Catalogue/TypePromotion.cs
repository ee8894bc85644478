using System.Collections.Generic;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Element types of results, as torch's type promotion gives them: tensors with dimensions, then without, then numbers.</summary>
internal static class TypePromotion
{
    /// <summary>The type that a floating-point result of integers has, unless the program changes torch's default.</summary>
    public const DType DefaultFloat = DType.Float32;

    /// <summary>The common type of operands; null where it depends on something unknown.</summary>
    public static DType? Promote(IEnumerable<Symbolic> operands)
    {
        DType? dimensioned = null;
        DType? scalarTensor = null;
        DType? number = null;
        foreach (Symbolic operand in operands)
        {
            switch (operand)
            {
                case SymbolicTensor { Type: { } type, Shape: { } shape }:
                    if (shape.Count > 0)
                    {
                        dimensioned = Join(dimensioned, type);
                    }
                    else
                    {
                        scalarTensor = Join(scalarTensor, type);
                    }

                    break;
                case SymbolicInteger:
                    number = Join(number, DType.Int64);
                    break;
                case SymbolicNumber:
                    number = Join(number, DefaultFloat);
                    break;
                case SymbolicBoolean:
                    number = Join(number, DType.Bool);
                    break;
                case SymbolicNull:
                    break;
                default:
                    return null;
            }
        }

        return Raise(Raise(dimensioned, scalarTensor), number);
    }

    /// <summary>The type of a floating-point function's result.</summary>
    public static DType? ToFloating(DType? type) => type is { } known && !ElementTypes.IsFloating(known) ? DefaultFloat : type;

    /// <summary>The smallest type that holds both.</summary>
    public static DType? Join(DType? left, DType? right)
    {
        if (left is not { } a || right is not { } b || a == b)
        {
            return left ?? right;
        }

        // Neither half-precision type holds the other.
        if ((a, b) is (DType.BFloat16, DType.Float16) or (DType.Float16, DType.BFloat16))
        {
            return DType.Float32;
        }

        return Rank(a) > Rank(b) ? a : b;
    }

    // A weaker operand counts only if it is of a higher category: a floating-point number among integers.
    private static DType? Raise(DType? strong, DType? weak) =>
        strong is { } a && weak is { } b ? (Category(b) > Category(a) ? b : a) : strong ?? weak;

    private static int Category(DType type) => ElementTypes.IsFloating(type) ? 2 : type == DType.Bool ? 0 : 1;

    private static int Rank(DType type) => type switch
    {
        DType.Bool => 0,
        DType.UInt8 => 1,
        DType.Int32 => 2,
        DType.Int64 => 3,
        DType.Float16 => 4,
        DType.BFloat16 => 5,
        DType.Float32 => 6,
        _ => 7,
    };
}
