using System;
using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning;

/// <summary>
/// What a module class is when one of its constructors has made it, for any arguments: assemblies carry it, so that models
/// in others can look into the class.
/// </summary>
/// <param name="MetadataName">The class's full metadata name, such as <c>Blocks.Outer+Residual</c>.</param>
/// <param name="Parameters">The types of the constructor's parameters, with <c>global::</c> names.</param>
/// <param name="Variants">What it makes, by what its conditions come to; the conditions exclude each other.</param>
public sealed record ModuleDescription(string MetadataName, EquatableArray<string> Parameters, EquatableArray<ModuleVariant> Variants)
{
    /// <summary>
    /// The inside of the module that the constructor makes from arguments; what they do not decide is unknown, and null where
    /// they do not decide which variant it is.
    /// </summary>
    /// <param name="arguments">The arguments by parameter name.</param>
    public ModuleBody? Bind(EquatableArray<Argument> arguments)
    {
        var known = new Dictionary<string, Argument>(StringComparer.Ordinal);
        foreach (Argument argument in arguments)
        {
            known[argument.Name] = argument;
        }

        return Variants.FirstOrDefault(variant => variant.Conditions.All(condition => ParameterExpression.Evaluate(condition, known) == 1)) is { } chosen
            ? Bind(chosen.Body, known)
            : null;
    }

    private static ModuleBody Bind(ModuleBody body, Dictionary<string, Argument> known) => body with
    {
        Layers = body.Layers
            .Select(layer => layer with { Arguments = Bind(layer.Arguments, known), Body = layer.Body is { } inside ? Bind(inside, known) : null })
            .ToEquatableArray(),
        Operations = body.Operations.Select(operation => operation with { Arguments = Bind(operation.Arguments, known) }).ToEquatableArray(),
    };

    private static EquatableArray<Argument> Bind(EquatableArray<Argument> arguments, Dictionary<string, Argument> known) =>
        arguments.Select(argument => Bind(argument, known)).ToEquatableArray();

    private static Argument Bind(Argument argument, Dictionary<string, Argument> known) => argument.Kind switch
    {
        ArgumentKind.List => argument with { Items = Bind(argument.Items, known) },
        ArgumentKind.Parameter when known.TryGetValue(argument.Text!, out Argument? given) => given with { Name = argument.Name },
        ArgumentKind.Parameter => ParameterExpression.Evaluate(argument.Text!, known) is not { } value ? Argument.OfUnknown(argument.Name)
            : argument.Integer != 0 ? Argument.OfInteger(argument.Name, value)
            : Argument.OfBoolean(argument.Name, value != 0),
        _ => argument,
    };
}

/// <summary>What a constructor makes under conditions.</summary>
/// <param name="Conditions">Expressions over its parameters that all hold, such as <c>(stride!=1)</c>; none where it always makes the same.</param>
/// <param name="Body">Layers and operations; arguments may be expressions over the parameters (<see cref="ArgumentKind.Parameter"/>).</param>
public sealed record ModuleVariant(EquatableArray<string> Conditions, ModuleBody Body);
