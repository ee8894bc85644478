using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Linq;

namespace Dho2.EndToEnd.Tests.Package;

public sealed class PackageTests(PackedConsumer consumer) : IClassFixture<PackedConsumer>
{
    [Fact]
    public void Holds_the_libraries_all_that_the_compiler_loads_and_the_build_files()
    {
        string[] expected =
        [
            "Dho2.nuspec",
            "README.md",
            "analyzers/dotnet/cs/Dho2.Analyzers.dll",
            "analyzers/dotnet/cs/Dho2.CodeFixes.dll",
            "analyzers/dotnet/cs/Dho2.Generators.dll",
            "analyzers/dotnet/cs/Dho2.Modeling.dll",
            "analyzers/dotnet/cs/Dho2.Planning.dll",
            "buildTransitive/Dho2.targets",
            "buildTransitive/TorchSharpNative.cs",
            "buildTransitive/TorchSharpNative.targets",
            "lib/net10.0/Dho2.Planning.dll",
            "lib/net10.0/Dho2.Planning.xml",
            "lib/net10.0/Dho2.dll",
            "lib/net10.0/Dho2.xml",
        ];

        Assert.Equal(expected, Entries(consumer.Package));
        Assert.Equal(["Dho2.nuspec", "lib/net10.0/Dho2.Planning.pdb", "lib/net10.0/Dho2.pdb"], Entries(consumer.Symbols));
    }

    [Fact]
    public void Restores_from_an_empty_cache_builds_and_trains()
    {
        (int exitCode, string output) = consumer.Run(consumer.Project, "run", "-c", "Release");

        Assert.True(exitCode == 0, output);
        Assert.Contains("second derivative: 6 6 6", output);
        Assert.Equal(["dho2"], Directory.GetDirectories(consumer.Cache).Select(Path.GetFileName));
    }

    private static IEnumerable<string> Entries(string package)
    {
        using ZipArchive archive = ZipFile.OpenRead(package);
        return archive.Entries.Select(e => e.FullName)
            .Where(n => !n.StartsWith("_rels/", StringComparison.Ordinal) && !n.StartsWith("package/", StringComparison.Ordinal) && n != "[Content_Types].xml")
            .Order(StringComparer.Ordinal).ToArray();
    }
}
