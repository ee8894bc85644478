namespace Dho2.Planning;

/// <summary>Facts about element types.</summary>
public static class ElementTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int SizeOf(DType type) => type switch
    {
        DType.Float64 or DType.Int64 => 8,
        DType.Float32 or DType.Int32 => 4,
        DType.BFloat16 or DType.Float16 => 2,
        _ => 1,
    };

    /// <summary>Whether it is a floating-point type, the only ones with gradients.</summary>
    public static bool IsFloating(DType type) => type is DType.Float32 or DType.Float64 or DType.BFloat16 or DType.Float16;

    /// <summary>Whether models can compute in it.</summary>
    public static bool CanCompute(DType type) => type is DType.Float32 or DType.Float64 or DType.BFloat16;

    /// <summary>The element type of the parameters that are trained where a model computes in a type: float32 beside bfloat16, else that type itself.</summary>
    public static DType MasterOf(DType type) => type == DType.BFloat16 ? DType.Float32 : type;

    /// <summary>Its name as TorchSharp users know it, such as <c>float32</c>.</summary>
    public static string NameOf(DType type) => type switch
    {
        DType.Float32 => "float32",
        DType.Float64 => "float64",
        DType.BFloat16 => "bfloat16",
        DType.Float16 => "float16",
        DType.Int64 => "int64",
        DType.Int32 => "int32",
        DType.UInt8 => "uint8",
        _ => "bool",
    };
}
