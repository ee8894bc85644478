using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>Names of symbols as descriptions write them.</summary>
internal static class SymbolNames
{
    private static readonly SymbolDisplayFormat Full = new(
        SymbolDisplayGlobalNamespaceStyle.Omitted,
        SymbolDisplayTypeQualificationStyle.NameAndContainingTypesAndNamespaces,
        memberOptions: SymbolDisplayMemberOptions.IncludeContainingType);

    private static readonly SymbolDisplayFormat Global = SymbolDisplayFormat.FullyQualifiedFormat
        .AddMiscellaneousOptions(SymbolDisplayMiscellaneousOptions.IncludeNullableReferenceTypeModifier);

    /// <summary>The full name without <c>global::</c>, such as <c>TorchSharp.torch.nn.Conv2d</c>.</summary>
    public static string FullName(this ISymbol symbol) => symbol.ToDisplayString(Full);

    /// <summary>A type as C# text with <c>global::</c> names, nullable annotations aside.</summary>
    public static string GlobalName(this ITypeSymbol type) => type.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat);

    /// <summary>A type as C# text with <c>global::</c> names and nullable annotations.</summary>
    public static string AnnotatedName(this ITypeSymbol type) => type.ToDisplayString(Global);

    /// <summary>The full metadata name, such as <c>Samples.Outer+Model`1</c>.</summary>
    public static string FullMetadataName(this INamedTypeSymbol type)
    {
        if (type.ContainingType is { } container)
        {
            return container.FullMetadataName() + "+" + type.MetadataName;
        }

        return type.ContainingNamespace is { IsGlobalNamespace: false } space
            ? space.ToDisplayString(Full) + "." + type.MetadataName
            : type.MetadataName;
    }
}
