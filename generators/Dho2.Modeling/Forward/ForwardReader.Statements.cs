using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

internal sealed partial class ForwardReader
{
    /// <summary>Reads a plain statement; the result tells whether it can be cut at its operations.</summary>
    private bool ReadPlain(IOperation statement)
    {
        switch (statement)
        {
            case IVariableDeclarationGroupOperation group:
                Declare(group);
                return true;
            case IUsingDeclarationOperation declaration:
                Declare(declaration.DeclarationGroup);
                return true;
            case IReturnOperation { ReturnedValue: { } value }:
                return Return(value);
            case IExpressionStatementOperation { Operation: var expression }:
                return ReadExpression(expression);
            default:
                return true;
        }
    }

    private bool ReadExpression(IOperation expression)
    {
        switch (expression)
        {
            case ISimpleAssignmentOperation { Target: IDiscardOperation } assignment:
                expressions.Read(assignment.Value);
                return true;
            case ISimpleAssignmentOperation assignment:
                Define(VariableOf(assignment.Target)!, expressions.Read(assignment.Value));
                return true;
            case ICompoundAssignmentOperation assignment:
                Define(VariableOf(assignment.Target)!, expressions.Compound(assignment));
                return true;
            case IDeconstructionAssignmentOperation assignment:
                return Deconstruct(assignment);
            default:
                expressions.Read(expression);
                return true;
        }
    }

    private void Declare(IVariableDeclarationGroupOperation group)
    {
        foreach (IVariableDeclarationOperation declaration in group.Declarations)
        {
            foreach (IVariableDeclaratorOperation declarator in declaration.Declarators)
            {
                variables.Declare(declarator.Symbol);
                if ((declarator.Initializer ?? declaration.Initializer) is { } initializer)
                {
                    Define(declarator.Symbol, expressions.Read(initializer.Value));
                }
            }
        }
    }

    private bool Deconstruct(IDeconstructionAssignmentOperation assignment)
    {
        IReadOnlyList<ISymbol?> targets = StatementInspector.DeconstructionTargets(assignment)!;
        Argument value = expressions.Read(assignment.Value);
        bool isLiteral = value.Kind == ArgumentKind.List && value.Items.Count == targets.Count;
        int tuple = isLiteral || value.Kind == ArgumentKind.Value ? value.Value : expressions.Box(value, assignment.Value.Type!.GlobalName());
        for (int i = 0; i < targets.Count; i++)
        {
            if (targets[i] is { } variable)
            {
                Define(variable, isLiteral ? value.Items[i] : Item(tuple, i, TypeOf(variable)));
            }
        }

        return isLiteral;
    }

    private bool Return(IOperation value)
    {
        if (value.Type is not INamedTypeSymbol { IsTupleType: true } type)
        {
            results = [expressions.ReadValue(value)];
            return true;
        }

        Argument tuple = expressions.Read(value);
        bool isLiteral = tuple.Kind == ArgumentKind.List && tuple.Items.Count == type.TupleElements.Length;
        results = type.TupleElements
            .Select((element, i) => isLiteral ? ValueOf(tuple.Items[i], element.Type) : Item(tuple.Value, i, element.Type).Value)
            .ToList();
        return isLiteral;
    }

    private Argument Item(int tuple, int index, ITypeSymbol type) => Argument.OfValue("", operations.Add(
        "item", [Argument.OfValue("this", tuple), Argument.OfInteger("index", index)], -1, type.GlobalName()));

    private int ValueOf(Argument argument, ITypeSymbol type) =>
        argument.Kind == ArgumentKind.Value ? argument.Value : expressions.Box(argument, type.GlobalName());

    /// <summary>Gives a variable what an expression yielded: a value, or a constant that every stage can repeat.</summary>
    private void Define(ISymbol variable, Argument argument)
    {
        assigned.Add(variable);
        variables.Declare(variable);
        ITypeSymbol type = TypeOf(variable);
        if (argument.IsKnown() && (argument.Kind == ArgumentKind.Parameter ? argument.Text : ConstantText.Write(argument, type)) is { } text)
        {
            constants.Add(new ConstantSource(variables.NameOf(variable), type.GlobalName(), text));
            variables.Define(variable, new Definition(argument, ~(constants.Count - 1)));
            return;
        }

        int value = Converted(ValueOf(argument, type), type);
        variables.Define(variable, new Definition(Argument.OfValue("", value), value));
    }

