using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using Dho2.Tests.Shared;

namespace Dho2.EndToEnd.Tests;

/// <summary>What the build's own properties select, as far as it can be told without the packages that they select.</summary>
public class BuildPropertiesTests
{
    [Fact]
    public void The_cuda_backend_takes_the_place_of_the_cpu_one()
    {
        string[] cpu = Evaluate("samples/Mnist", "PackageReference"), cuda = Evaluate("samples/Mnist", "PackageReference", "-p:TorchBackend=cuda");

        string replaced = Assert.Single(cpu.Except(cuda));
        Assert.StartsWith("libtorch-cpu-", replaced, StringComparison.Ordinal);
        Assert.Equal(["TorchSharp-cuda-linux"], cuda.Except(cpu));
        Assert.Empty(cuda.Except(Evaluate("samples/Mnist", "PackageVersion")));
    }

    [Fact]
    public void Another_backend_is_refused()
    {
        (int exitCode, string output) = Msbuild("samples/Mnist", "-t:CollectPackageReferences", "-p:TorchBackend=gpu");

        Assert.NotEqual(0, exitCode);
        Assert.Contains("error : TorchBackend is 'gpu'; it must be cpu or cuda.", output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_snapshot_package_takes_the_place_of_the_helper()
    {
        const string project = "tests/Dho2.Generators.Tests", property = "-p:UseVerifyPackage=true";

        Assert.Equal(["Verify.Xunit"], Evaluate(project, "PackageReference", property).Except(Evaluate(project, "PackageReference")));
        Assert.Equal(["Verifier.cs"], Evaluate(project, "Compile").Except(Evaluate(project, "Compile", property)).Select(Path.GetFileName));
    }

    private static string[] Evaluate(string project, string item, params string[] properties)
    {
        (int exitCode, string output) = Msbuild(project, [$"-getItem:{item}", .. properties]);
        Assert.True(exitCode == 0, output);
        using JsonDocument document = JsonDocument.Parse(output);
        return [.. document.RootElement.GetProperty("Items").GetProperty(item).EnumerateArray().Select(i => i.GetProperty("Identity").GetString()!)];
    }

    private static (int ExitCode, string Output) Msbuild(string project, params string[] arguments) => Dotnet.Run(
        BuildMetadata.RepositoryPath(project), new Dictionary<string, string> { ["MSBUILDDISABLENODEREUSE"] = "1" }, ["msbuild", "-nologo", .. arguments]);
}
