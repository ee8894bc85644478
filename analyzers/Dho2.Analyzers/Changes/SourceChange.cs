using System.Collections.Immutable;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

/// <summary>A number to be written into an attribute, or an attribute without one.</summary>
/// <param name="Place">The name of a layer's member, whose attribute takes the number; or an attribute of the class, whose property does.</param>
/// <param name="Name">The attribute of the member, such as <c>Stage</c>, or the property.</param>
/// <param name="Value">The number; null for an attribute of a member that takes none.</param>
internal sealed record SourceEdit(Location Place, string Name, int? Value);

/// <summary>Numbers that together cure a diagnostic.</summary>
/// <param name="Key">What kind of change it is, the same for all diagnostics that offer it.</param>
/// <param name="Title">What it does, as a code fix says it.</param>
/// <param name="Edits">The numbers.</param>
internal sealed record SourceChange(string Key, string Title, ImmutableArray<SourceEdit> Edits);
