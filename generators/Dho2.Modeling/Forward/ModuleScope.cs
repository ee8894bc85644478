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

    /// <summary>For each layer, the name of the field that holds it in a stage.</summary>
    public List<string> Fields { get; } = [];

    /// <summary>The members that hold several layers, with the indices of their elements.</summary>
    public Dictionary<ISymbol, IReadOnlyList<int>> Lists { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>Local variables that name a layer at present, such as those of a loop over a list.</summary>
    public Dictionary<ISymbol, int> Aliases { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>While a constructor is read: the lists of modules that members, variables and parameters hold; null where not known.</summary>
    public Dictionary<ISymbol, List<Creation>?> Collections { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>Known values of read-only members and of the constructor's parameters and locals.</summary>
    public Dictionary<ISymbol, Argument> Values { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>The members among <see cref="Values"/> that copied code reads.</summary>
    public HashSet<ISymbol> UsedMembers { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>Whether a stage can have the member too: its value is known and can be written.</summary>
    public bool IsRepeatable(ISymbol member, ITypeSymbol? type) =>
        type is not null && Values.TryGetValue(member, out Argument? value) && ConstantText.Write(value, type) is not null;
}
