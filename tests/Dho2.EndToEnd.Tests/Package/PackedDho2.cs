using System;
using System.Collections.Generic;
using System.IO;
using Dho2.Tests.Shared;

namespace Dho2.EndToEnd.Tests.Package;

/// <summary>
/// The package, made from what the solution's build left, and empty projects that get it from a folder feed into an empty
/// package cache. Packages of others come from the machine's cache in place; nothing is downloaded.
/// </summary>
public sealed class PackedDho2 : IDisposable
{
    // A version of its own, so that no other Dho2 on this machine can be taken for the one under test.
    private const string Version = "0.0.0-test";

    // Beside the tests rather than in the temporary folder, which is often another file system: libtorch is linked.
    private readonly DirectoryInfo root = Directory.CreateDirectory(Path.Combine(AppContext.BaseDirectory, "package-" + Guid.NewGuid().ToString("N")));

    public PackedDho2()
    {
        try
        {
            Pack("src/Dho2");
            Pack("src/Dho2.Templates");
            Pack("src/Dho2.Cli");
            WriteSurroundings();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Package => Path.Combine(Feed, $"Dho2.{Version}.nupkg");

    public string Symbols => Path.Combine(Feed, $"Dho2.{Version}.snupkg");

    public string Templates => Path.Combine(Feed, $"Dho2.Templates.{Version}.nupkg");

    public string Tool => Path.Combine(Feed, $"Dho2.Cli.{Version}.nupkg");

    public string Cache => Path.Combine(root.FullName, "cache");

    /// <summary>The folder below which projects take the package from the feed.</summary>
    public string Root => root.FullName;

    private Dictionary<string, string> Surroundings => new()
    {
        ["NUGET_PACKAGES"] = Cache,
        ["DOTNET_CLI_HOME"] = Path.Combine(root.FullName, "home"),
        ["MSBUILDDISABLENODEREUSE"] = "1",
        ["UseSharedCompilation"] = "false",
    };

    private string Feed => Path.Combine(root.FullName, "feed");

    /// <summary>Writes a program that references the package and nothing else but libtorch.</summary>
    /// <returns>Its folder.</returns>
    public string WriteProgram(string name, params (string File, string Text)[] sources)
    {
        Write($"{name}/{name}.csproj", $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
                <OutputType>Exe</OutputType>
                <Nullable>enable</Nullable>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <EmitCompilerGeneratedFiles>true</EmitCompilerGeneratedFiles>
                <CreateHardLinksForCopyLocalIfPossible>true</CreateHardLinksForCopyLocalIfPossible>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Dho2" Version="{Version}" />
                <PackageReference Include="{BuildMetadata.Get("LibTorchPackage")}" Version="{BuildMetadata.Get("LibTorchVersion")}" />
              </ItemGroup>
            </Project>
            """);
        foreach ((string file, string text) in sources)
        {
            Write($"{name}/{file}", text);
        }

        return Path.Combine(root.FullName, name);
    }

    /// <summary>Runs the SDK's command line with the empty cache, leaving no server behind.</summary>
    public (int ExitCode, string Output) Run(string folder, params string[] arguments) => Dotnet.Run(folder, Surroundings, arguments);

    /// <summary>Installs the tool from the feed, for this test alone.</summary>
    /// <returns>The command.</returns>
    public string InstallTool()
    {
        string tools = Path.Combine(root.FullName, "tools");
        (int exitCode, string output) = Run(root.FullName, "tool", "install", "Dho2.Cli", "--version", Version, "--tool-path", tools);
        Assert.True(exitCode == 0, output);
        return Path.Combine(tools, "dho2");
    }

    /// <summary>Runs another command in the same surroundings.</summary>
    public (int ExitCode, string Output, string Errors) RunCommand(string command, string folder, params string[] arguments) =>
        Dotnet.RunCommand(command, folder, Surroundings, arguments);

    public void Dispose() => root.Delete(recursive: true);

    private void Pack(string project)
    {
        (int exitCode, string output) = Run(
            BuildMetadata.RepositoryPath(project), "pack", "--no-build", "-c", BuildMetadata.Get("Configuration"), "-o", Feed, $"-p:PackageVersion={Version}");
        Assert.True(exitCode == 0, output);
    }

    private void WriteSurroundings()
    {
        // The root lies inside this repository, whose own settings end here.
        Write("Directory.Build.props", "<Project />");
        Write("Directory.Build.targets", "<Project />");
        Write("Directory.Packages.props", "<Project />");
        Write(".editorconfig", "root = true\n");
        Write("NuGet.Config", $"""
            <configuration>
              <packageSources>
                <clear />
                <add key="feed" value="{Feed}" />
              </packageSources>
              <fallbackPackageFolders>
                <clear />
                <add key="machine" value="{BuildMetadata.Get("PackageCache")}" />
              </fallbackPackageFolders>
            </configuration>
            """);
    }

    private void Write(string name, string text)
    {
        string path = Path.Combine(root.FullName, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
