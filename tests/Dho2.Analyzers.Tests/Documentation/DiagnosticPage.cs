using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Dho2.Tests.Shared;

namespace Dho2.Analyzers.Tests;

/// <summary>A page of <c>docs/diagnostics</c>: its title, its table and its blocks of code, in order.</summary>
internal sealed record DiagnosticPage(string Id, string Text)
{
    public static string Folder { get; } = BuildMetadata.RepositoryPath("docs/diagnostics");

    /// <summary>All pages, by identifier.</summary>
    public static IReadOnlyDictionary<string, DiagnosticPage> All { get; } = Directory.GetFiles(Folder, "DHO*.md")
        .Select(file => new DiagnosticPage(Path.GetFileNameWithoutExtension(file), File.ReadAllText(file)))
        .ToDictionary(page => page.Id, StringComparer.Ordinal);

    /// <summary>The first line.</summary>
    public string Heading => Text.Split('\n')[0];

    /// <summary>The cell beside a label in the table at the top.</summary>
    public string Cell(string label) => Regex.Match(Text, $@"^\| {label} \| (.*) \|$", RegexOptions.Multiline).Groups[1].Value;

    /// <summary>The class that has the problem, with the using directives that pages leave out; null where no source leads to it.</summary>
    public string? Example => Block("csharp", 0);

    /// <summary>The diagnostic of <see cref="Example"/>: the text that is marked, severity, identifier and message.</summary>
    public string? Message => Block("text", 0)?.Trim();

    /// <summary>The class without the problem.</summary>
    public string? Remedy => Block("csharp", 1);

    private string? Block(string language, int index) =>
        Regex.Matches(Text, $"^```{language}\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)
            .Skip(index)
            .Select(match => language == "csharp" ? Source.Usings + match.Groups[1].Value : match.Groups[1].Value)
            .FirstOrDefault();
}
