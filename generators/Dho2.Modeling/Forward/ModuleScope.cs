using System.Collections.Generic;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>What names mean inside one module class: its layers, and what is known of its members and its constructor's variables.</summary>
internal sealed class ModuleScope
{
    /// <summary>The layers by their member, as indices.</summary>
    public Dictionary<ISymbol, int> Layers { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>The layers themselves.</summary>
    public List<LayerDescription> Descriptions { get; } = [];

    /// <summary>Known values of read-only members and of the constructor's parameters and locals.</summary>
    public Dictionary<ISymbol, Argument> Values { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>The members among <see cref="Values"/> that copied code reads.</summary>
    public HashSet<ISymbol> UsedMembers { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>Whether a stage can have the member too: its value is known and can be written.</summary>
    public bool IsRepeatable(ISymbol member, ITypeSymbol? type) =>
        type is not null && Values.TryGetValue(member, out Argument? value) && ConstantText.Write(value, type) is not null;
}
