using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

/// <summary>A change of one layer's stage that would cure a diagnostic. Diagnostics carry them to the code fixes.</summary>
/// <param name="Declaration">The name of the member that holds the layer, at its declaration.</param>
/// <param name="Layer">The layer's name.</param>
/// <param name="Stage">The stage to put it on.</param>
internal sealed record StageMove(Location Declaration, string Layer, int Stage)
{
    /// <summary>The places of moves, as additional locations of a diagnostic.</summary>
    public static IEnumerable<Location> Locations(IReadOnlyList<StageMove> moves) => moves.Select(move => move.Declaration);

    /// <summary>The layers and stages of moves, as properties of a diagnostic.</summary>
    public static ImmutableDictionary<string, string?> Properties(IReadOnlyList<StageMove> moves)
    {
        ImmutableDictionary<string, string?>.Builder properties = ImmutableDictionary.CreateBuilder<string, string?>();
        for (int i = 0; i < moves.Count; i++)
        {
            properties[LayerKey(i)] = moves[i].Layer;
            properties[StageKey(i)] = moves[i].Stage.ToString(CultureInfo.InvariantCulture);
        }

        return properties.ToImmutable();
    }

    /// <summary>The moves that a diagnostic carries.</summary>
    public static ImmutableArray<StageMove> Of(Diagnostic diagnostic)
    {
        ImmutableArray<StageMove>.Builder moves = ImmutableArray.CreateBuilder<StageMove>();
        for (int i = 0; i < diagnostic.AdditionalLocations.Count; i++)
        {
            if (diagnostic.Properties.TryGetValue(LayerKey(i), out string? layer)
                && diagnostic.Properties.TryGetValue(StageKey(i), out string? stage)
                && int.TryParse(stage, NumberStyles.Integer, CultureInfo.InvariantCulture, out int number))
            {
                moves.Add(new StageMove(diagnostic.AdditionalLocations[i], layer!, number));
            }
        }

        return moves.ToImmutable();
    }

    private static string LayerKey(int index) => "Layer" + index.ToString(CultureInfo.InvariantCulture);

    private static string StageKey(int index) => "Stage" + index.ToString(CultureInfo.InvariantCulture);
}
