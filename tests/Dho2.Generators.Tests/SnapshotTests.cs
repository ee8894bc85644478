using System.Threading.Tasks;
using Dho2.Modeling.Tests;
using VerifyXunit;

namespace Dho2.Generators.Tests;

/// <summary>Generated text, as it is read by people.</summary>
public sealed class SnapshotTests
{
    [Fact]
    public Task MnistTwoStages() => Verifier.Verify(Generation.Clean(ModelSource.Mnist()).Text, "cs");
}
