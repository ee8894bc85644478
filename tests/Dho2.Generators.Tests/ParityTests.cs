using System.Collections.Generic;
using System.Linq;
using static TorchSharp.torch;

namespace Dho2.Generators.Tests;

/// <summary>Stages, called one after the other, compute what the unsplit model computes, gradients included.</summary>
public sealed class ParityTests
{
    [Theory]
    [MemberData(nameof(Models.Names), MemberType = typeof(Models))]
    public void StagesComputeWhatTheModelComputes(string model)
    {
        var chain = new StageChain(Models.Generated(model));
        long[] sizes = model.StartsWith("Mnist", System.StringComparison.Ordinal) ? [3, 1, 28, 28] : [6, 8];
        int inputs = model == "TwoInputs" ? 2 : 1;
        Tensor[] values = [.. Enumerable.Range(0, inputs).Select(i => (linspace(-1, 1, sizes.Aggregate((a, b) => a * b)) * (i + 1)).cos().view(sizes))];

        (Tensor[] expected, Dictionary<string, Tensor> gradients) = chain.RunUnsplit(7, values);
        (Tensor[] actual, Dictionary<string, Tensor> stageGradients) = chain.RunStages(7, values);

        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => AssertSame(pair.First, pair.Second, "result"));
        Assert.NotEmpty(gradients);
        Assert.Equal(gradients.Keys.Order(), stageGradients.Keys.Order());
        Assert.All(gradients, gradient => AssertSame(gradient.Value, stageGradients[gradient.Key], gradient.Key));
    }

    // The operations are the same ones; only sums of gradients at skips may be taken in another order.
    private static void AssertSame(Tensor expected, Tensor actual, string what) =>
        Assert.True(expected.allclose(actual, rtol: 1e-5, atol: 1e-6), $"{what}: {(expected - actual).abs().max().item<float>()} apart");
}