    /// <summary>A value of another type than the variable's becomes another value when it is assigned.</summary>
    private int Converted(int value, ITypeSymbol type)
    {
        string? made = value < method.Parameters.Length ? null : operations.Operations[value - method.Parameters.Length].TypeName;
        bool isSame = made is null ? context.Known.IsTensor(type) : made == type.GlobalName() || (context.Known.IsTensor(type) && IsTensorName(made));
        return isSame
            ? value
            : operations.Add("conversion", [Argument.OfValue("operand", value)], -1, type.GlobalName());
    }

    private bool IsTensorName(string typeName) =>
        typeName == context.Known.Tensor?.GlobalName() || typeName == context.Known.Parameter?.GlobalName();

    /// <summary>Reads a statement that is copied as a whole: only what flows in and out is known.</summary>
    private void ReadOpaque(IOperation statement, StatementInspector inspector)
    {
        if (statement is ILocalFunctionOperation function)
        {
            context.Report(
                ModelProblemKind.StatementNotSliced, function.Syntax, "a local function would have to exist in several stages; make it a static method");
            return;
        }

        SemanticModel semantics = context.Semantics(statement.Syntax.SyntaxTree);
        DataFlowAnalysis? flow = statement.Syntax switch
        {
            StatementSyntax syntax => semantics.AnalyzeDataFlow(syntax),
            ExpressionSyntax syntax => semantics.AnalyzeDataFlow(syntax),
            _ => null,
        };
        if (flow is not { Succeeded: true })
        {
            context.Report(ModelProblemKind.StatementNotSliced, statement.Syntax, "what flows into it and out of it cannot be found");
            return;
        }

        var changed = new HashSet<ISymbol>(flow.WrittenInside.Concat(inspector.Changed), SymbolEqualityComparer.Default);
        var needed = new HashSet<ISymbol>(
            flow.DataFlowsIn.Concat(inspector.Changed).Concat(flow.WrittenInside.Except(flow.AlwaysAssigned, SymbolEqualityComparer.Default)),
            SymbolEqualityComparer.Default);
        List<Argument> arguments = [];
        foreach (ISymbol variable in variables.Order.Where(needed.Contains))
        {
            if (variables.Find(variable) is { } definition)
            {
                string name = variables.NameOf(variable);
                operations.Read(name, definition.Number);
                arguments.Add(definition.Value with { Name = name });
            }
        }

        foreach (int layer in inspector.Layers)
        {
            operations.Add("opaque", arguments, layer, "void");
        }

        WriteOpaque(flow, changed, arguments);
        if (statement is IReturnOperation { ReturnedValue.Type: { } type })
        {
            results = type is INamedTypeSymbol { IsTupleType: true } tuple
                ? tuple.TupleElements.Select(element => operations.Add("opaque", arguments, -1, element.Type.GlobalName())).ToList()
                : [operations.Add("opaque", arguments, -1, type.GlobalName())];
        }
    }

    private void WriteOpaque(DataFlowAnalysis flow, HashSet<ISymbol> changed, List<Argument> arguments)
    {
        List<ISymbol> written = variables.Order.Where(changed.Contains)
            .Concat(flow.VariablesDeclared.Intersect(flow.DataFlowsOut, SymbolEqualityComparer.Default))
            .Distinct(SymbolEqualityComparer.Default)
            .ToList()!;
        int first = operations.NextValue;
        foreach (ISymbol variable in written)
        {
            operations.Add("opaque", arguments, -1, TypeOf(variable).GlobalName());
        }

        for (int i = 0; i < written.Count; i++)
        {
            assigned.Add(written[i]);
            variables.Define(written[i], new Definition(Argument.OfValue("", first + i), first + i));
        }

        if (operations.NextValue == first && operations.Operations.Count(o => o.Statement == operations.Statement) == 0)
        {
            operations.Add("opaque", arguments, -1, "void");
        }
    }

    private static ISymbol? VariableOf(IOperation target) => target switch
    {
        ILocalReferenceOperation local => local.Local,
        IParameterReferenceOperation parameter => parameter.Parameter,
        _ => null,
    };
}
