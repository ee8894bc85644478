using System.Linq;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>Prints the record of what crosses a cut, and its way to tensors and back.</summary>
internal static class CutPrinter
{
    private const string Torch = "global::TorchSharp.torch";
    private const string Tensor = Torch + ".Tensor";

    public static void Print(CodeWriter writer, CutFields cut, int index)
    {
        writer.Line($"/// <summary>What crosses from stage {index} to stage {index + 1}.</summary>");
        foreach (CutField field in cut.Fields)
        {
            writer.Line($"/// <param name=\"{field.Name.TrimStart('@')}\">{Names.Xml(Describe(field))}</param>");
        }

        writer.Line(TypeShell.GeneratedCode);
        using (writer.Braces($"public readonly record struct {cut.TypeName}({string.Join(", ", cut.Fields.Select(f => $"{f.TypeName} {f.Name}"))})"))
        {
            writer.Line($"internal {Tensor}[] ToTensors() => [{string.Join(", ", cut.Fields.Select(ToTensor))}];").Line();
            writer.Line(
                $"internal static {cut.TypeName} FromTensors(global::System.Collections.Generic.IReadOnlyList<{Tensor}> tensors) => new({string.Join(", ", cut.Fields.Select(FromTensor))});");
        }
    }

    private static string Describe(CutField field)
    {
        string gradient = field.Differentiable ? ", differentiable" : "";
        return field.Type is { } type
            ? $"{type.DType.ToString().ToLowerInvariant()} ({string.Join(", ", type.Shape)}){gradient}"
            : IsTensor(field) ? "of unknown shape" + gradient
            : field.TypeName == "long[]" ? "a shape"
            : "a number";
    }

    private static string ToTensor(CutField field) => field.TypeName switch
    {
        "int" => $"{Torch}.tensor((long){field.Name})",
        "float" => $"{Torch}.tensor((double){field.Name})",
        "long" or "double" or "bool" or "long[]" => $"{Torch}.tensor({field.Name})",
        _ => field.Name,
    };

    private static string FromTensor(CutField field, int index) => field.TypeName switch
    {
        "long" => $"tensors[{index}].item<long>()",
        "int" => $"(int)tensors[{index}].item<long>()",
        "double" => $"tensors[{index}].item<double>()",
        "float" => $"(float)tensors[{index}].item<double>()",
        "bool" => $"tensors[{index}].item<bool>()",
        "long[]" => $"tensors[{index}].data<long>().ToArray()",
        _ => $"tensors[{index}]",
    };

    private static bool IsTensor(CutField field) => !CutScalars.Contains(field.TypeName);
}
