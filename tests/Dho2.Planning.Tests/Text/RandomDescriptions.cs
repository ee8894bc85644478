using System.Linq;
using CsCheck;

namespace Dho2.Planning.Tests.Text;

/// <summary>Random descriptions, odd ones included: the text must carry whatever modeling can express.</summary>
internal static class RandomDescriptions
{
    private static readonly Gen<string> Name = Gen.OneOf(
        Gen.Const("x"), Gen.Const("TorchSharp.torch.nn.Conv2d"), Gen.Const("global::System.Collections.Generic.List<\"\\>"), Gen.String);

    private static readonly Gen<int> Small = Gen.OneOf(Gen.Int[-1, 5], Gen.Int);

    private static readonly Gen<Argument> Leaf = Gen.OneOf(
        Gen.Select(Name, Small, Argument.OfValue),
        Gen.Select(Name, Gen.Long, Argument.OfInteger),
        Gen.Select(Name, Gen.OneOf(Gen.Double, Gen.Double.Special), Argument.OfNumber),
        Gen.Select(Name, Gen.Bool, Argument.OfBoolean),
        Gen.Select(Name, Name, Argument.OfText),
        Name.Select(Argument.OfNull),
        Name.Select(Argument.OfUnknown));

    private static readonly Gen<Argument> AnyArgument = Gen.OneOf(
        Leaf,
        Gen.Select(Name, List(Leaf), Argument.OfList),
        Gen.Select(Name, List(Leaf.Select(l => l with { Name = "" })), Argument.OfList),
        Gen.Select(Name, List(Gen.Select(Name, List(Leaf), Argument.OfList)), Argument.OfList));

    private static readonly Gen<Operation> AnyOperation =
        Gen.Select(Name, List(AnyArgument), Small, Small, Name, (n, a, l, s, t) => new Operation(n, a, l, s, t));

    private static readonly Gen<InputDescription> AnyInput = Gen.Select(
        Name,
        Gen.OneOf(
            Gen.Const((EquatableArray<DimensionDescription>?)null),
            List(Gen.OneOf(Gen.Long.Select(n => new DimensionDescription(n, null)), Name.Select(n => new DimensionDescription(0, n))))
                .Select(d => (EquatableArray<DimensionDescription>?)d)),
        Gen.Enum<DType>(),
        (n, d, t) => new InputDescription(n, d, t));

    private static readonly Gen<ModelOptions> AnyOptions = Gen.Select(
        Gen.Select(Small, Gen.Enum<Schedule>(), Gen.Enum<BaseKind>(), Small, Small),
        Gen.Long.Nullable(),
        Gen.Select(Gen.Select(Small, Small, Small, Small, Small), Gen.Double, Gen.Double, Gen.Enum<CurvatureScope>(), Small)
            .Select(c => new CurvatureOptions(c.Item1.Item1, c.Item1.Item2, c.Item1.Item3, c.Item1.Item4, c.Item1.Item5, c.Item2, c.Item3, c.Item4, c.Item5, (CurvatureMode)(c.Item1.Item1 % 3), c.Item1.Item2 % 5)).Null(),
        Gen.Select(Small, Gen.Double, Gen.Double, Gen.Enum<AdmmRule>(), Gen.Bool, (p, s, r, k, l) => new AdmmOptions(p, s, r, k) { LocalCurvature = l }).Null(),
        Gen.Enum<DType>(),
        Gen.Select(Small, Small, Name.Null(), Gen.Bool, Gen.Select(Gen.Bool, List(Small), Gen.Bool, (a, s, o) => new RecomputeOptions(a, s) { OverridesLayers = o }).Null()),
        (a, memory, curvature, admm, dtype, more) =>
            new ModelOptions(a.Item1, a.Item2, a.Item3, a.Item4, a.Item5, memory, curvature, admm, dtype, more.Item1, more.Item2, more.Item3) { ShardsOptimizer = more.Item4, Recompute = more.Item5 });

    private static readonly Gen<EquatableArray<VariableValue>> Variables =
        List(Gen.Select(Name, Small, (n, v) => new VariableValue(n, v)));

    private static readonly Gen<StatementDescription> AnyStatement =
        Gen.Select(Variables, Variables, Gen.Bool, (r, w, p) => new StatementDescription(r, w, p));

    public static readonly Gen<ModelDescription> Model =
        from name in Name
        from type in Name
        from options in AnyOptions
        from inputs in List(AnyInput)
        from targets in List(AnyInput)
        from layers in List(Layer(2))
        from operations in List(AnyOperation)
        from statements in List(AnyStatement)
        from results in List(Small)
        from loss in Body(1).Null()
        select new ModelDescription(name, type, options, inputs, targets, layers, operations, statements, results, loss);

    private static Gen<EquatableArray<T>> List<T>(Gen<T> element) => element.Array[0, 4].Select(a => a.ToEquatableArray());

    private static Gen<LayerDescription> Layer(int depth) => Gen.Select(
        Gen.Select(Name, Name, Name),
        List(AnyArgument),
        Small.Nullable(),
        Small.Nullable(),
        depth == 0 ? Gen.Const((ModuleBody?)null) : Body(depth - 1).Null(),
        Gen.Long.Nullable(),
        Gen.Select(Gen.Bool, Name.Null(), Gen.Bool),
        (n, a, s, r, b, m, e) => new LayerDescription(n.Item1, n.Item2, n.Item3, a, e.Item1 ? null : s, r, b, m, e.Item1, e.Item2) { Recomputes = e.Item3 });

    private static Gen<ModuleBody> Body(int depth) =>
        Gen.Select(Small, List(Layer(depth)), List(AnyOperation), List(Small), (i, l, o, r) => new ModuleBody(i, l, o, r));
}
