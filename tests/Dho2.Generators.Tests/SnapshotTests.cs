using System.Threading.Tasks;
using VerifyXunit;

namespace Dho2.Generators.Tests;

/// <summary>Generated text, as it is read by people.</summary>
public sealed class SnapshotTests
{
    [Fact]
    public Task Mnist2() => Verifier.Verify(Models.Generated("Mnist2").Text, "cs");

    [Fact]
    public Task Mnist4() => Verifier.Verify(Stages("Mnist4"), "cs");

    [Fact]
    public Task SkipOverSeveralCuts() => Verifier.Verify(Stages("SkipOverSeveralCuts"), "cs");

    [Fact]
    public Task SeveralVersions() => Verifier.Verify(Stages("SeveralVersions"), "cs");

    [Fact]
    public Task NestedOverSeveralLines() => Verifier.Verify(Stages("NestedOverSeveralLines"), "cs");

    [Fact]
    public Task Layers() => Verifier.Verify(Stages("Layers"), "cs");

    [Fact]
    public Task Interleaved() => Verifier.Verify(Stages("Interleaved"), "cs");

    [Fact]
    public Task Scalars() => Verifier.Verify(Stages("Scalars"), "cs");

    [Fact]
    public Task Constants() => Verifier.Verify(Stages("Constants"), "cs");

    [Fact]
    public Task Compound() => Verifier.Verify(Stages("Compound"), "cs");

    [Fact]
    public Task InPlaceInput() => Verifier.Verify(Stages("InPlaceInput"), "cs");

    [Fact]
    public Task Constructor() => Verifier.Verify(Stages("Constructor"), "cs");

    [Fact]
    public Task Names() => Verifier.Verify(Models.Generated("Names").Text, "cs");

    private static string Stages(string model) => Models.Generated(model).File(".Stages.g.cs");
}
