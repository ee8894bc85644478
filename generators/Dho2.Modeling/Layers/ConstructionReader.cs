using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

/// <summary>
/// Runs the statements of a constructor, or of a method that makes modules, as far as their values are known at compile
/// time: loops are unrolled, conditions decided. What is not understood makes what it assigns unknown.
/// </summary>
/// <param name="context">The context.</param>
/// <param name="scope">The values that are known.</param>
/// <param name="owner">The class whose members are assigned; null for a method of its own.</param>
internal sealed class ConstructionReader(ReadingContext context, ModuleScope scope, LayerReader? owner)
{
    private bool hasReturned;

    /// <summary>The expression that was returned, or null.</summary>
    public IOperation? Returned { get; private set; }

    /// <summary>Runs statements in order, up to a return statement.</summary>
    public void Run(IEnumerable<IOperation> statements)
    {
        foreach (IOperation statement in statements)
        {
            if (hasReturned)
            {
                return;
            }

            Run(statement);
        }
    }

    private void Run(IOperation statement)
    {
        context.Cancellation.ThrowIfCancellationRequested();
        switch (statement)
        {
            case IBlockOperation block:
                Run(block.Operations);
                break;
            case IReturnOperation returns:
                hasReturned = true;
                Returned = returns.ReturnedValue;
                break;
            case IVariableDeclarationGroupOperation group:
                foreach (IVariableDeclaratorOperation declarator in group.Declarations.SelectMany(d => d.Declarators))
                {
                    if (declarator.Initializer is { } initializer)
                    {
                        Assign(declarator.Symbol, declarator.Symbol.Type, initializer.Value);
                    }
                }

                break;
            case IExpressionStatementOperation { Operation: var expression } when TryRunExpression(expression):
                break;
            case IConditionalOperation choice when new ExpressionReader(context, scope).Decide(choice.Condition) is { } holds:
                if ((holds ? choice.WhenTrue : choice.WhenFalse) is { } branch)
                {
                    Run(branch);
                }

                break;
            case IForLoopOperation loop when TryRun(loop):
                break;
            case IForEachLoopOperation loop when TryRun(loop):
                break;
            case IEmptyOperation:
                break;
            default:
                Refuse(statement);
                break;
        }
    }

    private Argument Read(IOperation expression) => new ExpressionReader(context, scope).Read(expression);

    private bool TryRunExpression(IOperation expression)
    {
        switch (expression)
        {
            case ISimpleAssignmentOperation { Target: ILocalReferenceOperation local } assignment:
                Assign(local.Local, local.Local.Type, assignment.Value);
                return true;
            case ISimpleAssignmentOperation { Target: IParameterReferenceOperation parameter } assignment:
                Assign(parameter.Parameter, parameter.Parameter.Type, assignment.Value);
                return true;
            case ISimpleAssignmentOperation { Target: IMemberReferenceOperation { Instance: IInstanceReferenceOperation } target } assignment when owner is not null:
                owner.Assign(target.Member, assignment.Value);
                return true;
            case ISimpleAssignmentOperation { Target: IArrayElementReferenceOperation { Indices: [{ } index] } target } assignment when ListOf(target.ArrayReference) is { } array:
                SetElement(array, Read(index), assignment.Value);
                return true;
            case ICompoundAssignmentOperation { Target: ILocalReferenceOperation or IParameterReferenceOperation } assignment:
                Set(VariableOf(assignment.Target)!, ConstantFolding.Convert(
                    ConstantFolding.Binary(assignment.OperatorKind, Read(assignment.Target), Read(assignment.Value)), assignment.Type));
                return true;
            case IIncrementOrDecrementOperation { Target: ILocalReferenceOperation or IParameterReferenceOperation } change:
                Set(VariableOf(change.Target)!, ConstantFolding.Step(change, Read(change.Target)));
                return true;
            case IInvocationOperation { Instance: IInstanceReferenceOperation } call when owner is not null:
                owner.Register(call);
                return true;
            case IInvocationOperation call when ListOf(call.Instance) is { } list:
                Change(call, list);
                return true;
            default:
                return false;
        }
    }

    private void Assign(ISymbol variable, ITypeSymbol type, IOperation value)
    {
        Argument known = Read(value);
        List<Creation>? list = context.Known.ElementOf(type) is null ? null : new ModuleListReader(context, scope).Read(value);
        Set(variable, known);
        scope.Collections.Remove(variable);
        if (context.Known.ElementOf(type) is not null)
        {
            scope.Collections[variable] = list;
        }
    }

    private void Set(ISymbol variable, Argument value)
    {
        scope.Values.Remove(variable);
        if (value.IsKnown())
        {
            scope.Values[variable] = value;
        }
    }

