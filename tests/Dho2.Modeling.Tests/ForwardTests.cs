namespace Dho2.Modeling.Tests;

/// <summary>Forward methods as operations in static single assignment form.</summary>
public sealed class ForwardTests
{
    private const string Layers = """
            [Stage(0)] private readonly Linear a = Linear(8, 8);
            [Stage(1)] private readonly Linear b = Linear(8, 4);
            [Stage(1)] private readonly ReLU act = ReLU(inplace: true);
            [Stage(1)] private readonly Parameter scale = Parameter(ones(4));
            [Stage(1)] private readonly LSTM lstm = LSTM(8, 4);
        """;

    [Fact]
    public void NestedExpressionsAreReadInTheOrderOfEvaluation() => AssertOperations(
        "return b.forward(relu(a.call(x)) + x.tanh() * 2);",
        "%1 = layer a (%0)",
        "%2 = F.relu (%1, false)",
        "%3 = Tensor.tanh (%0)",
        "%4 = operator * (%3, 2)",
        "%5 = operator + (%2, %4)",
        "%6 = layer b (%5)",
        "return %6");

    [Fact]
    public void NamedArgumentsStandInTheOrderOfTheParametersAndDefaultsAreFilledIn() => AssertOperations(
        "return max_pool2d(stride: 2, kernel_size: 3, input: x.flatten(end_dim: 2));",
        "%1 = Tensor.flatten (%0, 0, 2)",
        "%2 = F.max_pool2d (%1, 3, 2, null, null, false)",
        "return %2");

    [Fact]
    public void EveryAssignmentMakesAVersion()
    {
        PipelineModel model = Read("x = a.forward(x);\n        var y = x;\n        x += y;\n        x = x * x;\n        return b.forward(x + y);");
        Assert.Equal(
            ["%1 = layer a (%0)", "%2 = operator + (%1, %1)", "%3 = operator * (%2, %2)", "%4 = operator + (%3, %1)", "%5 = layer b (%4)", "return %5"],
            Short.Operations(model.Description));
        Assert.Equal(
            ["x=%0 -> x=%1", "x=%1 -> y=%1", "x=%1 y=%1 -> x=%2", "x=%2 -> x=%3", "x=%3 y=%1 -> "],
            Short.Statements(model.Description));
    }

    [Fact]
    public void AChangeInPlaceIsANewVersionOfAllThatNamesTheTensor()
    {
        PipelineModel model = Read("var y = x;\n        x.add_(1);\n        var z = act.forward(y);\n        return b.forward(x + y + z);");
        Assert.Equal(
            ["%1 = Tensor.add_ (%0, 1)", "%2 = layer act (%1)", "%3 = operator + (%2, %2)", "%4 = operator + (%3, %2)", "%5 = layer b (%4)", "return %5"],
            Short.Operations(model.Description));
        Assert.Equal(["x=%0 -> y=%0", "x=%0 -> x=%1 y=%1", "y=%1 -> x=%2 y=%2 z=%2", "x=%2 y=%2 z=%2 -> "], Short.Statements(model.Description));
        Assert.Equal([0, 1, -1, -1, -1], System.Linq.Enumerable.Select(model.Source.Operations, o => o.InPlace));
    }

    [Fact]
    public void ShapesAndTheirElementsAreValues() => AssertOperations(
        "long n = x.shape[0];\n        int half = (int)n / 2;\n        return x.view(n, half, -1)[0];",
        "%1 = Tensor.shape (%0)",
        "%2 = item (%1, 0)",
        "%3 = conversion (%2)",
        "%4 = operator / (%3, 2)",
        "%5 = Tensor.view (%0, [%2, %4, -1])",
        "%6 = Tensor.this[] (%5, 0)",
        "return %6");

    [Fact]
    public void RangesAreStartStopAndStep() => AssertOperations(
        "return x[.., 1..^2, TensorIndex.Slice(0, null, 2), TensorIndex.Ellipsis];",
        "%1 = Tensor.this[] (%0, [[null, null, null], [1, -2, null], [0, null, 2], 'Ellipsis'])",
        "return %1");

    [Fact]
    public void TuplesAreTakenApart() => AssertOperations(
        "var (h, c, _) = lstm.forward(x);\n        (h, c) = (c, h);\n        return h + c;",
        "%1 = layer lstm (%0, null)",
        "%2 = item (%1, 0)",
        "%3 = item (%1, 1)",
        "%4 = operator + (%3, %2)",
        "return %4");

    [Fact]
    public void ListsOfTensorsKeepTheirElements() => AssertOperations(
        "var parts = x.chunk(2, 1);\n        return cat([parts[0], parts[1], scale], dim: 1);",
        "%1 = Tensor.chunk (%0, 2, 1)",
        "%2 = item (%1, 0)",
        "%3 = item (%1, 1)",
        "%4 = read scale ()",
        "%5 = torch.cat ([%2, %3, %4], 1)",
        "return %5");

    [Fact]
    public void ConstantsAreFoldedAndNeverCarried()
    {
        PipelineModel model = Read(
            "const int one = 1;\n        var size = Width * 2 - one;\n        var other = Half + 0.5;\n        size += Limit;\n        return x.view(size, -one) * other;",
            "private const int Width = 3; private static readonly double Half = 1 / 2.0; private static int Limit { get; } = Width > 2 ? 10 : 20;");
        Assert.Equal(["%1 = Tensor.view (%0, [15, -1])", "%2 = operator * (%1, 1.0)", "return %2"], Short.Operations(model.Description));
        Assert.Equal([" -> ", " -> ", " -> ", " -> ", "x=%0 -> "], Short.Statements(model.Description));
        Assert.Equal(["1", "5", "1.0", "15"], System.Linq.Enumerable.Select(model.Source.Constants, c => c.ValueText));
    }

