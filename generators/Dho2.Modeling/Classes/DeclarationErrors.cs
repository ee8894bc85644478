using System.Linq;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>Errors of declarations that the compiler would report again where generated code repeats or names what is declared.</summary>
internal static class DeclarationErrors
{
    /// <summary>Whether a name means several members of a class, so that generated code cannot mean one of them.</summary>
    public static bool IsAmbiguous(INamedTypeSymbol type, string name) => type.GetMembers(name).Length > 1;

    /// <summary>Whether several of a class's methods differ in nothing that a call shows.</summary>
    public static bool IsAmbiguous(IMethodSymbol method) =>
        method.ContainingType.GetMembers(method.Name).Any(other =>
            !SymbolEqualityComparer.Default.Equals(other, method)
            && (other is not IMethodSymbol { Parameters: var parameters }
                || parameters.Select(parameter => parameter.Type).SequenceEqual(method.Parameters.Select(parameter => parameter.Type), SymbolEqualityComparer.Default)));

    /// <summary>Whether a declaration has an attribute that is none: generated code may have a class of its name, such as <c>Stage3</c>.</summary>
    public static bool HasUnknownAttribute(ISymbol symbol) => symbol.GetAttributes().Any(attribute => attribute.AttributeClass is null or { TypeKind: TypeKind.Error });

    /// <summary>Whether a type is none, or is made with a type argument that its constraints do not allow.</summary>
    public static bool IsWrong(Compilation compilation, ITypeSymbol type) => type switch
    {
        { TypeKind: TypeKind.Error } => true,
        IArrayTypeSymbol array => IsWrong(compilation, array.ElementType),
        INamedTypeSymbol { IsGenericType: true } named => named.TypeArguments.Where((argument, i) =>
            IsWrong(compilation, argument)
            || named.TypeParameters[i].ConstraintTypes.Any(constraint =>
                constraint is INamedTypeSymbol { IsGenericType: false } && !compilation.HasImplicitConversion(argument, constraint))).Any(),
        _ => false,
    };
}
