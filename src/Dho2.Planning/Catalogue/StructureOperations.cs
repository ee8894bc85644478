using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Tuples, elements of tuples and arrays, and parameters used as tensors.</summary>
internal static class StructureOperations
{
    public static void AddTo(RuleTable table)
    {
        table.AddExact("tuple", static c => new SymbolicList(c.Arguments.All));
        table.AddExact("item", Item);
        table.AddExact("read", Read);
    }

    private static Symbolic Item(CallContext c) =>
        (c.Arguments.Get("this"), c.Arguments.Constant("index")) switch
        {
            (SymbolicList list, >= 0 and var index) when index < list.Items.Count => list.Items[(int)index],
            (SymbolicList list, { } index) => c.RefuseArgument($"There is no element {index} of {list.Items.Count}", "index"),
            _ => c.Unknown(),
        };

    private static Symbolic Read(CallContext c)
    {
        string? name = c.Arguments.Get("parameter") is SymbolicText { Value: { } own } ? $"{c.Layer?.Name}.{own}" : c.Layer?.Name;
        return c.Layer?.Facts.Parameters?.FirstOrDefault(p => p.Name == name) is { } parameter
            ? c.Existing(parameter.Shape.Select(s => Dimension.Of(s)), parameter.DType, differentiable: true)
            : c.Unknown();
    }
}
