using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

internal sealed partial class ExpressionReader
{
    /// <summary>The layer that an expression names or reaches into, or -1.</summary>
    public int LayerOf(IOperation? expression) => expression switch
    {
        IConversionOperation conversion => LayerOf(conversion.Operand),
        IConditionalAccessInstanceOperation instance => LayerOf(ReceiverOf(instance)),
        IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member =>
            scope.Layers.TryGetValue(member.Member, out int layer) && !context.Known.IsParameter(member.Type) ? layer : -1,
        _ when ElementOf(expression) is var element and >= 0 => element,
        IMemberReferenceOperation member when context.Known.IsModule(member.Type) => LayerOf(member.Instance),
        _ => -1,
    };

    /// <summary>The layer that an expression names by its place in a list, or by a variable; -1 for anything else.</summary>
    public int ElementOf(IOperation? expression) => expression switch
    {
        ILocalReferenceOperation local => scope.Aliases.TryGetValue(local.Local, out int alias) ? alias : -1,
        IArrayElementReferenceOperation { Indices: [{ } index] } element => ElementAt(element.ArrayReference, index),
        IPropertyReferenceOperation { Property.IsIndexer: true, Arguments: [{ Value: var index }] } element => ElementAt(element.Instance, index),
        IImplicitIndexerReferenceOperation element => ElementAt(element.Instance, element.Argument),
        _ => -1,
    };

    /// <summary>The layers that a list of the module holds, or a part of it; null for anything else.</summary>
    public IReadOnlyList<int>? LayersOf(IOperation? expression) => expression switch
    {
        IConversionOperation conversion => LayersOf(conversion.Operand),
        IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member => scope.Lists.TryGetValue(member.Member, out IReadOnlyList<int>? list) ? list : null,
        IInvocationOperation { TargetMethod: { ContainingType.Name: "Enumerable", Name: var name }, Arguments: [{ Value: var source }, ..] } call =>
            LayersOf(source) is { } layers ? Part(layers, name, call) : null,
        _ => null,
    };

    /// <summary>The number of layers in a list whose length an expression asks for; null for anything else.</summary>
    public int? CountOf(IOperation expression) => expression switch
    {
        IPropertyReferenceOperation { Property.Name: "Count" or "Length" } property => LayersOf(property.Instance)?.Count ?? CreatedIn(property.Instance)?.Count,
        IInvocationOperation { TargetMethod: { Name: "Count", ContainingType.Name: "Enumerable" }, Arguments: [{ Value: var source }] } => LayersOf(source)?.Count,
        _ => null,
    };

    /// <summary>While a constructor is read: the modules in the list that an expression names; null for anything else.</summary>
    private List<Creation>? CreatedIn(IOperation? list)
    {
        ISymbol? symbol = list switch
        {
            ILocalReferenceOperation local => local.Local,
            IParameterReferenceOperation parameter => parameter.Parameter,
            IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member => member.Member,
            _ => null,
        };
        return symbol is not null && scope.Collections.TryGetValue(symbol, out List<Creation>? created) ? created : null;
    }

    /// <summary>The branch that a choice takes, where that is certain; null for anything else.</summary>
    public IOperation? ChosenBranch(IOperation expression)
    {
        switch (expression)
        {
            case IConditionalOperation { WhenFalse: { } otherwise } choice when choice.Type is not null:
                return Decide(choice.Condition) is { } holds ? (holds ? choice.WhenTrue : otherwise) : null;
            case ICoalesceOperation coalesce:
                return IsNull(coalesce.Value) is { } isNull ? (isNull ? coalesce.WhenNull : coalesce.Value) : null;
            case ISwitchExpressionOperation choice:
                foreach (ISwitchExpressionArmOperation arm in choice.Arms)
                {
                    if (arm.Guard is not null || Matches(choice.Value, arm.Pattern) is not { } matches)
                    {
                        return null;
                    }

                    if (matches)
                    {
                        return arm.Value;
                    }
                }

                return null;
            default:
                return null;
        }
    }

    /// <summary>Whether a condition holds, where that is certain or assumed.</summary>
    public bool? Decide(IOperation condition) => Silent.Read(condition) switch
    {
        { Kind: ArgumentKind.Boolean } known => known.Integer != 0,
        { Kind: ArgumentKind.Parameter, Integer: 0 } parameter => context.Assumptions?.Decide(parameter.Text!),
        _ => null,
    };

    /// <summary>Whether an expression is null, where that is certain.</summary>
    public bool? IsNull(IOperation expression)
    {
        expression = CreationReader.Unwrap(expression);
        if (LayerOf(expression) >= 0 || LayersOf(expression) is not null)
        {
            return false;
        }

        if (expression is IConditionalAccessOperation access)
        {
            return IsNull(access.Operation) switch
            {
                true => true,
                false when context.Known.IsTensor(access.WhenNotNull.Type) => false,
                _ => null,
            };
        }

        Argument value = Silent.Read(expression);
        return value.Kind == ArgumentKind.Null ? true : value.Kind != ArgumentKind.Parameter && value.IsKnown() ? false : null;
    }

