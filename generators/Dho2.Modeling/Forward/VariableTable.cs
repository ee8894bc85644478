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
/// <param name="isTaken">Whether a name means something else in the method.</param>
internal sealed class VariableTable(System.Func<string, bool>? isTaken = null)
{
    private readonly Dictionary<ISymbol, Definition> definitions = new(SymbolEqualityComparer.Default);
    private readonly Dictionary<ISymbol, string> names = new(SymbolEqualityComparer.Default);
    private readonly HashSet<string> used = [];
    private readonly List<ISymbol> order = [];
    private readonly List<(string Name, ISymbol Variable)> all = [];

    /// <summary>All variables, in order of declaration.</summary>
    public IReadOnlyList<ISymbol> Order => order;

    /// <summary>All variables that there ever were, by the names that they have in stages, where all stand side by side.</summary>
    public IReadOnlyList<(string Name, ISymbol Variable)> All => all;

    /// <summary>The present variables whose name in stages is not their own.</summary>
    public IEnumerable<KeyValuePair<ISymbol, string>> Renamed => names.Where(name => name.Value != name.Key.Name);

    public void Declare(ISymbol variable)
    {
        if (names.ContainsKey(variable))
        {
            return;
        }

        string name = variable.Name;
        for (int i = 2; !used.Add(name) || (i > 2 && isTaken?.Invoke(name) == true); i++)
        {
            name = $"{variable.Name}_{i}";
        }

        names.Add(variable, name);
        order.Add(variable);
        all.Add((name, variable));
    }

    /// <summary>The name of a variable in stages.</summary>
    public string NameOf(ISymbol variable) => names.TryGetValue(variable, out string? name) ? name : variable.Name;

    /// <summary>Ends a variable's scope: when it is declared again, as in the next round of a loop, it is another one.</summary>
    public void Forget(ISymbol variable)
    {
        if (names.Remove(variable))
        {
            definitions.Remove(variable);
            order.RemoveAll(other => SymbolEqualityComparer.Default.Equals(other, variable));
        }
    }

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