    /// <summary>The variable or member that holds a list of modules, or null.</summary>
    private ISymbol? ListOf(IOperation? instance)
    {
        ISymbol? symbol = instance switch
        {
            ILocalReferenceOperation local => local.Local,
            IParameterReferenceOperation parameter => parameter.Parameter,
            IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member => member.Member,
            IConversionOperation conversion => ListOf(conversion.Operand),
            _ => null,
        };
        return symbol is not null && scope.Collections.ContainsKey(symbol) ? symbol : null;
    }

    private void Change(IInvocationOperation call, ISymbol symbol)
    {
        if (scope.Collections[symbol] is not { } list)
        {
            return;
        }

        // A parameter's list is the caller's too: its own copy would be changed here alone.
        List<Creation>? added = (symbol is IParameterSymbol, call.TargetMethod.Name, call.Arguments) switch
        {
            (false, "Add", [{ Value: var element }]) => [Element(element)],
            (false, "append" or "extend" or "AddRange", [{ Value: var elements }]) => new ModuleListReader(context, scope).Read(elements),
            _ => null,
        };
        if (added is null)
        {
            scope.Collections[symbol] = null;
            return;
        }

        list.AddRange(added);
    }

    private void SetElement(ISymbol symbol, Argument index, IOperation value)
    {
        if (scope.Collections[symbol] is not { } list)
        {
            return;
        }

        if (symbol is IParameterSymbol || index is not { Kind: ArgumentKind.Integer, Integer: >= 0 } || index.Integer >= list.Count)
        {
            scope.Collections[symbol] = null;
            return;
        }

        list[(int)index.Integer] = Element(value);
    }

    private Creation Element(IOperation element)
    {
        var creations = new CreationReader(context, scope);
        return creations.Read(creations.Chosen(element));
    }

    private bool TryRun(IForLoopOperation loop)
    {
        Run(loop.Before);
        while (context.Budget.TryStep())
        {
            if (loop.Condition is null || Read(loop.Condition) is not { Kind: ArgumentKind.Boolean } condition || LeavesEarly(loop.Body))
            {
                return false;
            }

            if (condition.Integer == 0)
            {
                return true;
            }

            Run(loop.Body);
            if (hasReturned)
            {
                return true;
            }

            Run(loop.AtLoopBottom);
        }

        return false;
    }

    private bool TryRun(IForEachLoopOperation loop)
    {
        if (loop.LoopControlVariable is not IVariableDeclaratorOperation { Symbol: var variable }
            || Read(loop.Collection) is not { Kind: ArgumentKind.List } values
            || !values.IsKnown()
            || LeavesEarly(loop.Body))
        {
            return false;
        }

        foreach (Argument value in values.Items)
        {
            if (!context.Budget.TryStep())
            {
                return false;
            }

            Set(variable, value with { Name = "" });
            Run(loop.Body);
            if (hasReturned)
            {
                return true;
            }
        }

        return true;
    }

    private static bool LeavesEarly(IOperation body) => body.DescendantsAndSelf().Any(operation => operation is IBranchOperation or IReturnOperation);

    /// <summary>What is assigned in a statement that was not understood may differ from what a stage would create.</summary>
    private void Refuse(IOperation statement)
    {
        hasReturned |= statement.DescendantsAndSelf().Any(operation => operation is IReturnOperation);
        foreach (IOperation operation in statement.DescendantsAndSelf())
        {
            IOperation? target = operation switch
            {
                IAssignmentOperation assignment => assignment.Target,
                IIncrementOrDecrementOperation change => change.Target,
                IArgumentOperation { Parameter.RefKind: RefKind.Ref or RefKind.Out } argument => argument.Value,
                _ => null,
            };
            if (target is IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member)
            {
                scope.Values.Remove(member.Member);
                owner?.Refuse(member.Member, (operation as IAssignmentOperation)?.Value ?? target);
            }
            else if (target is not null && VariableOf(target) is { } variable)
            {
                scope.Values.Remove(variable);
            }

            if (target is IArrayElementReferenceOperation { ArrayReference: var array } && VariableOf(array) is { } changed)
            {
                scope.Values.Remove(changed);
            }

            if (operation is IInvocationOperation { Instance: { } instance } && VariableOf(instance) is { } receiver)
            {
                scope.Values.Remove(receiver);
            }

            // Whatever is done to a list in here, or to it by others.
            if (ListOf(operation) is { } list)
            {
                scope.Collections[list] = null;
            }
        }
    }

    private static ISymbol? VariableOf(IOperation operation) => operation switch
    {
        ILocalReferenceOperation local => local.Local,
        IParameterReferenceOperation parameter => parameter.Parameter,
        _ => null,
    };
}