    /// <summary>What stands before the question mark of a conditional access.</summary>
    public static IOperation? ReceiverOf(IConditionalAccessInstanceOperation instance)
    {
        for (IOperation? inner = instance, outer = instance.Parent; outer is not null; inner = outer, outer = outer.Parent)
        {
            if (outer is IConditionalAccessOperation access && inner == access.WhenNotNull)
            {
                return access.Operation;
            }
        }

        return null;
    }

    /// <summary>Reads without leaving a trace: for what decides and is not copied.</summary>
    private ExpressionReader Silent => operations is null ? this : new ExpressionReader(context, scope, variables);

    private int ElementAt(IOperation? list, IOperation index)
    {
        if (LayersOf(list) is not { } layers)
        {
            return -1;
        }

        index = CreationReader.Unwrap(index);
        bool fromEnd = index is IUnaryOperation { OperatorKind: UnaryOperatorKind.Hat };
        Argument place = Silent.Read(index is IUnaryOperation { OperatorKind: UnaryOperatorKind.Hat } hat ? hat.Operand : index);
        if (place.Kind != ArgumentKind.Integer)
        {
            return -1;
        }

        long at = fromEnd ? layers.Count - place.Integer : place.Integer;
        return at >= 0 && at < layers.Count ? layers[(int)at] : -1;
    }

    private IReadOnlyList<int>? Part(IReadOnlyList<int> layers, string name, IInvocationOperation call)
    {
        int? count = call.Arguments.Length > 1 && Silent.Read(call.Arguments[1].Value) is { Kind: ArgumentKind.Integer } number
            ? (int)System.Math.Max(0, System.Math.Min(number.Integer, layers.Count))
            : null;
        return (name, call.Arguments.Length, count) switch
        {
            ("AsEnumerable" or "ToArray" or "ToList" or "Cast", 1, _) => layers,
            ("Reverse", 1, _) => layers.Reverse().ToList(),
            ("Take", 2, { } taken) => layers.Take(taken).ToList(),
            ("Skip", 2, { } skipped) => layers.Skip(skipped).ToList(),
            _ => null,
        };
    }

    /// <summary>Whether a layer is named in full, so that calling it runs it, and not a part of it.</summary>
    private bool IsWhole(IOperation? expression) => expression switch
    {
        IConversionOperation conversion => IsWhole(conversion.Operand),
        IConditionalAccessInstanceOperation instance => IsWhole(ReceiverOf(instance)),
        IMemberReferenceOperation { Instance: IInstanceReferenceOperation } => true,
        _ => ElementOf(expression) >= 0,
    };

    private Argument Choice(IOperation choice) => ChosenBranch(choice) is { } branch ? Read(branch) : Parts(choice);

    private Argument Access(IConditionalAccessOperation access) => IsNull(access.Operation) switch
    {
        true => Argument.OfNull(""),
        false => Read(access.WhenNotNull),
        _ => Parts(access),
    };

    private Argument Truth(bool? truth, IOperation expression) => truth is { } known ? Argument.OfBoolean("", known) : Parts(expression);

    /// <summary>Whether a value matches a pattern, where that is certain.</summary>
    private bool? Matches(IOperation value, IPatternOperation pattern)
    {
        switch (pattern)
        {
            case INegatedPatternOperation negated:
                return !Matches(value, negated.Pattern);
            case IDiscardPatternOperation:
                return true;
            case IConstantPatternOperation { Value: var constant } when CreationReader.IsNull(constant):
                return IsNull(value);
            case IConstantPatternOperation constant:
                return Compare(BinaryOperatorKind.Equals, value, constant.Value);
            case IRelationalPatternOperation relation:
                return Compare(relation.OperatorKind, value, relation.Value);
            case IBinaryPatternOperation { OperatorKind: BinaryOperatorKind.Or } either:
                return (Matches(value, either.LeftPattern), Matches(value, either.RightPattern)) switch
                {
                    (true, _) or (_, true) => true,
                    (false, false) => false,
                    _ => null,
                };
            case IBinaryPatternOperation both:
                return (Matches(value, both.LeftPattern), Matches(value, both.RightPattern)) switch
                {
                    (false, _) or (_, false) => false,
                    (true, true) => true,
                    _ => null,
                };
            case IRecursivePatternOperation { DeconstructionSubpatterns.IsEmpty: true, PropertySubpatterns.IsEmpty: true } present:
                return Bind(IsNull(value) is { } isNull ? !isNull : null, value, present.DeclaredSymbol);
            case IDeclarationPatternOperation { MatchesNull: true } declaration:
                return Bind(true, value, declaration.DeclaredSymbol);
            default:
                return null;
        }
    }

    private bool? Bind(bool? matches, IOperation value, ISymbol? variable)
    {
        if (matches == true && variable is not null && LayerOf(value) is var layer and >= 0)
        {
            scope.Aliases[variable] = layer;
        }

        return matches == true && variable is not null && !scope.Aliases.ContainsKey(variable) ? null : matches;
    }

    private bool? Compare(BinaryOperatorKind kind, IOperation left, IOperation right) =>
        ConstantFolding.Binary(kind, Silent.Read(left), Silent.Read(right)) is { Kind: ArgumentKind.Boolean } result ? result.Integer != 0 : null;
}
