using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Modeling;
using Dho2.Planning;

namespace Dho2.Generators;

/// <summary>One element of a cut's record.</summary>
/// <param name="Value">The value that crosses.</param>
/// <param name="Name">The element's name, as it is written.</param>
/// <param name="TypeName">Its type.</param>
/// <param name="Type">Shape and element type, where known.</param>
/// <param name="Differentiable">Whether a gradient comes back for it.</param>
internal sealed record CutField(int Value, string Name, string TypeName, TensorType? Type, bool Differentiable);

/// <summary>The record of what crosses from one stage to the next.</summary>
/// <param name="TypeName">Its name.</param>
/// <param name="Fields">Its elements, in the plan's order.</param>
internal sealed record CutFields(string TypeName, IReadOnlyList<CutField> Fields)
{
    // Members of every record: an element of the same name would not compile.
    private static readonly string[] Reserved =
        ["Equals", "GetHashCode", "ToString", "GetType", "MemberwiseClone", "ReferenceEquals", "Finalize", "Deconstruct", "PrintMembers", "ToTensors", "FromTensors"];

    /// <summary>The record of a cut.</summary>
    public static CutFields Of(PipelineClass type, CutPlan cut)
    {
        string typeName = type.Names.Cut + cut.Index;
        var taken = new HashSet<string>(Reserved, StringComparer.Ordinal) { typeName };
        return new CutFields(
            typeName,
            cut.Values
                .Select(value => new CutField(
                    value.Value, Names.Escape(Names.Free(value.Name, taken)), value.TypeName, value.Type, value.Differentiable))
                .ToList());
    }
}
