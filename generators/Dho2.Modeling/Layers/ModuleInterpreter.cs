using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>Interprets a user's module class: its layers for given constructor arguments, and what its forward does.</summary>
internal static class ModuleInterpreter
{
    private const int MaximalDepth = 32;

    /// <summary>The inside of the module; null where there is no source, or it was not understood.</summary>
    public static ModuleBody? Interpret(
        ReadingContext context, INamedTypeSymbol type, IMethodSymbol constructor, EquatableArray<Argument> arguments)
    {
        if (!context.Known.IsDirectModule(type))
        {
            return null;
        }

        var key = new ModuleKey(constructor, arguments);
        if (context.Bodies.TryGetValue(key, out ModuleBody? known))
        {
            return known;
        }

        if (!UserSyntax.Declarations(type, context.Cancellation).Any())
        {
            return context.Bodies[key] = CompiledModules.Find(type, constructor)?.Bind(arguments);
        }

        if (context.Interpreted.Count >= MaximalDepth
            || context.Interpreted.Contains(type, SymbolEqualityComparer.Default)
            || ForwardMethod.Find(type) is not { } forward
            || !context.Budget.TryReadModule())
        {
            return null;
        }

        context.Interpreted.Push(type);
        try
        {
            ModuleBody? body = Read(context, type, constructor, arguments, forward);
            context.Bodies[key] = body;
            return body;
        }
        finally
        {
            context.Interpreted.Pop();
        }
    }

    private static ModuleBody? Read(
        ReadingContext context, INamedTypeSymbol type, IMethodSymbol constructor, EquatableArray<Argument> arguments, IMethodSymbol forward)
    {
        ReadingContext inside = context.ForModule();
        var layers = new LayerReader(inside, type);
        layers.Read(constructor, arguments);
        return ForwardReader.Read(inside, layers.Scope, forward) is { } reading && !inside.HasErrors
            ? new ModuleBody(forward.Parameters.Length, layers.Scope.Descriptions.ToEquatableArray(), reading.Operations, reading.Results)
            : null;
    }
}

/// <summary>A module class as it is made: what it holds depends on nothing else.</summary>
/// <param name="Constructor">The constructor.</param>
/// <param name="Arguments">Its arguments by parameter name.</param>
internal readonly record struct ModuleKey(IMethodSymbol Constructor, EquatableArray<Argument> Arguments)
{
    /// <inheritdoc/>
    public bool Equals(ModuleKey other) =>
        SymbolEqualityComparer.Default.Equals(Constructor, other.Constructor) && Arguments == other.Arguments;

    /// <inheritdoc/>
    public override int GetHashCode() =>
        unchecked((SymbolEqualityComparer.Default.GetHashCode(Constructor) * 31) + Arguments.GetHashCode());
}
