using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>What a variable holds.</summary>
/// <param name="Value">A value's number or a known constant.</param>
/// <param name="Number">What identifies it: see <see cref="VariableRead.Definition"/>.</param>
internal readonly record struct Definition(Argument Value, int Number);

/// <summary>What every variable of a forward method holds at the present statement.</summary>
internal sealed class VariableTable
{
    private readonly Dictionary<ISymbol, Definition> definitions = new(SymbolEqualityComparer.Default);
    private readonly List<ISymbol> order = [];

    /// <summary>All variables, in order of declaration.</summary>
    public IReadOnlyList<ISymbol> Order => order;

    public void Declare(ISymbol variable)
    {
        if (!order.Contains(variable, SymbolEqualityComparer.Default))
        {
            order.Add(variable);
        }
    }

    public bool IsDeclared(ISymbol variable) => order.Contains(variable, SymbolEqualityComparer.Default);

    public void Define(ISymbol variable, Definition definition)
    {
        Declare(variable);
        definitions[variable] = definition;
    }

    /// <summary>Gives every variable that holds a value the value that takes its place: they all name one tensor.</summary>
    public void Redefine(int before, Definition after)
    {
        foreach (ISymbol variable in definitions.Where(d => d.Value.Number == before).Select(d => d.Key).ToList())
        {
            definitions[variable] = after;
        }
    }

    public Definition? Find(ISymbol variable) =>
        definitions.TryGetValue(variable, out Definition definition) ? definition : null;

    /// <summary>The variables that hold something else than they did in a snapshot, in order of declaration.</summary>
    public IEnumerable<ISymbol> ChangedSince(IReadOnlyDictionary<ISymbol, int> snapshot) =>
        order.Where(v => definitions.TryGetValue(v, out Definition now)
            && (!snapshot.TryGetValue(v, out int before) || before != now.Number));

    public IReadOnlyDictionary<ISymbol, int> Snapshot() =>
        definitions.ToDictionary(d => d.Key, d => d.Value.Number, (IEqualityComparer<ISymbol>)SymbolEqualityComparer.Default);
}
