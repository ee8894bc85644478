using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Dho2.Tests.Shared;

namespace Dho2.Analyzers.Tests;

/// <summary>One row of the release tracking files.</summary>
internal sealed record ReleaseRow(string Id, string Category, string Severity, string Title)
{
    /// <summary>The rows of both files.</summary>
    public static IReadOnlyList<ReleaseRow> All { get; } = new[] { "Shipped", "Unshipped" }
        .Select(kind => File.ReadAllText(BuildMetadata.RepositoryPath($"analyzers/Dho2.Analyzers/AnalyzerReleases.{kind}.md")))
        .SelectMany(text => Regex.Matches(text, @"^(DHO\d+) \| (\S+) \| (\w+) \| (.+)$", RegexOptions.Multiline))
        .Select(match => new ReleaseRow(match.Groups[1].Value, match.Groups[2].Value, match.Groups[3].Value, match.Groups[4].Value.TrimEnd()))
        .ToArray();
}
