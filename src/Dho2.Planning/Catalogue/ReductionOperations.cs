using System.Collections.Generic;
using System.Linq;
using Dho2.Planning.Inference;

namespace Dho2.Planning.Catalogue;

/// <summary>Operations that make one number of many, over all or some dimensions.</summary>
internal static class ReductionOperations
{
    private static readonly string[] AxisNames = ["dim", "dims", "dimensions", "dimension"];

    public static void AddTo(RuleTable table)
    {
        table.Add("sum", static c => Reduce(c, c.Input, TypeOf(c, static t => ElementTypes.IsFloating(t) ? t : DType.Int64)));
        table.Add("mean", static c => Mean(c));
        table.Add("prod", static c => Reduce(c, c.Input, TypeOf(c, static t => ElementTypes.IsFloating(t) ? t : DType.Int64), savesOperand: true));
        table.Add("var", static c => Moment(c));
        table.Add("std", static c => Moment(c));
        table.Add("norm", static c => Moment(c));
        table.Add("amax", static c => Reduce(c, c.Input, c.Input.Type, savesOperand: true, savesResult: true));
        table.Add("amin", static c => Reduce(c, c.Input, c.Input.Type, savesOperand: true, savesResult: true));
        table.Add("max", Extreme);
        table.Add("min", Extreme);
        table.Add("argmax", Place);
        table.Add("argmin", Place);
        table.Add("all", static c => Reduce(c, c.Input, c.Input.Type == DType.UInt8 ? DType.UInt8 : DType.Bool));
        table.Add("any", static c => Reduce(c, c.Input, c.Input.Type == DType.UInt8 ? DType.UInt8 : DType.Bool));
        table.Add("logsumexp", static c => Reduce(c, c.Input, TypePromotion.ToFloating(c.Input.Type), savesOperand: true, savesResult: true));
        table.Add("cumsum", Cumulative);
    }

    /// <summary>Reduces over the dimensions that the call names, all where it names none.</summary>
    private static Symbolic Reduce(CallContext c, SymbolicTensor x, DType? type, bool savesOperand = false, bool savesResult = false)
    {
        if (!TryAxes(c, x, out EquatableArray<Dimension>? shape))
        {
            return SymbolicUnknown.Value;
        }

        SymbolicTensor result = c.New(shape, type, x.Differentiable);
        c.Facts.AddWork(x.Count);
        if (result.Differentiable)
        {
            if (savesOperand)
            {
                c.Save(x);
                c.Facts.AddSecond(x.Bytes);
            }

            if (savesResult)
            {
                c.Save(result);
            }
        }

        return result;
    }

    private static bool TryAxes(CallContext c, SymbolicTensor x, out EquatableArray<Dimension>? shape)
    {
        shape = null;
        if (x.Shape is not { } full)
        {
            c.Facts.AddUnknown();
            return true;
        }

        IReadOnlyList<long>? axes = [];
        string name = AxisNames.FirstOrDefault(n => c.Arguments.Has(n)) ?? "dim0";
        if (c.Arguments.Has("dim0"))
        {
            axes = new[] { "dim0", "dim1", "dim2" }.Where(n => c.Arguments.Has(n)).Select(n => c.Arguments.Constant(n) ?? long.MaxValue).ToArray();
            axes = axes.Contains(long.MaxValue) ? null : axes;
        }
        else if (c.Arguments.Get(AxisNames) is not SymbolicNull and var given)
        {
            axes = ArgumentReader.AsIntegers(given) is { } sizes && sizes.All(s => s.IsNumber) ? sizes.Select(s => s.Number).ToArray() : null;
        }

        if (c.Arguments.Boolean("keepdim", false) is not { } keep)
        {
            c.Facts.AddUnknown();
            return true;
        }

        // No dimensions mean all of them.
        if (axes is { Count: 0 })
        {
            shape = (keep ? full.Select(_ => Dimension.One) : []).ToEquatableArray();
            return true;
        }

        if (Axes.ResolveAll(c, name, axes, full.Count) is not { } resolved)
        {
            return axes is null;
        }

        shape = full.Select((d, i) => resolved.Contains(i) ? (Dimension?)(keep ? Dimension.One : null) : d)
            .Where(d => d is not null).Select(d => d!.Value).ToEquatableArray();
        return true;
    }

    private static DType? TypeOf(CallContext c, System.Func<DType, DType> natural) =>
        c.Arguments.Get("type", "dtype") is not SymbolicNull and var type ? Converted(c, ScalarTypes.Of(type))
        : c.Input.Type is { } known ? natural(known) : null;

    // Torch refuses to sum what carries a gradient into integers; nothing is claimed of it.
    private static DType? Converted(CallContext c, DType? type) => type is { } known && c.Input.Differentiable && !ElementTypes.IsFloating(known) ? null : type;

    private static Symbolic Place(CallContext c) => c.Input.Type == DType.Bool
        ? c.RefuseArgument($"`{c.Name}` needs numbers, gets bool {c.Input}")
        : Reduce(c, c.Input, DType.Int64);

    private static Symbolic Mean(CallContext c)
    {
        DType? type = TypeOf(c, static t => t);
        return type is { } known && !ElementTypes.IsFloating(known)
            ? c.RefuseArgument($"`{c.Name}` needs floating-point numbers, gets {ElementTypes.NameOf(known)} {c.Input}")
            : Reduce(c, c.Input, type);
    }

    private static Symbolic Moment(CallContext c) => c.Input.Type is { } type && !ElementTypes.IsFloating(type)
        ? c.RefuseArgument($"`{c.Name}` needs floating-point numbers, gets {ElementTypes.NameOf(type)} {c.Input}")
        : Reduce(c, c.Input, TypeOf(c, static t => t), savesOperand: true, savesResult: c.Name != "var");

    private static Symbolic Extreme(CallContext c)
    {
        if (c.Arguments.Has("other"))
        {
            return OperationCatalogue.Find(c.Name == "max" ? "Tensor.maximum" : "Tensor.minimum")!(c);
        }

        if (!c.Arguments.Has("dim"))
        {
            return Reduce(c, c.Input, c.Input.Type, savesOperand: true, savesResult: true);
        }

        return TryAxes(c, c.Input, out EquatableArray<Dimension>? shape) ? IndexOperations.WithIndices(c, c.Input, shape) : SymbolicUnknown.Value;
    }

    private static Symbolic Cumulative(CallContext c)
    {
        SymbolicTensor x = c.Input;
        c.Facts.AddWork(x.Count);
        return x.Shape is { } shape && Axes.Resolve(c, "dim", c.Arguments.Constant("dim"), shape.Count) is null
            ? SymbolicUnknown.Value
            : c.New(x.Shape, TypeOf(c, static t => ElementTypes.IsFloating(t) ? t : DType.Int64), x.Differentiable);
    }
}
