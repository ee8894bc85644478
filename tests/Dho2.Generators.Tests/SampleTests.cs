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
    [Fact]
    public void TheMnistSamplesGeneratedCodeIsUpToDate()
    {
        string root = BuildMetadata.RepositoryPath("");
        string source = BuildMetadata.RepositoryPath("samples/Mnist/MnistNet.cs");
        CSharpCompilation empty = Generation.Compile();
        Generation generation = Generation.Of(empty
            .WithOptions(empty.Options.WithSourceReferenceResolver(new SourceFileResolver([], null, [new(root, "/_/")])))
            .AddSyntaxTrees(Generation.Parse(File.ReadAllText(source), source)));

        Dictionary<string, string> committed = Directory
            .GetFiles(BuildMetadata.RepositoryPath("samples/Mnist/Generated"), "*.cs")
            .ToDictionary(file => Path.GetFileName(file), File.ReadAllText);
        const string advice = "Write it anew with: dotnet build samples/Mnist -p:UpdateGenerated=true";
        Assert.True(generation.Files.Keys.Order().SequenceEqual(committed.Keys.Order()), $"The files are {string.Join(", ", committed.Keys.Order())}. {advice}");
        Assert.All(generation.Files, file => Assert.True(file.Value == committed[file.Key], $"{file.Key} is not what the generator emits. {advice}"));
    }
}
