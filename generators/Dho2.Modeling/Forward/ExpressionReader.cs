using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

/// <summary>
/// Reads expressions: what is known at compile time becomes a constant, calls and operators on values become operations
/// in evaluation order.
/// </summary>
/// <remarks>Without a builder nothing becomes an operation: that is how a layer's arguments are read.</remarks>
internal sealed partial class ExpressionReader(
    ReadingContext context,
    ModuleScope scope,
    VariableTable? variables = null,
    OperationBuilder? operations = null)
{
    /// <summary>The value of an expression: a constant, the number of a value, a list of such, or unknown.</summary>
    public Argument Read(IOperation expression)
    {
        context.Cancellation.ThrowIfCancellationRequested();
        if (expression.ConstantValue.HasValue)
        {
            foreach (ILocalReferenceOperation constant in expression.DescendantsAndSelf().OfType<ILocalReferenceOperation>())
            {
                Variable(constant.Local);
            }

            return ConstantFolding.Of(expression.ConstantValue.Value, expression.Type);
        }

        return expression switch
        {
            ILocalReferenceOperation local => Variable(local.Local),
            IParameterReferenceOperation parameter => Variable(parameter.Parameter),
            IConversionOperation conversion => Nested(conversion, Conversion),
            IFieldReferenceOperation field => Nested(field, Field),
            IPropertyReferenceOperation property => Nested(property, Property),
            IInvocationOperation call => Nested(call, Invocation),
            IBinaryOperation binary => Nested(binary, Binary),
            IUnaryOperation unary => Nested(unary, Unary),
            ITupleOperation tuple => List(tuple.Elements),
            IArrayCreationOperation { Initializer: { } items } => List(items.ElementValues),
            IArrayCreationOperation { DimensionSizes: [{ ConstantValue: { HasValue: true, Value: 0 } }] } => Argument.OfList("", default),
            ICollectionExpressionOperation collection => List(collection.Elements),
            IArrayElementReferenceOperation element => Nested(element, Element),
            IObjectCreationOperation creation => Nested(creation, Creation),
            IRangeOperation range => Argument.OfList("", new[] { Bound(range.LeftOperand), Bound(range.RightOperand), Argument.OfNull("") }.ToEquatableArray()),
            IConditionalOperation or ICoalesceOperation or ISwitchExpressionOperation => Choice(expression),
            IConditionalAccessOperation access => Access(access),
            IIsPatternOperation pattern => Truth(Matches(pattern.Value, pattern.Pattern), pattern),
            IDefaultValueOperation { Type: { IsReferenceType: true } or { OriginalDefinition.SpecialType: SpecialType.System_Nullable_T } } => Argument.OfNull(""),
            _ => Parts(expression),
        };
    }

    /// <summary>Reads an expression whose value must have a number, so that a variable or result can hold it.</summary>
    public int ReadValue(IOperation expression, string? typeName = null)
    {
        Argument argument = Read(expression);
        return argument.Kind == ArgumentKind.Value ? argument.Value : Box(argument, typeName ?? expression.Type?.GlobalName() ?? "object");
    }

    /// <summary>Gives a number to something that is no operation: a list, or what is not understood.</summary>
    public int Box(Argument argument, string typeName) =>
        argument.Kind == ArgumentKind.List
            ? operations!.Add("tuple", Numbered(argument.Items), -1, typeName)
            : operations!.Add("opaque", argument.Kind == ArgumentKind.Unknown ? [] : [argument with { Name = "value" }], -1, typeName);

    internal static IEnumerable<Argument> Numbered(IEnumerable<Argument> items) =>
        items.Select((item, i) => item with { Name = i.ToString(System.Globalization.CultureInfo.InvariantCulture) });

    private Argument Nested<T>(T expression, Func<T, Outcome> read)
        where T : IOperation
    {
        operations?.Enter();
        Outcome outcome = read(expression);
        if (operations is null || outcome.Name is null)
        {
            operations?.Leave();
            return outcome.Result ?? ConstantFolding.Unknown;
        }

        string type = expression.Type?.SpecialType == SpecialType.System_Void ? "void" : expression.Type?.GlobalName() ?? "void";
        int value = operations.Leave(outcome.Name, outcome.Arguments!, outcome.Layer, type, SyntaxOf(expression), outcome.InPlace);
        Argument result = Argument.OfValue("", value);
        if (outcome.InPlace >= 0)
        {
            variables?.Redefine(outcome.InPlace, new Definition(result, value));
        }

        return result;
    }

    /// <summary>An operation's text; that of a call behind a question mark includes what stands before it.</summary>
    private static SyntaxNode SyntaxOf(IOperation expression) =>
        expression is IInvocationOperation { Instance: IConditionalAccessInstanceOperation }
        && expression.Syntax.FirstAncestorOrSelf<ConditionalAccessExpressionSyntax>() is { } access
            ? access
            : expression.Syntax;

    private Argument Variable(ISymbol variable)
    {
        if (variables?.Find(variable) is { } definition)
        {
            operations?.Read(variables.NameOf(variable), definition.Number);
            return definition.Value;
        }

        return scope.Values.TryGetValue(variable, out Argument? known) ? known : ConstantFolding.Unknown;
    }

    private Argument List(IEnumerable<IOperation> elements) =>
        Argument.OfList("", elements.Select(Read).ToEquatableArray());

    /// <summary>A bound of a range: null where it is open, negative where it counts from the end.</summary>
    private Argument Bound(IOperation? bound) => bound switch
    {
        null => Argument.OfNull(""),
        IConversionOperation conversion => Bound(conversion.Operand),
        IUnaryOperation { OperatorKind: UnaryOperatorKind.Hat } fromEnd => ConstantFolding.Unary(UnaryOperatorKind.Minus, Read(fromEnd.Operand)),
        _ => Read(bound),
    };

    /// <summary>What is not understood still depends on the values in it.</summary>
    private Argument Parts(IOperation expression)
    {
        Argument parts = List(expression.ChildOperations);
        return parts.HasValues() ? parts : ConstantFolding.Unknown;
    }

    /// <summary>A constant or unknown result, or an operation to add.</summary>
    private readonly record struct Outcome(Argument? Result, string? Name, IEnumerable<Argument>? Arguments, int Layer, int InPlace)
    {
        public static implicit operator Outcome(Argument result) => new(result, null, null, -1, -1);

        public static Outcome Of(string name, IEnumerable<Argument> arguments, int layer = -1, int inPlace = -1) =>
            new(null, name, arguments.ToList(), layer, inPlace);
    }
}
