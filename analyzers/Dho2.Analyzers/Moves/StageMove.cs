using System.Collections.Immutable;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

/// <summary>A change of one layer's stage.</summary>
/// <param name="Declaration">The name of the member that holds the layer, at its declaration.</param>
/// <param name="Stage">The stage to put it on.</param>
internal sealed record StageMove(Location Declaration, int Stage);

/// <summary>Changes of stages that together would cure a diagnostic.</summary>
/// <param name="Title">What they do, as a code fix says it.</param>
/// <param name="Moves">The changes.</param>
internal sealed record StageChange(string Title, ImmutableArray<StageMove> Moves);
