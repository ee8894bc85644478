using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Dho2.Modeling;

/// <summary>Runs methods that make modules, and the functions given to <c>Select</c>, on values that are known at compile time.</summary>
internal sealed class MethodReader(ReadingContext context, ModuleScope scope)
{
    private const int MaximalDepth = 16;

    /// <summary>What a call returns, read by <paramref name="read"/> while the method's variables are known; null where it was not understood.</summary>
    public T? Read<T>(IInvocationOperation call, Func<IOperation, T?> read)
        where T : class
    {
        var expressions = new ExpressionReader(context, scope);
        var lists = new ModuleListReader(context, scope);
        var arguments = new List<(IParameterSymbol Parameter, Argument Value, List<Creation>? List)>();
        foreach (IArgumentOperation argument in call.Arguments)
        {
            if (argument.Parameter is not { RefKind: RefKind.None } parameter)
            {
                return null;
            }

            bool isList = context.Known.ElementOf(parameter.Type) is not null;
            arguments.Add((parameter, isList ? ConstantFolding.Unknown : expressions.Read(argument.Value), isList ? lists.Read(argument.Value) : null));
        }

        return Run(call.TargetMethod, null, arguments, read);
    }

    /// <summary>What a function returns for its first arguments.</summary>
    public T? Read<T>(IMethodSymbol method, IEnumerable<IOperation>? body, IReadOnlyList<Argument> arguments, Func<IOperation, T?> read)
        where T : class =>
        Run(
            method,
            body,
            method.Parameters.Select((parameter, i) => (parameter, i < arguments.Count ? arguments[i] : ConstantFolding.Unknown, (List<Creation>?)null)).ToList(),
            read);

    private T? Run<T>(
        IMethodSymbol method,
        IEnumerable<IOperation>? body,
        List<(IParameterSymbol Parameter, Argument Value, List<Creation>? List)> arguments,
        Func<IOperation, T?> read)
        where T : class
    {
        if ((body ?? BodyOf(method)) is not { } statements || context.CallDepth >= MaximalDepth || !context.Budget.TryStep())
        {
            return null;
        }

        context.CallDepth++;
        var values = new Dictionary<ISymbol, Argument>(scope.Values, SymbolEqualityComparer.Default);
        try
        {
            foreach ((IParameterSymbol parameter, Argument value, List<Creation>? list) in arguments)
            {
                scope.Values.Remove(parameter);
                scope.Collections[parameter] = list;
                if (value.IsKnown())
                {
                    scope.Values[parameter] = value with { Name = "" };
                }
            }

            var reader = new ConstructionReader(context, scope, null);
            reader.Run(statements);
            return reader.Returned is { } returned ? read(returned) : null;
        }
        finally
        {
            context.CallDepth--;
            scope.Values.Clear();
            foreach (KeyValuePair<ISymbol, Argument> value in values)
            {
                scope.Values.Add(value.Key, value.Value);
            }
        }
    }

    private IEnumerable<IOperation>? BodyOf(IMethodSymbol method) =>
        method is { IsVirtual: false, IsOverride: false, IsAbstract: false, DeclaringSyntaxReferences: [{ } reference] }
        && reference.GetSyntax(context.Cancellation) is MethodDeclarationSyntax or LocalFunctionStatementSyntax
        && !UserSyntax.IsGenerated(reference.SyntaxTree, context.Cancellation)
            ? context.Operation(reference.GetSyntax(context.Cancellation)) switch
            {
                IMethodBodyOperation body => (body.BlockBody ?? body.ExpressionBody)?.Operations,
                ILocalFunctionOperation function => function.Body?.Operations,
                _ => null,
            }
            : null;
}
