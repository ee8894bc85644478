using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Threading.Tasks;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Analyzers.Tests;

/// <summary>Every diagnostic is documented, and the documentation says what the compiler says.</summary>
public class DocumentationTests
{
    private static readonly ImmutableArray<DiagnosticDescriptor> Supported = new PipelineAnalyzer().SupportedDiagnostics;

    public static TheoryData<string> Ids => new(Supported.Select(descriptor => descriptor.Id));

    public static TheoryData<string> IdsWithExample => new(DiagnosticPage.All.Values.Where(page => page.Example is not null).Select(page => page.Id));

    public static TheoryData<string> IdsWithRemedy => new(DiagnosticPage.All.Values.Where(page => page.Remedy is not null).Select(page => page.Id));

    [Fact]
    public void Every_identifier_belongs_to_one_diagnostic_that_the_analyzer_supports()
    {
        string[] declared = typeof(DiagnosticIds)
            .GetFields(BindingFlags.Public | BindingFlags.Static)
            .Select(field => (string)field.GetRawConstantValue()!)
            .ToArray();

        Assert.Equal(declared.Distinct(), declared);
        Assert.Equal(declared.Order(StringComparer.Ordinal), Supported.Select(descriptor => descriptor.Id).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Release_tables_list_every_diagnostic_once_as_it_is()
    {
        IEnumerable<ReleaseRow> expected = Supported
            .Select(d => new ReleaseRow(d.Id, d.Category, d.DefaultSeverity.ToString(), Text(d.Title)))
            .OrderBy(row => row.Id, StringComparer.Ordinal);

        Assert.Equal(expected, ReleaseRow.All.OrderBy(row => row.Id, StringComparer.Ordinal));
    }

    [Fact]
    public void The_index_lists_every_page_in_order()
    {
        string index = File.ReadAllText(Path.Combine(DiagnosticPage.Folder, "README.md"));
        IEnumerable<string> rows = Regex.Matches(index, @"^\| \[DHO.*$", RegexOptions.Multiline).Select(match => match.Value);
        IEnumerable<string> expected = Supported
            .OrderBy(d => d.Id, StringComparer.Ordinal)
            .Select(d => $"| [{d.Id}]({d.Id}.md) | {SeverityOf(d)} | {Text(d.Title)} |");

        Assert.Equal(expected, rows);
        Assert.Equal(Supported.Select(d => d.Id).Order(StringComparer.Ordinal), DiagnosticPage.All.Keys.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void A_diagnostic_has_a_page_and_a_link_to_it(string id)
    {
        DiagnosticDescriptor descriptor = Supported.Single(d => d.Id == id);
        DiagnosticPage page = DiagnosticPage.All[id];

        Assert.Equal(HelpLinks.Folder + id + ".md", descriptor.HelpLinkUri);
        Assert.Equal($"# {id}: {Text(descriptor.Title)}", page.Heading);
        Assert.Equal(SeverityOf(descriptor), page.Cell("Severity"));
        Assert.Equal(descriptor.Category, page.Cell("Category"));
        Assert.Contains("\n## When to suppress\n", page.Text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(IdsWithExample))]
    public async Task The_example_gives_the_message_that_the_page_shows(string id)
    {
        DiagnosticPage page = DiagnosticPage.All[id];
        CSharpCompilation compilation = Analysis.Compile(page.Example!);
        Diagnostic diagnostic = (await Analysis.DiagnosticsAsync(compilation)).First(d => d.Id == id);
        string marked = diagnostic.Location.SourceTree!.GetText().ToString(diagnostic.Location.SourceSpan).Split('\n')[0].TrimEnd();

        string message = $"{marked}: {diagnostic.Severity.ToString().ToLowerInvariant()} {id}: {Text(diagnostic)}";

        Assert.True(message == page.Message, $"The compiler says:\n{message}\nThe page says:\n{page.Message}");
    }

    [Theory]
    [MemberData(nameof(IdsWithRemedy))]
    public async Task The_remedy_compiles_and_gives_no_warning(string id)
    {
        CSharpCompilation compilation = Analysis.Compile(DiagnosticPage.All[id].Remedy!);

        Assert.Empty(Analysis.Errors(compilation));
        Assert.DoesNotContain(
            await Analysis.DiagnosticsAsync(compilation), d => d.Id == id || d.Severity is DiagnosticSeverity.Error or DiagnosticSeverity.Warning);
    }

    private static string SeverityOf(DiagnosticDescriptor descriptor) =>
        descriptor.DefaultSeverity == DiagnosticSeverity.Info ? "Information" : descriptor.DefaultSeverity.ToString();

    private static string Text(LocalizableString text) => text.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static string Text(Diagnostic diagnostic) => diagnostic.GetMessage(System.Globalization.CultureInfo.InvariantCulture);
}
