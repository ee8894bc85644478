using System;
using System.IO;
using System.Threading.Tasks;
using Dho2.Tests.Shared;

namespace Dho2.Analyzers.Tests;

/// <summary>The reference opens with a table of all attributes, which is what the attributes say of themselves.</summary>
public class ReferenceTests
{
    // Set to 1 to write the table anew.
    private const string Update = "DHO2_UPDATE_DOCS";
    private const string Begin = "<!-- attributes -->\n", End = "<!-- /attributes -->\n";

    [Fact]
    public async Task The_table_of_attributes_is_in_step_with_them()
    {
        string path = BuildMetadata.RepositoryPath("docs/reference.md");
        string page = await File.ReadAllTextAsync(path);
        int start = page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        int end = page.IndexOf(End, StringComparison.Ordinal);
        string written = page[start..end], expected = await AttributeTable.WriteAsync();
        if (Environment.GetEnvironmentVariable(Update) == "1")
        {
            await File.WriteAllTextAsync(path, page[..start] + expected + page[end..]);
            return;
        }

        Assert.True(
            written == expected,
            $"docs/reference.md is out of step with the attributes; write its table anew with {Update}=1 dotnet test tests/Dho2.Analyzers.Tests --filter ReferenceTests. The table should be:\n{expected}");
    }
}
