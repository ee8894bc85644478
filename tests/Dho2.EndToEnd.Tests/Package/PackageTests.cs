using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text.RegularExpressions;
using Dho2.Tests.Shared;

namespace Dho2.EndToEnd.Tests.Package;

public sealed class PackageTests(PackedDho2 package) : IClassFixture<PackedDho2>
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
            "icon.png",
            "lib/net10.0/Dho2.Checkpoints.dll",
            "lib/net10.0/Dho2.Checkpoints.xml",
            "lib/net10.0/Dho2.Planning.dll",
            "lib/net10.0/Dho2.Planning.xml",
            "lib/net10.0/Dho2.dll",
            "lib/net10.0/Dho2.xml",
        ];

        Assert.Equal(expected, Entries(package.Package));
        Assert.Equal(["Dho2.nuspec", "lib/net10.0/Dho2.Checkpoints.pdb", "lib/net10.0/Dho2.Planning.pdb", "lib/net10.0/Dho2.pdb"], Entries(package.Symbols));
    }

    [Fact]
    public void Restores_into_an_empty_cache_generates_builds_and_trains()
    {
        string folder = package.WriteProgram("Small", ("Program.cs", Source("Program.cs")), ("SmallNet.cs", Source("SmallNet.cs")));

        (int exitCode, string output) = package.Run(folder, "run", "-c", "Release");

        Assert.True(exitCode == 0, output);
        Assert.Equal(["dho2"], Directory.GetDirectories(package.Cache).Select(Path.GetFileName));
        string[] generated = Directory.GetFiles(Path.Combine(folder, "obj/Release/net10.0/generated/Dho2.Generators"), "*.cs", SearchOption.AllDirectories);
        Assert.Contains(generated, file => File.ReadAllText(file).Contains("class Stage1"));
        Match result = Regex.Match(output, @"^stages=2 steps=32 estimates=(\d+) before=([\d.]+) after=([\d.]+) unsplit=([\d.]+)", RegexOptions.Multiline);
        Assert.True(result.Success, output);
        double[] numbers = [.. result.Groups.Values.Skip(1).Select(g => double.Parse(g.Value, CultureInfo.InvariantCulture))];
        Assert.True(numbers[0] >= 1, output);
        Assert.True(numbers[2] < 0.7 * numbers[1], output);
        Assert.Equal(numbers[2], numbers[3], 0.0002);
    }

    [Fact]
    public void Analyzers_report_in_the_users_build()
    {
        string broken = Source("SmallNet.cs").Replace("partial class", "class", StringComparison.Ordinal);
        string folder = package.WriteProgram("Broken", ("Program.cs", "return;"), ("SmallNet.cs", broken));

        (int exitCode, string output) = package.Run(folder, "build");

        Assert.NotEqual(0, exitCode);
        Assert.Matches(@"SmallNet\.cs\(12,14\): error DHO1001: ", output);
    }

    [Fact]
    public void The_template_makes_a_program_that_trains_at_once()
    {
        Assert.Equal(
            ["Dho2.Templates.nuspec", "README.md", "content/dho2/.template.config/template.json", "content/dho2/Dho2Training.csproj", "content/dho2/Net.cs", "content/dho2/Program.cs", "icon.png"],
            Entries(package.Templates));

        (int exitCode, string output) = package.Run(package.Root, "new", "install", package.Templates);
        Assert.True(exitCode == 0, output);
        (exitCode, output) = package.Run(
            package.Root, "new", "dho2", "-o", "Spirals", "--libtorch", BuildMetadata.Get("LibTorchPackage"), "--libtorchVersion", BuildMetadata.Get("LibTorchVersion"));
        Assert.True(exitCode == 0, output);
        Assert.Contains("namespace Spirals;", File.ReadAllText(Path.Combine(package.Root, "Spirals/Net.cs")));

        (exitCode, output) = package.Run(Path.Combine(package.Root, "Spirals"), "run", "-c", "Release");

        Assert.True(exitCode == 0, output);
        Match last = Regex.Match(output, @"^epoch 10: training loss [\d.]+, test accuracy ([\d.]+)", RegexOptions.Multiline);
        Assert.True(last.Success && double.Parse(last.Groups[1].Value, CultureInfo.InvariantCulture) > 0.9, output);
        Assert.Matches(@"(?m)^step \d+: largest eigenvalue \d", output);
    }

    [Fact]
    public void The_tool_installs_and_plans_a_project_that_uses_the_package()
    {
        string[] ours = ["Dho2.Analyzers", "Dho2.Checkpoints", "Dho2.Cli", "Dho2.Modeling", "Dho2.Planning"];
        string[] others =
        [
            "HarfBuzzSharp.dll", "Microsoft.CodeAnalysis.CSharp.dll", "Microsoft.CodeAnalysis.dll", "ScottPlot.dll", "SkiaSharp.HarfBuzz.dll",
            "SkiaSharp.dll", "Spectre.Console.Ansi.dll", "Spectre.Console.dll", "System.CommandLine.dll", "System.IO.Hashing.dll",
        ];

        // What draws pictures, for the platforms that training runs on and no others: each is megabytes.
        string[] native = ["linux-x64/native/lib{0}.so", "osx/native/lib{0}.dylib", "win-x64/native/lib{0}.dll"];
        string[] drawing = ["HarfBuzzSharp", "SkiaSharp"];
        string[] expected =
        [
            "DejaVuSans.LICENSE.txt", "Dho2.Cli.nuspec", "README.md", "icon.png",
            .. ours.SelectMany(name => new[] { $"{name}.dll", $"{name}.pdb", $"{name}.xml" }).Concat(others)
                .Concat(["Dho2.Cli.deps.json", "Dho2.Cli.runtimeconfig.json", "DotnetToolSettings.xml"])
                .Concat(native.SelectMany(path => drawing.Select(name => "runtimes/" + string.Format(CultureInfo.InvariantCulture, path, name)))).Select(file => $"tools/net10.0/any/{file}"),
        ];
        Assert.Equal(expected.Order(StringComparer.Ordinal), Entries(package.Tool));
        string folder = package.WriteProgram("Planned", ("Program.cs", "return;"), ("SmallNet.cs", Source("SmallNet.cs")));
        (int exitCode, string output) = package.Run(folder, "restore");
        Assert.True(exitCode == 0, output);
        string tool = package.InstallTool();

        (exitCode, output, string errors) = package.RunCommand(tool, folder, "plan", ".", "--replicas", "2", "--html", "plan.html");

        Assert.True(exitCode == 0, output + errors);
        Assert.Matches(@"(?m)^\| layers +\| +conv +\| +head +\|", output);
        Assert.Contains("x 2 replicas", output, StringComparison.Ordinal);
        Assert.Contains("</html>", File.ReadAllText(Path.Combine(folder, "plan.html")), StringComparison.Ordinal);

        (exitCode, _, errors) = package.RunCommand(tool, folder, "inspect", "nowhere");
        Assert.Equal(1, exitCode);
        Assert.Contains("nowhere", errors, StringComparison.Ordinal);
    }

    private static string Source(string name)
        => File.ReadAllText(BuildMetadata.RepositoryPath($"tests/Dho2.EndToEnd.Tests/Package/Program/{name}"));

    private static IEnumerable<string> Entries(string path)
    {
        using ZipArchive archive = ZipFile.OpenRead(path);
        return archive.Entries.Select(e => e.FullName)
            .Where(n => !n.StartsWith("_rels/", StringComparison.Ordinal) && !n.StartsWith("package/", StringComparison.Ordinal) && n != "[Content_Types].xml")
            .Order(StringComparer.Ordinal).ToArray();
    }
}