    [Fact]
    public void ElementTypesAndEnumsAreNames() => AssertOperations(
        "return x.to(float64).sum(dim: [1], type: ScalarType.Float32);",
        "%1 = Tensor.to (%0, 'Float64', false, false, false)",
        "%2 = Tensor.sum (%1, [1], false, 'Float32')",
        "return %2");

    [Fact]
    public void CompoundStatementsAreWholesWithWhatFlowsInAndOut()
    {
        PipelineModel model = Read(
            """
            Tensor y;
                    int count = 2;
                    if (x.numel() > 4)
                    {
                        y = a.forward(x);
                    }
                    else
                    {
                        y = x * count;
                    }

                    for (int i = 0; i < count; i++)
                    {
                        x = x + y;
                    }

                    y = y.numel() > 2 && count > 1 ? y : x;
                    return b.forward(y);
            """);
        Assert.Equal(
            [
                "%1 = opaque a (%0, 2)", "%2 = opaque (%0, 2)", "%3 = opaque (%0, %2, 2)", "%4 = opaque (%3, %2, 2)", "%5 = layer b (%4)", "return %5",
            ],
            Short.Operations(model.Description));
        Assert.Equal(
            [" -> ", " -> ", "x=%0 -> y=%2 |", "x=%0 y=%2 -> x=%3 |", "x=%3 y=%2 -> y=%4 |", "y=%4 -> "],
            Short.Statements(model.Description));
    }

    [Fact]
    public void AVariableThatIsAssignedOnOneWayKeepsItsValueOnTheOther()
    {
        PipelineModel model = Read("var y = a.forward(x);\n        if (x.numel() > 4) y = x.relu();\n        return b.forward(y);");
        Assert.Equal(["x=%0 -> y=%1", "x=%0 y=%1 -> y=%2 |", "y=%2 -> "], Short.Statements(model.Description));
    }

    [Fact]
    public void VariablesThatAStatementDeclaresAndLetsOutAreWritten()
    {
        PipelineModel model = Read(
            "if (!TryGet(x, out var y)) y = x;\n        Func<Tensor, Tensor> f = t => t + y;\n        x = f(x);\n        return b.forward(a.forward(x + y));",
            "private static bool TryGet(Tensor x, out Tensor y) { y = x; return true; }");
        Assert.Equal("x=%0 -> y=%1 |", Short.Statements(model.Description)[0]);
        Assert.Equal("y=%1 -> f=%2 |", Short.Statements(model.Description)[1]);
        Assert.Equal("x=%0 f=%2 -> x=%3 |", Short.Statements(model.Description)[2]);
    }

    [Fact]
    public void ElementsThatAreSetChangeTheTensor()
    {
        PipelineModel model = Read("x = a.forward(x);\n        x[0] = x[1];\n        return b.forward(x);");
        Assert.Equal(["x=%0 -> x=%1", "x=%1 -> x=%2 |", "x=%2 -> "], Short.Statements(model.Description));
    }

    [Fact]
    public void SeveralResultsAreSeveralValues()
    {
        PipelineModel model = Reading.Read(ModelSource.Net(
            Layers,
            "var h = a.forward(x);\n        return (b.forward(h), h);",
            result: "(Tensor, Tensor)",
            loss: "private static Tensor Loss(Tensor y, Tensor h, Tensor labels) => cross_entropy(y, labels);"));
        Assert.Empty(model.Problems);
        Assert.Equal(["%1 = layer a (%0)", "%2 = layer b (%1)", "return %2, %1"], Short.Operations(model.Description));
        Assert.Equal(1, model.Class.LossTargets);
        Assert.Equal(3, model.Description.Loss!.InputCount);
    }

    [Fact]
    public void LayersUsedOtherwiseThanByForwardAreOpaque() => AssertOperations(
        "x = Apply(a, x) + b.bias!;\n        return x * b.weight.sum();",
        "private static Tensor Apply(Linear layer, Tensor x) => layer.forward(x);",
        "%1 = opaque a (?, %0)",
        "%2 = read b ('bias')",
        "%3 = operator + (%1, %2)",
        "%4 = read b ('weight')",
        "%5 = Tensor.sum (%4, null)",
        "%6 = operator * (%3, %5)",
        "return %6");

    [Fact]
    public void AnExpressionBodyIsAReturnStatement()
    {
        PipelineModel model = Reading.Read(ModelSource.Net(Layers, "return b.forward(a.forward(x));"));
        PipelineModel arrow = Reading.Read(ModelSource.Usings + ModelSource.Attributes + " public partial class Net : Module<Tensor, Tensor> {" + Layers
            + "public override Tensor forward(Tensor x) => b.forward(a.forward(x));" + ModelSource.Loss + "}");
        Assert.Equal(Short.Operations(model.Description), Short.Operations(arrow.Description));
        Assert.Equal(StatementForm.Expression, arrow.Source.Statements[0].Form);
    }

    private static PipelineModel Read(string forward, string members = "")
    {
        PipelineModel model = Reading.Read(ModelSource.Net(Layers + "\n" + members, forward));
        Assert.Empty(model.Problems);
        Assert.Equal(ClassStatus.Sound, model.Class.Status);
        return model;
    }

    private static void AssertOperations(string forward, params string[] expected)
    {
        string members = expected[0].StartsWith('%') ? "" : expected[0];
        Assert.Equal(members.Length == 0 ? expected : expected[1..], Short.Operations(Read(forward, members).Description));
    }
}
