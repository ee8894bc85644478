using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Microsoft.CodeAnalysis;

namespace Dho2.Analyzers;

/// <summary>Diagnostics carry changes to the code fixes: places as additional locations in the order of the edits, the rest as properties.</summary>
internal static class SourceChangeProperties
{
    private const string Key = "Key";
    private const string Title = "Title";
    private const string Edits = "Edits";

    /// <summary>The additional locations.</summary>
    public static IEnumerable<Location> Locations(IEnumerable<SourceChange> changes) =>
        changes.SelectMany(change => change.Edits).Select(edit => edit.Place);

    /// <summary>The properties.</summary>
    public static ImmutableDictionary<string, string?> Write(IReadOnlyList<SourceChange> changes)
    {
        ImmutableDictionary<string, string?>.Builder properties = ImmutableDictionary.CreateBuilder<string, string?>();
        for (int i = 0; i < changes.Count; i++)
        {
            properties[Key + i] = changes[i].Key;
            properties[Title + i] = changes[i].Title;
            properties[Edits + i] = string.Join(" ", changes[i].Edits.Select(edit => edit.Value is { } number ? edit.Name + "=" + number.ToString(CultureInfo.InvariantCulture) : edit.Name));
        }

        return properties.ToImmutable();
    }

    /// <summary>The changes that a diagnostic carries.</summary>
    public static ImmutableArray<SourceChange> Read(Diagnostic diagnostic)
    {
        ImmutableArray<SourceChange>.Builder changes = ImmutableArray.CreateBuilder<SourceChange>();
        using IEnumerator<Location> places = diagnostic.AdditionalLocations.GetEnumerator();
        while (diagnostic.Properties.TryGetValue(Key + changes.Count, out string? key))
        {
            changes.Add(new(
                key!,
                diagnostic.Properties[Title + changes.Count]!,
                diagnostic.Properties[Edits + changes.Count]!.Split(' ').Select(edit => Parse(edit, places)).ToImmutableArray()));
        }

        return changes.ToImmutable();
    }

    private static SourceEdit Parse(string edit, IEnumerator<Location> places)
    {
        places.MoveNext();
        string[] parts = edit.Split('=');
        return new(places.Current, parts[0], parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : null);
    }
}
