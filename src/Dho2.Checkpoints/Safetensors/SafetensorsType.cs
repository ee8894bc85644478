using System;
using System.Linq;

namespace Dho2.Checkpoints;

/// <summary>The element types of safetensors files.</summary>
public enum SafetensorsType
{
    /// <summary>Boolean, one byte (<c>BOOL</c>).</summary>
    Bool,

    /// <summary>Unsigned 8-bit integer (<c>U8</c>).</summary>
    UInt8,

    /// <summary>Signed 8-bit integer (<c>I8</c>).</summary>
    Int8,

    /// <summary>8-bit floating point with 5 exponent bits (<c>F8_E5M2</c>).</summary>
    Float8E5M2,

    /// <summary>8-bit floating point with 4 exponent bits (<c>F8_E4M3</c>).</summary>
    Float8E4M3,

    /// <summary>Signed 16-bit integer (<c>I16</c>).</summary>
    Int16,

    /// <summary>Unsigned 16-bit integer (<c>U16</c>).</summary>
    UInt16,

    /// <summary>IEEE half precision (<c>F16</c>).</summary>
    Float16,

    /// <summary>bfloat16 (<c>BF16</c>).</summary>
    BFloat16,

    /// <summary>Signed 32-bit integer (<c>I32</c>).</summary>
    Int32,

    /// <summary>Unsigned 32-bit integer (<c>U32</c>).</summary>
    UInt32,

    /// <summary>32-bit floating point (<c>F32</c>).</summary>
    Float32,

    /// <summary>64-bit floating point (<c>F64</c>).</summary>
    Float64,

    /// <summary>Signed 64-bit integer (<c>I64</c>).</summary>
    Int64,

    /// <summary>Unsigned 64-bit integer (<c>U64</c>).</summary>
    UInt64,
}

/// <summary>Names and sizes of <see cref="SafetensorsType"/>.</summary>
public static class SafetensorsTypes
{
    private static readonly (string Name, int Bytes)[] Table =
    [
        ("BOOL", 1), ("U8", 1), ("I8", 1), ("F8_E5M2", 1), ("F8_E4M3", 1), ("I16", 2), ("U16", 2), ("F16", 2), ("BF16", 2),
        ("I32", 4), ("U32", 4), ("F32", 4), ("F64", 8), ("I64", 8), ("U64", 8),
    ];

    /// <summary>All names, for messages.</summary>
    public static string Names { get; } = string.Join(", ", Table.Select(t => t.Name));

    /// <summary>The type's name in a header.</summary>
    public static string Name(this SafetensorsType type) => Table[(int)type].Name;

    /// <summary>Bytes of one element.</summary>
    public static int Bytes(this SafetensorsType type) => Table[(int)type].Bytes;

    /// <summary>Finds a type by its name in a header.</summary>
    /// <param name="name">The name.</param>
    /// <param name="type">The type, if the result is true.</param>
    public static bool TryParse(string? name, out SafetensorsType type)
    {
        int index = Array.FindIndex(Table, t => t.Name == name);
        type = (SafetensorsType)Math.Max(index, 0);
        return index >= 0;
    }
}
