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
        if (!context.Known.IsDirectModule(type)
            || !UserSyntax.Declarations(type, context.Cancellation).Any()
            || context.Interpreted.Count >= MaximalDepth
            || context.Interpreted.Contains(type, SymbolEqualityComparer.Default)
            || ForwardMethod.Find(type) is not { } forward)
        {
            return null;
        }

        context.Interpreted.Push(type);
        try
        {
            ReadingContext inside = context.ForModule();
            var layers = new LayerReader(inside, type);
            layers.Read(constructor, arguments);
            return ForwardReader.Read(inside, layers.Scope, forward) is { } reading && !inside.HasErrors
                ? new ModuleBody(forward.Parameters.Length, layers.Scope.Descriptions.ToEquatableArray(), reading.Operations, reading.Results)
                : null;
        }
        finally
        {
            context.Interpreted.Pop();
        }
    }
}
