using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>TorchSharp's <c>ScalarType</c> as arguments name it.</summary>
internal static class ScalarTypes
{
    /// <summary>The element type that an argument names; null where it is not known or is none that planning has.</summary>
    public static DType? Of(Symbolic argument) =>
        argument is SymbolicText { Value: { } name }
            ? name.Substring(name.LastIndexOf('.') + 1) switch
            {
                "Float32" or "float32" => DType.Float32,
                "Float64" or "float64" => DType.Float64,
                "Float16" or "float16" => DType.Float16,
                "BFloat16" or "bfloat16" => DType.BFloat16,
                "Int64" or "int64" or "long" => DType.Int64,
                "Int32" or "int32" => DType.Int32,
                "Byte" or "uint8" => DType.UInt8,
                "Bool" or "bool" => DType.Bool,
                _ => null,
            }
            : null;

    /// <summary>The type of an optional argument: the default where it is not given.</summary>
    public static DType? Of(Symbolic argument, DType? defaultType) => argument is SymbolicNull ? defaultType : Of(argument);
}
