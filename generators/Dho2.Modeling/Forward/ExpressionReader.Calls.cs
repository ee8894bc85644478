using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

internal sealed partial class ExpressionReader
{
    private Outcome Invocation(IInvocationOperation call)
    {
        if (CountOf(call) is { } count)
        {
            return Argument.OfInteger("", count);
        }

        IMethodSymbol method = call.TargetMethod;
        int layer = LayerOf(call.Instance);
        if (layer >= 0)
        {
            List<Argument> inputs = Arguments(call.Arguments);
            bool isForward = method.Name is "forward" or "call" && IsWhole(call.Instance);
            return Outcome.Of(isForward ? "layer" : "opaque", inputs, layer, isForward && IsInPlace(scope.Descriptions[layer].Arguments) ? FirstValue(inputs) : -1);
        }

        List<Argument> arguments = call.Instance is null or IInstanceReferenceOperation
            ? Arguments(call.Arguments)
            : [Read(call.Instance) with { Name = "this" }, .. Arguments(call.Arguments)];
        if (method is { Name: "Slice", ContainingType.Name: "TensorIndex" } && KnownSymbols.IsTorchSharp(method))
        {
            return Argument.OfList("", arguments.ToEquatableArray());
        }

        int passed = call.Arguments.Select(argument => LayerOf(argument.Value)).Where(index => index >= 0).DefaultIfEmpty(-1).First();
        bool computes = passed >= 0
            || method.ReturnsVoid
            || context.Known.IsTensor(call.Type)
            || arguments.Any(ConstantFolding.HasValues);
        if (!computes)
        {
            return ConstantFolding.Call(method, arguments);
        }

        bool onTensor = call.Instance is not null && context.Known.IsTensor(method.ContainingType);
        bool inPlace = (onTensor && method.Name.EndsWith("_", System.StringComparison.Ordinal)) || IsInPlace(arguments);
        string name = passed >= 0 ? "opaque" : onTensor ? "Tensor." + method.Name : method.FullName();
        if (call.Instance is null && passed < 0)
        {
            arguments.AddRange(AttributeReader.Operation(method));
        }

        return Outcome.Of(name, arguments, passed, inPlace ? FirstValue(arguments) : -1);
    }

    /// <summary>The arguments in the order of the parameters; they are read in the order they are evaluated.</summary>
    internal List<Argument> Arguments(IEnumerable<IArgumentOperation> arguments) =>
        arguments
            .Select(argument => (argument.Parameter, Value: Read(argument.Value) with { Name = argument.Parameter?.Name ?? "" }))
            .ToList()
            .OrderBy(argument => argument.Parameter?.Ordinal ?? int.MaxValue)
            .Select(argument => argument.Value)
            .ToList();

    private Outcome Binary(IBinaryOperation binary)
    {
        if (binary.OperatorKind is BinaryOperatorKind.Equals or BinaryOperatorKind.NotEquals && Nothing(binary) is { } operand && IsNull(operand) is { } isNull)
        {
            return Argument.OfBoolean("", isNull == (binary.OperatorKind == BinaryOperatorKind.Equals));
        }

        Argument left = Read(binary.LeftOperand);
        if (left.Kind == ArgumentKind.Boolean
            && binary.OperatorKind is BinaryOperatorKind.ConditionalAnd or BinaryOperatorKind.ConditionalOr
            && (left.Integer != 0) == (binary.OperatorKind == BinaryOperatorKind.ConditionalOr))
        {
            return left;
        }

        Argument right = Read(binary.RightOperand);
        if (left.HasValues() || right.HasValues() || context.Known.IsTensor(binary.Type))
        {
            return Outcome.Of("operator " + Symbol(binary.OperatorKind), [left with { Name = "left" }, right with { Name = "right" }]);
        }

        return ConstantFolding.Binary(binary.OperatorKind, left, right);
    }

    /// <summary>What is compared with null, or null.</summary>
    private static IOperation? Nothing(IBinaryOperation binary) =>
        CreationReader.IsNull(binary.RightOperand) ? binary.LeftOperand : CreationReader.IsNull(binary.LeftOperand) ? binary.RightOperand : null;

