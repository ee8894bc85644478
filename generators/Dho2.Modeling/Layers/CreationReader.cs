using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

/// <summary>Reads what an expression creates, and what of its surroundings has to be repeated where it is copied to.</summary>
internal sealed class CreationReader(ReadingContext context, ModuleScope scope)
{
    private static readonly CreatedLayer Nothing = new("unknown", null, default, null);

    /// <summary>Reads an expression; a choice that is certain has been made already: see <see cref="Chosen"/>.</summary>
    /// <param name="operation">The expression.</param>
    /// <param name="isLayer">Whether it makes a layer, and no buffer.</param>
    public Creation Read(IOperation operation, bool isLayer = true)
    {
        string? name = null;
        if (Unwrap(operation) is ITupleOperation { Elements: [{ ConstantValue: { HasValue: true, Value: string text } }, { } module] })
        {
            name = text;
            operation = Chosen(module);
        }

        CreatedLayer created = isLayer ? LayerFactory.Read(context, scope, operation) : Nothing;
        var constants = new List<ConstantSource>();
        bool usesMembers = false;
        string? obstacle = null;

        // What is created may not be what the member holds.
        context.HasErrors |= operation.Syntax.ContainsDiagnostics || (operation.Parent is { } parent && ForwardErrors.IsWrong(parent));
        foreach (IOperation part in operation.DescendantsAndSelf())
        {
            context.HasErrors |= ForwardErrors.IsWrong(part);
            obstacle ??= ObstacleIn(part, operation, constants, ref usesMembers);
        }

        return new Creation(operation, created, name, constants.Distinct().ToEquatableArray(), usesMembers, obstacle);
    }

    /// <summary>The branch of a choice whose condition is known; anything else as it is.</summary>
    public IOperation Chosen(IOperation operation)
    {
        while (Unwrap(operation) is var inner && new ExpressionReader(context, scope).ChosenBranch(inner) is { } branch)
        {
            operation = branch;
        }

        return operation;
    }

    /// <summary>Whether an expression is the null reference.</summary>
    public static bool IsNull(IOperation operation) =>
        Unwrap(operation) is { ConstantValue: { HasValue: true, Value: null } } or IDefaultValueOperation { Type.IsReferenceType: true };

    /// <summary>The operand of conversions.</summary>
    public static IOperation Unwrap(IOperation operation)
    {
        while (operation is IConversionOperation { OperatorMethod: null } conversion)
        {
            operation = conversion.Operand;
        }

        return operation;
    }

    private string? ObstacleIn(IOperation operation, IOperation creation, List<ConstantSource> constants, ref bool usesMembers)
    {
        switch (operation)
        {
            case IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ContainingTypeInstance } instance:
                if (instance.Parent is IMemberReferenceOperation member && scope.IsRepeatable(member.Member, member.Type))
                {
                    scope.UsedMembers.Add(member.Member);
                    usesMembers = true;
                    return null;
                }

                return "its creation uses the model itself, which a stage does not have";
            case ILocalReferenceOperation { IsDeclaration: false } local when IsOutside(local.Local, creation):
                return Repeat(local.Local, local.Local.Type, constants);
            case IParameterReferenceOperation parameter when IsOutside(parameter.Parameter, creation):
                return Repeat(parameter.Parameter, parameter.Parameter.Type, constants);
            default:
                return FileLocalTypes.UsedBy(operation) is { } type
                    ? $"its creation uses '{type.Name}', which is local to its file"
                    : null;
        }
    }

    private string? Repeat(ISymbol variable, ITypeSymbol variableType, List<ConstantSource> constants)
    {
        if (scope.Values.TryGetValue(variable, out Argument? value) && ConstantText.Write(value, variableType) is { } text)
        {
            constants.Add(new ConstantSource(variable.Name, variableType.GlobalName(), text));
            return null;
        }

        return $"its creation reads '{variable.Name}', whose value is not known at compile time";
    }

    private static bool IsOutside(ISymbol variable, IOperation creation) =>
        variable.DeclaringSyntaxReferences.All(reference =>
            reference.SyntaxTree != creation.Syntax.SyntaxTree || !creation.Syntax.Span.Contains(reference.Span));
}
