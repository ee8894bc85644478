using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;

namespace Dho2.Modeling;

/// <summary>The stage that attributes give a layer.</summary>
/// <param name="Number">The stage; null where there is none, or the planner chooses.</param>
/// <param name="IsAutomatic">Whether the planner chooses.</param>
internal readonly record struct StageChoice(int? Number, bool IsAutomatic);

/// <summary>Reads <c>[Stage]</c>: a layer's own, else that of its module class.</summary>
internal static class StageReader
{
    /// <summary>The stage of a layer.</summary>
    /// <param name="member">The member that holds it, or the list that it is in.</param>
    /// <param name="created">The type that is created, where known.</param>
    /// <param name="declared">The type that is declared.</param>
    /// <param name="element">The layer's place in its list; 0 outside lists.</param>
    public static StageChoice Of(ISymbol member, ITypeSymbol? created, ITypeSymbol declared, int element = 0)
    {
        foreach (ISymbol symbol in new[] { member, created, declared }.OfType<ISymbol>())
        {
            AttributeData? stage = AttributeReader.All(symbol, "Stage")
                .Where(attribute => FirstOf(attribute) <= element)
                .OrderBy(FirstOf)
                .LastOrDefault();
            if (stage is not null)
            {
                return new StageChoice(AttributeReader.Number(stage), stage.ConstructorArguments.IsEmpty);
            }
        }

        return default;
    }

    /// <summary>What is wrong with the stages of a member; null where nothing is.</summary>
    /// <param name="member">The member.</param>
    /// <param name="count">The number of elements of the list that it holds; 1 for a single layer.</param>
    public static string? ProblemOf(ISymbol member, int count)
    {
        List<AttributeData> stages = AttributeReader.All(member, "Stage").ToList();
        int[] starts = stages.Select(FirstOf).ToArray();
        int twice = starts.FirstOrDefault(start => starts.Count(other => other == start) > 1);
        return starts.FirstOrDefault(start => start < 0 || start >= count) is var outside and not 0
            ? $"From = {outside} is none of its {count} elements"
            : starts.Distinct().Count() < starts.Length ? $"two attributes begin at element {twice}"
            : null;
    }

    private static int FirstOf(AttributeData stage) => AttributeReader.Named(stage, nameof(StageAttribute.From), 0);
}
