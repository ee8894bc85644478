namespace Dho2.Generators.Tests;

/// <summary>What is generated compiles without a warning under the strictest settings.</summary>
public sealed class CompilationTests
{
    [Theory]
    [MemberData(nameof(Models.Names), MemberType = typeof(Models))]
    public void IsCleanWithItsModel(string model)
    {
        Generation generation = Models.Generated(model);
        Assert.Contains(generation.Files.Keys, name => name.EndsWith(".Stages.g.cs", System.StringComparison.Ordinal));
    }
}
