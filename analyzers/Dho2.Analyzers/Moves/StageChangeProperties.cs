using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

/// <summary>Diagnostics carry a change of stages to the code fixes: places as additional locations, the rest as properties.</summary>
internal static class StageChangeProperties
{
    private const string Title = "Title";
    private const string Stages = "Stages";

    /// <summary>The properties of a diagnostic whose additional locations are those of the moves.</summary>
    public static ImmutableDictionary<string, string?> Write(StageChange change) =>
        ImmutableDictionary<string, string?>.Empty
            .Add(Title, change.Title)
            .Add(Stages, string.Join(" ", change.Moves.Select(move => move.Stage.ToString(CultureInfo.InvariantCulture))));

    /// <summary>The change that a diagnostic carries, or null.</summary>
    public static StageChange? Read(Diagnostic diagnostic) =>
        diagnostic.Properties.TryGetValue(Title, out string? title) && diagnostic.Properties.TryGetValue(Stages, out string? stages)
            ? new(
                title!,
                stages!.Split(' ')
                    .Select((stage, i) => new StageMove(diagnostic.AdditionalLocations[i], int.Parse(stage, CultureInfo.InvariantCulture)))
                    .ToImmutableArray())
            : null;
}
