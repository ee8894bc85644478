using System.Linq;

namespace Dho2.Planning.Tests.Catalogue;

/// <summary>Operations that their users described.</summary>
public class UserOperationTests
{
    [Theory]
    [InlineData("N, C, H, W -> N, C, H/2, W/2", "(N, 3, 8, 9)", "(N, 3, 4, 4)")]
    [InlineData("..., K -> ..., 2*K + 1", "(N, 3, 8)", "(N, 3, 17)")]
    [InlineData("..., K -> ...", "(N)", "()")]
    [InlineData("N, _, W -> N*W, (W - 1)*3", "(N, 3, 8)", "(8*N, 21)")]
    [InlineData("N, C -> N, C*factor", "(N, 3)", "(N, 12)")]
    [InlineData("N, C -> C/N", "(N, 3*N)", "(3)")]
    [InlineData("N, C -> N, C/2", "(N, T)", "(N, ?)")]
    [InlineData("N, 3 -> N, 3", "(N, 3)", "(N, 3)")]
    public void TheResultHasTheShapeOfTheSignature(string signature, string input, string expected)
    {
        InferenceResult inferred = Infer(signature, [input]);
        Assert.Empty(inferred.Problems);
        Assert.Equal("float32 " + expected, inferred.Values[^1].ToString());
        Assert.True(inferred.Values[^1].Differentiable);
        Assert.Null(inferred.Operations.Single().HasSecondDerivative);
    }

    [Theory]
    [InlineData("N, C -> N", "(N, 3, 8)", "`blur` takes (N, C), gets (N, 3, 8): it has 3 dimensions, not 2")]
    [InlineData("N, K, K -> N", "(N, 3, 8)", "`blur` takes (N, K, K), gets (N, 3, 8): K is 3 and not 8")]
    [InlineData("N, 4 -> N", "(N, 3)", "`blur` takes (N, 4), gets (N, 3): 4 is not 3")]
    [InlineData("N, C, N", "(N, 3)", "The description of `blur` cannot be read: \"N, C, N\" must have one arrow, as in \"N, C -> N, 2*C\"")]
    [InlineData("N, C -> M", "(N, 3)", "The description of `blur` cannot be read: there is no 'M' in \"M\"")]
    [InlineData("N, C -> (N + ", "(N, 3)", "The description of `blur` cannot be read: something is missing at the end of \"N +\"")]
    public void WhatDoesNotFitIsSaid(string signature, string input, string message) =>
        Assert.Equal(message, Infer(signature, [input]).Problems.Single().Message);

    [Fact]
    public void CostsAreWhatIsStated()
    {
        OperationFacts facts = Infer(
            "N, K; K, M -> N, M", ["(N, 3)", "(3, 5)"], ("@work", "2*N*K*M"), ("@saved", "4*(N*K + K*M)"), ("@second", true)).Operations.Single();
        Assert.Equal("30*N", facts.Work.ToString());
        Assert.Equal("60 + 12*N", facts.Saved!.Value.Single().Bytes.ToString().Replace("12*N + 60", "60 + 12*N"));
        Assert.True(facts.HasSecondDerivative);
    }

    [Fact]
    public void WhatIsNotStatedIsUnknown()
    {
        OperationFacts facts = Infer("N, K -> N", ["(N, 3)"]).Operations.Single();
        Assert.False(facts.Work.IsKnown);
        Assert.Null(facts.Saved);
    }

    private static InferenceResult Infer(string signature, string[] inputs, params (string Name, object Value)[] more)
    {
        CallCase call = new(
            "Acme.Filters.blur",
            [.. inputs.Select((_, i) => ("x" + i, (object?)new TensorSpec())), ("factor", 4L), ("@signature", signature), .. more.Select(m => (m.Name, (object?)m.Value))]);
        return ShapeInference.Infer(call.ToModel(), [.. inputs.Select(shape => new TensorType(Parse(shape), DType.Float32))]);
    }

    private static EquatableArray<Dimension> Parse(string shape) =>
        shape.Trim('(', ')').Split(", ").Select(d => long.TryParse(d, out long size) ? Dimension.Of(size)
            : d.Contains('*') ? Dimension.Of(long.Parse(d.Split('*')[0], System.Globalization.CultureInfo.InvariantCulture)) * Dimension.Of(d.Split('*')[1])
            : Dimension.Of(d)).ToEquatableArray();
}
