using System.Collections.Generic;
using System.IO;
using System.Linq;
using Dho2.Tests.Shared;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Dho2.Generators.Tests;

/// <summary>The generated code that is committed beside the samples is what the generator emits today.</summary>
public sealed class SampleTests
{
    [Theory]
    [InlineData("Mnist")]
    [InlineData("CifarResNet")]
    [InlineData("CharGpt")]
    [InlineData("Vgg")]
    public void ASamplesGeneratedCodeIsUpToDate(string sample)
    {
        string root = BuildMetadata.RepositoryPath("");
        string folder = BuildMetadata.RepositoryPath($"samples/{sample}");
        CSharpCompilation empty = Generation.Compile();
        Generation generation = Generation.Of(empty
            .WithOptions(empty.Options.WithSourceReferenceResolver(new SourceFileResolver([], null, [new(root, "/_/")])))
            .AddSyntaxTrees([.. Directory.GetFiles(folder, "*.cs").Where(file => Path.GetFileName(file) != "Program.cs").Select(file => Generation.Parse(File.ReadAllText(file), file))]));

        Dictionary<string, string> committed = Directory
            .GetFiles(Path.Combine(folder, "Generated"), "*.cs")
            .ToDictionary(file => Path.GetFileName(file), File.ReadAllText);
        string advice = $"Write it anew with: dotnet build samples/{sample} -p:UpdateGenerated=true";
        Assert.True(generation.Files.Keys.Order().SequenceEqual(committed.Keys.Order()), $"The files are {string.Join(", ", committed.Keys.Order())}. {advice}");
        Assert.All(generation.Files, file => Assert.True(file.Value == committed[file.Key], $"{file.Key} is not what the generator emits. {advice}"));
    }
}
