using System.Threading.Tasks;
using Dho2.Planning;
using VerifyXunit;

namespace Dho2.Modeling.Tests;

/// <summary>What is read of whole classes, as canonical text.</summary>
public sealed class DescriptionTests
{
    [Fact]
    public Task Mnist() => Verifier.Verify(Text(ModelSource.Mnist()));

    private static string Text(params string[] sources)
    {
        PipelineModel model = Reading.Read(sources);
        Assert.Empty(model.Problems);
        Assert.Equal(ClassStatus.Sound, model.Class.Status);
        return ModelDescriptionText.Write(model.Description);
    }
}
