using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

internal sealed partial class LayerReader
{
    /// <summary>Makes what is known of a constructor's arguments known by its parameters.</summary>
    private void Bind(IMethodSymbol constructor, EquatableArray<Argument> arguments)
    {
        foreach (IParameterSymbol parameter in constructor.Parameters)
        {
            Argument? argument = arguments.FirstOrDefault(candidate => candidate.Name == parameter.Name);
            if (argument is null && parameter.HasExplicitDefaultValue)
            {
                argument = ConstantFolding.Of(parameter.ExplicitDefaultValue, parameter.Type);
            }

            if (argument?.IsKnown() == true)
            {
                Scope.Values[parameter] = argument with { Name = "" };
            }
        }
    }

    private void ReadConstructor(IMethodSymbol constructor)
    {
        if (constructor.DeclaringSyntaxReferences is not [{ } reference]
            || reference.GetSyntax(context.Cancellation) is not ConstructorDeclarationSyntax syntax
            || context.Operation(syntax) is not IConstructorBodyOperation body)
        {
            return;
        }

        if (syntax.Initializer.IsKind(SyntaxKind.ThisConstructorInitializer) && ChainedCall(body.Initializer) is { } chained)
        {
            Bind(chained.TargetMethod, new ExpressionReader(context, Scope).Arguments(chained.Arguments).ToEquatableArray());
            ReadConstructor(chained.TargetMethod);
        }

        IEnumerable<IOperation> statements = (body.BlockBody ?? body.ExpressionBody)?.Operations ?? Enumerable.Empty<IOperation>();
        foreach (IOperation statement in statements)
        {
            context.Cancellation.ThrowIfCancellationRequested();
            ReadConstructorStatement(statement);
        }
    }

    private static IInvocationOperation? ChainedCall(IOperation? initialiser) =>
        initialiser as IInvocationOperation ?? (initialiser as IExpressionStatementOperation)?.Operation as IInvocationOperation;

    private void ReadConstructorStatement(IOperation statement)
    {
        switch (statement)
        {
            case IVariableDeclarationGroupOperation group:
                foreach (IVariableDeclaratorOperation declarator in group.Declarations.SelectMany(d => d.Declarators))
                {
                    if (declarator.Initializer is { } initializer)
                    {
                        Forget(declarator.Symbol);
                        SetValue(declarator.Symbol, initializer.Value);
                    }
                }

                break;
            case IExpressionStatementOperation { Operation: ISimpleAssignmentOperation { Target: ILocalReferenceOperation local } assignment }:
                Forget(local.Local);
                SetValue(local.Local, assignment.Value);
                break;
            case IExpressionStatementOperation
            {
                Operation: ISimpleAssignmentOperation { Target: IMemberReferenceOperation { Instance: IInstanceReferenceOperation } target } assignment,
            }:
                Assign(target.Member, assignment.Value);
                break;
            case IExpressionStatementOperation { Operation: IInvocationOperation { Instance: IInstanceReferenceOperation } call }:
                Register(call);
                break;
            default:
                RefuseAssignments(statement);
                break;
        }
    }

    private void Forget(ISymbol variable) => Scope.Values.Remove(variable);

    private void Assign(ISymbol member, IOperation value)
    {
        if (ComponentOf(member) is { } component)
        {
            Create(component, value);
        }
        else if (member is IFieldSymbol { IsReadOnly: true } or IPropertySymbol { SetMethod: null })
        {
            Forget(member);
            SetValue(member, value);
        }
    }

    /// <summary>Takes down the name that a component is registered by.</summary>
    private void Register(IInvocationOperation call)
    {
        if (call.TargetMethod.Name is "register_module" or "register_parameter" or "register_buffer" or "add_module"
            && call.Arguments.Length >= 2
            && call.Arguments[0].Value.ConstantValue is { HasValue: true, Value: string name }
            && MemberOf(call.Arguments[1].Value) is { } member
            && ComponentOf(member) is { } component)
        {
            component.RegisteredName = name;
        }
    }

    /// <summary>What is assigned in a loop or a condition may differ from what a stage would create.</summary>
    private void RefuseAssignments(IOperation statement)
    {
        foreach (IOperation operation in statement.DescendantsAndSelf())
        {
            IOperation? target = operation switch
            {
                IAssignmentOperation assignment => assignment.Target,
                IIncrementOrDecrementOperation change => change.Target,
                IArgumentOperation { Parameter.RefKind: RefKind.Ref or RefKind.Out } argument => argument.Value,
                _ => null,
            };
            switch (target)
            {
                case IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member:
                    Forget(member.Member);
                    if (ComponentOf(member.Member) is { } component)
                    {
                        component.Creation ??= (operation as IAssignmentOperation)?.Value ?? target;
                        component.Obstacle = "it is assigned in a statement that may or may not run";
                    }

                    break;
                case ILocalReferenceOperation local:
                    Forget(local.Local);
                    break;
                case IParameterReferenceOperation parameter:
                    Forget(parameter.Parameter);
                    break;
            }
        }
    }

    private LayerEntry? ComponentOf(ISymbol member) =>
        components.FirstOrDefault(component => SymbolEqualityComparer.Default.Equals(component.Member, member));

    private static ISymbol? MemberOf(IOperation operation) => operation switch
    {
        IConversionOperation conversion => MemberOf(conversion.Operand),
        IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member => member.Member,
        _ => null,
    };
}
