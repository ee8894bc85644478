using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Tests.Shared;
using Microsoft.CodeAnalysis.CodeFixes;

namespace Dho2.CodeFixes.Tests;

public class DocumentationTests
{
    [Fact]
    public void Pages_name_a_code_fix_where_there_is_one()
    {
        IEnumerable<string> fixable = new CodeFixProvider[] { new MakePartialCodeFix(), new ChangeNumbersCodeFix() }
            .SelectMany(provider => provider.FixableDiagnosticIds);
        IEnumerable<string> documented = Directory.GetFiles(BuildMetadata.RepositoryPath("docs/diagnostics"), "DHO*.md")
            .Where(file => !File.ReadAllText(file).Contains("\n| Code fix | None |\n", StringComparison.Ordinal))
            .Select(file => Path.GetFileNameWithoutExtension(file));

        Assert.Equal(fixable.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }
}
