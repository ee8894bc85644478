using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Operations that make tensors of sizes and numbers.</summary>
internal static class CreationOperations
{
    public static void AddTo(RuleTable table)
    {
        foreach (string name in new[] { "zeros", "ones", "empty", "rand", "randn", "full" })
        {
            table.AddExact("TorchSharp.torch." + name, Filled);
            table.Add(name + "_like", Like);
            table.AddExact("Tensor.new_" + name, NewLike);
        }

        table.AddExact("TorchSharp.torch.eye", static c => c.New(
            [c.Arguments.Integer("rows", 0), c.Arguments.Get("columns") is SymbolicInteger { Value: { } columns } && columns != Dimension.Of(-1) ? columns : c.Arguments.Integer("rows", 0)],
            ScalarTypes.Of(c.Arguments.Get("dtype"), TypePromotion.DefaultFloat),
            differentiable: false));
        table.AddExact("TorchSharp.torch.arange", Range);
    }

    private static Symbolic Filled(CallContext c)
    {
        Symbolic value = c.Arguments.Get("value");
        DType? natural = value is SymbolicNull ? TypePromotion.DefaultFloat : TypePromotion.Promote([value]);
        return c.New(Sizes(c), ScalarTypes.Of(c.Arguments.Get("dtype"), natural), differentiable: RequiresGradient(c));
    }

    private static Symbolic Like(CallContext c) =>
        c.New(c.Input.Shape, ScalarTypes.Of(c.Arguments.Get("dtype"), c.Input.Type), RequiresGradient(c));

    private static Symbolic NewLike(CallContext c) =>
        c.New(Sizes(c), ScalarTypes.Of(c.Arguments.Get("dtype"), c.Input.Type), RequiresGradient(c));

    private static bool RequiresGradient(CallContext c) => c.Arguments.Boolean("requires_grad", false) ?? true;

    private static IReadOnlyList<Dimension>? Sizes(CallContext c)
    {
        if (c.Arguments.Has("size", "sizes"))
        {
            return c.Arguments.Integers("size", "sizes");
        }

        string[] names = c.Arguments.Has("rows") ? ["rows", "columns"] : ["dim0", "dim1", "dim2", "dim3"];
        Dimension[] given = names.Where(n => c.Arguments.Has(n)).Select(n => c.Arguments.Integer(n, 0)).ToArray();
        return given.Length == 0 ? null : given;
    }

    private static Symbolic Range(CallContext c)
    {
        Symbolic start = c.Arguments.Get("start") is SymbolicNull ? new SymbolicInteger(Dimension.Of(0)) : c.Arguments.Get("start");
        Symbolic stop = c.Arguments.Get("stop");
        Symbolic step = c.Arguments.Get("step") is SymbolicNull ? new SymbolicInteger(Dimension.One) : c.Arguments.Get("step");
        DType? type = ScalarTypes.Of(c.Arguments.Get("dtype"), TypePromotion.Promote([start, stop, step]));
        Dimension count = (start, stop, step) is (SymbolicInteger a, SymbolicInteger b, SymbolicInteger { Value: { IsNumber: true, Number: > 0 } s })
            ? (b.Value - a.Value + Dimension.Of(s.Number - 1)).FloorDivide(s.Number)
            : Dimension.Unknown;
        return start is SymbolicInteger first && stop is SymbolicInteger last && (last.Value - first.Value) is { IsNumber: true, Number: < 0 } && step is SymbolicInteger { Value: { IsNumber: true, Number: > 0 } }
            ? c.RefuseArgument($"`arange` ends before it starts", "stop")
            : c.New([count], type, differentiable: false);
    }
}
