using System.Linq;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>Finds the forward method of a module class.</summary>
internal static class ForwardMethod
{
    /// <summary>The override of <c>Module&lt;...&gt;.forward</c> that the class itself declares.</summary>
    public static IMethodSymbol? Find(INamedTypeSymbol type) =>
        type.GetMembers("forward").OfType<IMethodSymbol>()
            .FirstOrDefault(method => method is { IsOverride: true, IsAbstract: false, IsGenericMethod: false }
                && method.OverriddenMethod is { } overridden
                && KnownSymbols.IsTorchSharp(overridden));
}
