using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.CodeAnalysis.CodeFixes;

namespace Dho2.CodeFixes.Tests;

public class DocumentationTests
{
    [Fact]
    public void Pages_name_a_code_fix_where_there_is_one()
    {
        IEnumerable<string> fixable = new CodeFixProvider[] { new MakePartialCodeFix(), new SetStageCodeFix() }
            .SelectMany(provider => provider.FixableDiagnosticIds);
        IEnumerable<string> documented = Directory.GetFiles(Path.Combine(Root(), "docs", "diagnostics"), "DHO*.md")
            .Where(file => !File.ReadAllText(file).Contains("\n| Code fix | None |\n", StringComparison.Ordinal))
            .Select(file => Path.GetFileNameWithoutExtension(file));

        Assert.Equal(fixable.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    private static string Root()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Dho2Dsl.sln")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return folder;
    }
}
