using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Planning;

namespace Dho2.Modeling;

/// <summary>
/// What a module class is read under for callers that are not known: its constructor's parameters are names, and where it
/// branches on them, one way is taken. Read under each of the other ways in turn, it shows all that it can be.
/// </summary>
/// <param name="given">The ways to take, in the order in which they are asked for.</param>
internal sealed class Assumptions(IReadOnlyList<(string Condition, bool Holds)> given)
{
    // More than four independent conditions are left undecided.
    private const int MaximalVariants = 16;

    private readonly List<(string Condition, bool Holds)> taken = [.. given];

    /// <summary>Decides a condition over parameters; the same one always in the same way.</summary>
    public bool Decide(string condition)
    {
        foreach ((string known, bool holds) in taken)
        {
            if (known == condition)
            {
                return holds;
            }
        }

        taken.Add((condition, true));
        return true;
    }

    /// <summary>Reads under every combination of ways; nothing where there are too many of them.</summary>
    /// <param name="read">Reads under assumptions; null where nothing was understood.</param>
    public static EquatableArray<ModuleVariant> Explore(Func<Assumptions, ModuleBody?> read)
    {
        var variants = new List<ModuleVariant>();
        var waiting = new Stack<IReadOnlyList<(string, bool)>>([[]]);
        for (int i = 0; waiting.Count > 0; i++)
        {
            if (i == MaximalVariants)
            {
                return default;
            }

            IReadOnlyList<(string Condition, bool Holds)> path = waiting.Pop();
            var assumptions = new Assumptions(path);
            if (read(assumptions) is { } body)
            {
                variants.Add(new(assumptions.taken.Select(way => way.Holds ? way.Condition : $"(!{way.Condition})").ToEquatableArray(), body));
            }

            for (int next = path.Count; next < assumptions.taken.Count; next++)
            {
                waiting.Push([.. assumptions.taken.Take(next), (assumptions.taken[next].Condition, false)]);
            }
        }

        return variants.ToEquatableArray();
    }
}
