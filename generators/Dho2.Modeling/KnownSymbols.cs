using System.Collections.Generic;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>The types of TorchSharp that modeling tells apart; all null where TorchSharp is not referenced.</summary>
internal sealed class KnownSymbols(Compilation compilation)
{
    private static readonly HashSet<string> DropoutKinds = new()
    {
        "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout",
    };

    public INamedTypeSymbol? Module { get; } = compilation.GetTypeByMetadataName("TorchSharp.torch+nn+Module");

    public INamedTypeSymbol? Tensor { get; } = compilation.GetTypeByMetadataName("TorchSharp.torch+Tensor");

    public INamedTypeSymbol? Parameter { get; } = compilation.GetTypeByMetadataName("TorchSharp.Modules.Parameter");

    public INamedTypeSymbol? Dropout { get; } = compilation.GetTypeByMetadataName("TorchSharp.Modules.Dropout");

    public bool IsModule(ITypeSymbol? type) => Derives(type, Module);

    public bool IsTensor(ITypeSymbol? type) => Derives(type, Tensor);

    public bool IsParameter(ITypeSymbol? type) => Same(type, Parameter);

    public bool IsDropout(ITypeSymbol? type) => Same(type, Dropout);

    /// <summary>
    /// The type of the elements of a list of modules: an array, <c>ModuleList</c>, <c>List</c> and the like; null for
    /// anything else.
    /// </summary>
    public ITypeSymbol? ElementOf(ITypeSymbol? type) => type switch
    {
        IArrayTypeSymbol { Rank: 1 } array when IsModule(array.ElementType) => array.ElementType,
        INamedTypeSymbol { Name: "ModuleList", TypeArguments.Length: 0 } list when IsTorchSharp(list) => Module,
        INamedTypeSymbol { Name: "ModuleList" or "List" or "IList" or "IReadOnlyList" or "ImmutableArray", TypeArguments: [{ } element] }
            when IsModule(element) || IsNamedModule(element) => element,
        _ => null,
    };

    /// <summary>Whether TorchSharp finds a list's elements by itself, when components are registered.</summary>
    public bool IsModuleList(ITypeSymbol? type) => type is INamedTypeSymbol { Name: "ModuleList" } && IsModule(type);

    private bool IsNamedModule(ITypeSymbol type) =>
        type is INamedTypeSymbol { IsTupleType: true, TupleElements: [{ Type.SpecialType: SpecialType.System_String }, { Type: { } module }] } && IsModule(module);

    /// <summary>Whether the type is a dropout whose masks the stages cannot supply.</summary>
    public static bool IsOtherDropout(ITypeSymbol? type) => type is not null && DropoutKinds.Contains(type.Name) && IsTorchSharp(type);

    /// <summary>Whether a symbol is TorchSharp's own.</summary>
    public static bool IsTorchSharp(ISymbol symbol) => symbol.ContainingAssembly?.Name == "TorchSharp";

    /// <summary>Whether the type derives directly from one of TorchSharp's <c>Module&lt;...&gt;</c>.</summary>
    public bool IsDirectModule(INamedTypeSymbol type) =>
        type.BaseType is { IsGenericType: true, Name: "Module" } && IsTorchSharp(type.BaseType) && IsModule(type.BaseType);

    private static bool Derives(ITypeSymbol? type, ITypeSymbol? ancestor)
    {
        for (; type is not null && ancestor is not null; type = type.BaseType)
        {
            if (Same(type, ancestor))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Same(ITypeSymbol? type, ITypeSymbol? other) =>
        type is not null && SymbolEqualityComparer.Default.Equals(type, other);
}
