using System;
using System.IO;
using System.Linq;
using Dho2.Tests.Shared;

namespace Dho2.EndToEnd.Tests;

public class SolutionTests
{
    [Fact]
    public void Every_project_is_in_the_solution_that_is_tested_and_checked()
    {
        string root = BuildMetadata.RepositoryPath("");
        string solution = File.ReadAllText(Path.Combine(root, "Dho2Dsl.sln"));
        string[] projects = [.. new[] { "src", "generators", "analyzers", "tests", "samples", "benchmarks" }
            .Select(folder => Path.Combine(root, folder)).Where(Directory.Exists)
            .SelectMany(folder => Directory.GetFiles(folder, "*.csproj", SearchOption.AllDirectories))
            .Select(path => Path.GetRelativePath(root, path).Replace('/', '\\'))
            .Where(path => !path.Split('\\').Intersect(["bin", "obj"]).Any())

            // It does not build, which is what it shows; a test of its own builds it.
            .Where(path => !path.EndsWith("DoesNotFit.csproj", StringComparison.Ordinal))

            // What a template makes projects of.
            .Where(path => !path.Contains("\\content\\", StringComparison.Ordinal))];

        Assert.NotEmpty(projects);
        Assert.All(projects, project => Assert.Contains($"\"{project}\"", solution, StringComparison.Ordinal));
    }
}
