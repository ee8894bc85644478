using System.Linq;
using Dho2.Planning;

namespace Dho2.Modeling.Tests;

/// <summary>What a user says of operations, from the attribute to the plan.</summary>
public sealed class OperationTests
{
    private const string Blur = "public static Tensor Blur(Tensor x, long factor = 2) => x.slice(1, 0, x.shape[1], factor);";

    [Fact]
    public void AnAttributeGoesWithEveryCall()
    {
        ModelDescription model = Read("[Operation(\"N, C -> N, C/factor\", Work = \"3*N*C\", SavedBytes = \"4*N*C\", HasSecondDerivative = true)]", "Blur(a.forward(x), 4)");

        Operation blur = Assert.Single(model.Operations, operation => operation.Name == "Samples.Net.Blur");
        Assert.Equal(["x", "factor", "@signature", "@work", "@saved", "@second"], blur.Arguments.Select(argument => argument.Name));
        InferenceResult inferred = ShapeInference.Infer(model);
        int index = model.Operations.ToList().IndexOf(blur);
        Assert.Empty(inferred.Problems);
        Assert.Equal("float32 (N, 2)", inferred.Values[model.Inputs.Count + index].ToString());
        Assert.Equal("24*N", inferred.Operations[index].Work.ToString());
        Assert.True(inferred.Operations[index].HasSecondDerivative);
    }

    [Fact]
    public void DefaultsOfTheMethodCountAndWhatIsNotSaidIsUnknown()
    {
        ModelDescription model = Read("[Operation(\"N, C -> N, C/factor\")]", "Blur(a.forward(x))");

        InferenceResult inferred = ShapeInference.Infer(model);
        int index = model.Operations.ToList().FindIndex(operation => operation.Name == "Samples.Net.Blur");
        Assert.Equal("float32 (N, 4)", inferred.Values[model.Inputs.Count + index].ToString());
        Assert.Null(inferred.Operations[index].Saved);
        Assert.Null(inferred.Operations[index].HasSecondDerivative);
    }

    [Fact]
    public void WithoutAnAttributeTheResultIsUnknown()
    {
        ModelDescription model = Read("", "Blur(a.forward(x))");

        int index = model.Operations.ToList().FindIndex(operation => operation.Name == "Samples.Net.Blur");
        Assert.Null(ShapeInference.Infer(model).Values[model.Inputs.Count + index].Shape);
    }

    [Fact]
    public void AnLstmCellIsFollowedWithItsStates()
    {
        ModelDescription model = Reading.Read(ModelSource.Net(
            layers: "[Stage(0)] private readonly LSTMCell cell = LSTMCell(8, 4);",
            forward: """
                    var h = zeros(x.shape[0], 4);
                    var c = zeros(x.shape[0], 4);
                    (h, c) = cell.forward(x, (h, c));
                    (h, c) = cell.forward(x, (h, c));
                    return h;
                """)).Description;

        InferenceResult inferred = ShapeInference.Infer(model);
        Assert.Empty(inferred.Problems);
        Assert.Equal("float32 (N, 4)", inferred.Values[model.Results[0]].ToString());
    }

    private static ModelDescription Read(string attribute, string call) => Reading.Read(ModelSource.Net(
        layers: $"""
                [Stage(0)] private readonly Linear a = Linear(8, 8);

                {attribute}
                {Blur}
            """,
        forward: $"return {call};")).Description;
}