    /// <summary>A compound assignment's right side: its target and its value under its operator.</summary>
    public Argument Compound(ICompoundAssignmentOperation assignment) => Nested(assignment, _ =>
    {
        Argument left = Read(assignment.Target);
        Argument right = Read(assignment.Value);
        return left.HasValues() || right.HasValues() || context.Known.IsTensor(assignment.Type)
            ? Outcome.Of("operator " + Symbol(assignment.OperatorKind), [left with { Name = "left" }, right with { Name = "right" }])
            : ConstantFolding.Convert(ConstantFolding.Binary(assignment.OperatorKind, left, right), assignment.Type);
    });

    private Outcome Unary(IUnaryOperation unary)
    {
        Argument operand = Read(unary.Operand);
        return operand.HasValues() || context.Known.IsTensor(unary.Type)
            ? Outcome.Of("operator " + Symbol(unary.OperatorKind), [operand with { Name = "operand" }])
            : ConstantFolding.Unary(unary.OperatorKind, operand);
    }

    private Outcome Conversion(IConversionOperation conversion)
    {
        Argument operand = Read(conversion.Operand);
        if (!operand.HasValues())
        {
            return conversion.OperatorMethod is null ? ConstantFolding.Convert(operand, conversion.Type) : operand;
        }

        // An implicit conversion happens again wherever the value is used; an explicit one is a step of its own.
        return operand.Kind == ArgumentKind.List || conversion.IsImplicit || conversion.Conversion.IsIdentity || conversion.Conversion.IsReference
            ? operand
            : Outcome.Of("conversion", [operand with { Name = "operand" }]);
    }

    private Outcome Element(IArrayElementReferenceOperation element)
    {
        Argument array = Read(element.ArrayReference);
        Argument index = element.Indices.Length == 1 ? Read(element.Indices[0]) : List(element.Indices);
        if (array.Kind == ArgumentKind.List && index is { Kind: ArgumentKind.Integer, Integer: >= 0 } && index.Integer < array.Items.Count)
        {
            return array.Items[(int)index.Integer];
        }

        return array.HasValues() || index.HasValues()
            ? Outcome.Of("item", [array with { Name = "this" }, index with { Name = "index" }])
            : ConstantFolding.Unknown;
    }

    private Outcome Creation(IObjectCreationOperation creation)
    {
        List<Argument> arguments = Arguments(creation.Arguments);
        return arguments.Any(ConstantFolding.HasValues)
            ? Outcome.Of(creation.Type?.FullName() ?? "opaque", arguments)
            : ConstantFolding.Unknown;
    }

    private static bool IsInPlace(IEnumerable<Argument> arguments) =>
        arguments.Any(argument => argument is { Name: "inplace", Kind: ArgumentKind.Boolean, Integer: 1 });

    private static int FirstValue(IReadOnlyList<Argument> arguments) =>
        arguments.Count > 0 && arguments[0].Kind == ArgumentKind.Value ? arguments[0].Value : -1;

    private static string Symbol(BinaryOperatorKind kind) => kind switch
    {
        BinaryOperatorKind.Add => "+",
        BinaryOperatorKind.Subtract => "-",
        BinaryOperatorKind.Multiply => "*",
        BinaryOperatorKind.Divide => "/",
        BinaryOperatorKind.Remainder => "%",
        BinaryOperatorKind.And => "&",
        BinaryOperatorKind.Or => "|",
        BinaryOperatorKind.ExclusiveOr => "^",
        BinaryOperatorKind.LeftShift => "<<",
        BinaryOperatorKind.RightShift => ">>",
        BinaryOperatorKind.Equals => "==",
        BinaryOperatorKind.NotEquals => "!=",
        BinaryOperatorKind.LessThan => "<",
        BinaryOperatorKind.LessThanOrEqual => "<=",
        BinaryOperatorKind.GreaterThan => ">",
        BinaryOperatorKind.GreaterThanOrEqual => ">=",
        _ => kind.ToString(),
    };

    private static string Symbol(UnaryOperatorKind kind) => kind switch
    {
        UnaryOperatorKind.Minus => "-",
        UnaryOperatorKind.Plus => "+",
        UnaryOperatorKind.Not => "!",
        UnaryOperatorKind.BitwiseNegation => "~",
        _ => kind.ToString(),
    };
}
