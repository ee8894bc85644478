using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;
using ArgumentKind = Dho2.Planning.ArgumentKind;

namespace Dho2.Modeling;

/// <summary>
/// Reads expressions that make lists of modules: arrays and collections, <c>Enumerable.Range(...).Select(...)</c>, and the
/// user's own methods.
/// </summary>
internal sealed class ModuleListReader(ReadingContext context, ModuleScope scope)
{
    private readonly CreationReader creations = new(context, scope);

    /// <summary>The elements; null where not even their number is known.</summary>
    public List<Creation>? Read(IOperation expression)
    {
        context.Cancellation.ThrowIfCancellationRequested();
        switch (CreationReader.Unwrap(creations.Chosen(expression)))
        {
            case IArrayCreationOperation { Initializer: { } items }:
                return Each(items.ElementValues);
            case IArrayCreationOperation { DimensionSizes: [{ } size] }:
                return new ExpressionReader(context, scope).Read(size) is { Kind: ArgumentKind.Integer, Integer: >= 0 and <= 4096 } count
                    ? [.. Enumerable.Repeat(Creation.Missing, (int)count.Integer)]
                    : null;
            case ICollectionExpressionOperation collection:
                return Each(collection.Elements);
            case ILocalReferenceOperation local:
                return Known(local.Local);
            case IParameterReferenceOperation parameter:
                return Known(parameter.Parameter);
            case IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member:
                return Known(member.Member);
            case IObjectCreationOperation creation when context.Known.ElementOf(creation.Type) is not null:
                return Created(creation);
            case IInvocationOperation call:
                return Called(call);
            default:
                return null;
        }
    }

    private List<Creation>? Known(ISymbol symbol) =>
        scope.Collections.TryGetValue(symbol, out List<Creation>? list) && list is not null ? [.. list] : null;

    private List<Creation>? Each(IEnumerable<IOperation> elements)
    {
        var list = new List<Creation>();
        foreach (IOperation element in elements)
        {
            if (element is ISpreadOperation spread)
            {
                if (Read(spread.Operand) is not { } more)
                {
                    return null;
                }

                list.AddRange(more);
            }
            else
            {
                IOperation chosen = creations.Chosen(element);
                if (CreationReader.Unwrap(chosen).Type is { SpecialType: not SpecialType.None })
                {
                    // A number or a text: the compiler says so, and would again where it is copied.
                    return null;
                }

                list.Add(creations.Read(chosen));
            }
        }

        return list;
    }

    private List<Creation>? Created(IObjectCreationOperation creation)
    {
        List<Creation>? list = creation.Arguments switch
        {
            [] => [],
            [{ Parameter.Type.SpecialType: SpecialType.System_Int32 }] => [],
            [{ Value: var elements }] => Read(elements),
            _ => null,
        };
        foreach (IOperation initialiser in creation.Initializer?.Initializers ?? [])
        {
            if (list is null || initialiser is not IInvocationOperation { TargetMethod.Name: "Add", Arguments: [{ Value: var added }] })
            {
                return null;
            }

            list.Add(creations.Read(creations.Chosen(added)));
        }

        return list;
    }

    private List<Creation>? Called(IInvocationOperation call)
    {
        IMethodSymbol method = call.TargetMethod;
        if (KnownSymbols.IsTorchSharp(method))
        {
            return method.Name == "ModuleList" && call.Arguments is [{ Value: var modules }] ? Read(modules) : null;
        }

        if (IsOfSequences(method))
        {
            return (method.Name, call.Arguments) switch
            {
                ("Select", [{ Value: var source }, { Value: var selector }]) => Select(source, selector),
                ("ToArray" or "ToList" or "AsEnumerable" or "ToImmutableArray", [{ Value: var source }]) => Read(source),
                ("Concat", [{ Value: var first }, { Value: var second }]) => Read(first) is { } head && Read(second) is { } tail ? [.. head, .. tail] : null,
                ("Append", [{ Value: var first }, { Value: var last }]) => Read(first) is { } head ? [.. head, creations.Read(creations.Chosen(last))] : null,
                _ => null,
            };
        }

        if (call.Instance is not null && context.Known.ElementOf(call.Instance.Type) is not null && method.Name is "ToArray" or "ToList")
        {
            return Read(call.Instance!);
        }

        return IsForeign(method, context) ? null : new MethodReader(context, scope).Read(call, Read);
    }

    /// <summary>Whether a method makes lists for a pipeline whose names it does not share: what it creates cannot be copied.</summary>
    public static bool IsForeign(IMethodSymbol method, ReadingContext context) =>
        context.IsSliced && !KnownSymbols.IsTorchSharp(method) && !IsOfSequences(method) && !SymbolEqualityComparer.Default.Equals(method.ContainingType, context.Pipeline);

    private static bool IsOfSequences(IMethodSymbol method) =>
        method.ContainingType is { Name: "Enumerable" or "ImmutableArray" or "ImmutableArrayExtensions" or "MemoryExtensions" };

    private List<Creation>? Select(IOperation source, IOperation selector)
    {
        if (new ExpressionReader(context, scope).Read(source) is not { Kind: ArgumentKind.List } values
            || !values.IsKnown()
            || CreationReader.Unwrap(selector) is not IDelegateCreationOperation { Target: var target })
        {
            return null;
        }

        var list = new List<Creation>();
        var methods = new MethodReader(context, scope);
        for (int i = 0; i < values.Items.Count; i++)
        {
            Argument[] arguments = [values.Items[i] with { Name = "" }, Argument.OfInteger("", i)];
            Creation? element = target switch
            {
                IAnonymousFunctionOperation lambda => methods.Read(lambda.Symbol, lambda.Body.Operations, arguments, ReadElement),
                IMethodReferenceOperation reference => methods.Read(reference.Method, null, arguments, ReadElement),
                _ => null,
            };
            if (element is null)
            {
                return null;
            }

            list.Add(element);
        }

        return list;
    }

    private Creation? ReadElement(IOperation returned)
    {
        IOperation chosen = creations.Chosen(returned);
        return CreationReader.IsNull(chosen) ? null : creations.Read(chosen);
    }

    /// <summary>The names of a list's elements, by their own names or their places.</summary>
    public static IEnumerable<string> NamesOf(IReadOnlyList<Creation> list) =>
        list.Select((element, i) => element.Name ?? i.ToString(CultureInfo.InvariantCulture));
}
