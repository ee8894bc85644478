using System.Linq;
using Dho2.Planning;

namespace Dho2.Modeling.Tests;

/// <summary>What cannot be understood is reported at the very place, and what nearly looks like it is not.</summary>
public sealed class ProblemTests
{
    private const string Layers = """
            [Stage(0)] private readonly Linear a = Linear(8, 8);
            [Stage(1)] private readonly Linear b = Linear(8, 4);
        """;

    private const string Makers =
        "public static class Makers { public static ModuleList<Linear> Make(int count) => new(Enumerable.Range(0, count).Select(_ => One()).ToArray()); public static Linear One() => Linear(8, 8); }";

    [Theory]
    [InlineData(ModelProblemKind.StatementNotSliced, "if (x.numel() > 3) { [|return x;|] }\n        return b.forward(a.forward(x));")]
    [InlineData(ModelProblemKind.StatementNotSliced, "x = a.forward(x);\n        [|Tensor f(Tensor y) => b.forward(y);|]\n        return f(x);")]
    [InlineData(ModelProblemKind.StatementNotSliced, "[|using var scope = NewDisposeScope();|]\n        return b.forward(a.forward(x));")]
    [InlineData(ModelProblemKind.StatementNotSliced, "x = [|Hidden.Twice(x)|];\n        return b.forward(a.forward(x));")]
    [InlineData(ModelProblemKind.InstanceMember, "x = a.forward(x) * [|factor|];\n        return b.forward(x);")]
    [InlineData(ModelProblemKind.InstanceMember, "x = [|training|] ? a.forward(x) : x;\n        return b.forward(x);")]
    [InlineData(ModelProblemKind.InstanceMember, "x = [|Twice(x)|];\n        return b.forward(a.forward(x));")]
    [InlineData(ModelProblemKind.InstanceMember, "x = a.forward(x) * [|mask|];\n        return b.forward(x);")]
    [InlineData(ModelProblemKind.InstanceMember, "x = Use([|this|], x);\n        return b.forward(a.forward(x));")]
    [InlineData(ModelProblemKind.InstanceMember, "x = Drop([|drop|], a.forward(x));\n        return b.forward(x);")]
    [InlineData(ModelProblemKind.PartitionDependentRandomness, "x = [|dropout(a.forward(x), 0.2)|];\n        return b.forward(x);")]
    [InlineData(ModelProblemKind.PartitionDependentRandomness, "for (int i = 0; i < 2; i++) x = [|dropout(x)|];\n        return b.forward(a.forward(x));")]
    public void WhatAStageCannotDoIsReportedWhereItStands(ModelProblemKind kind, string forward) => AssertProblem(kind, Source(forward));

    [Theory]
    [InlineData("for (int i = 0; i < 2; i++) { if (i > 0) continue; x = a.forward(x); }\n        return b.forward(x);")]
    [InlineData("Func<Tensor, Tensor> f = t => { return t * 2; };\n        x = f(a.forward(x));\n        return b.forward(x);")]
    [InlineData("using var y = a.forward(x);\n        return b.forward(y);")]
    [InlineData("using (var scope = NewDisposeScope()) { x = a.forward(x).MoveToOuterDisposeScope(); }\n        return b.forward(x);")]
    [InlineData("x = a.forward(x) * known * this.known;\n        return b.forward(x);")]
    [InlineData("x = dropout(a.forward(x), 0.2, training: false);\n        return b.forward(x);")]
    [InlineData("x = drop.forward(drop.call(a.forward(x))) * drop.p;\n        return b.forward(x);")]
    public void WhatAStageCanDoIsNot(string forward) => Assert.Empty(Reading.Read(Source(forward)).Problems);

    [Theory]
    [InlineData(ModelProblemKind.LayerNotCreated, "[Stage(0)] private readonly Linear [|c|];")]
    [InlineData(ModelProblemKind.LayerNotCreated, "[Stage(0)] private readonly Linear [|c|]; public Net() : base(\"net\") { if (Environment.ProcessorCount > 1) c = Linear(1, 2); }")]
    [InlineData(ModelProblemKind.LayerNotCreated, "[Stage(0)] private readonly Linear [|c|]; public Net() : base(\"net\") { var n = Environment.ProcessorCount; c = Linear(1, n); }")]
    [InlineData(ModelProblemKind.LayerNotCreated, "[Stage(0)] private readonly Linear [|c|]; public Net() : base(\"net\") { var n = 1; while (n < 3) n++; c = Linear(n, 4); }")]
    [InlineData(ModelProblemKind.LayerNotCreated, "[Stage(0)] private readonly Linear [|c|]; public Net() : base(\"net\") { c = Linear(1, 2); c = Linear(1, 3); }")]
    [InlineData(ModelProblemKind.LayerNotCreated, "[Stage(0)] private readonly Linear [|c|]; private int size; public Net() : base(\"net\") { c = Linear(1, size); }")]
    [InlineData(ModelProblemKind.LayerNotCreated, "[Stage(0)] private readonly Linear [|c|] = Hidden.Make();")]
    [InlineData(ModelProblemKind.LayerNotCreated, "[Stage(0)] private readonly Dropout [|c|] = Dropout(Environment.ProcessorCount / 10.0);")]
    [InlineData(ModelProblemKind.NestedDropout, "[Stage(0)] private readonly Sequential [|c|] = Sequential(Linear(1, 2), Dropout(0.5));")]
    [InlineData(ModelProblemKind.NestedDropout, "[Stage(0)] private readonly Dropout2d [|c|] = Dropout2d(0.5);")]
    public void WhatAStageCannotCreateIsReportedAtTheMember(ModelProblemKind kind, string members) =>
        AssertProblem(kind, Source("return b.forward(a.forward(x));", members));

    [Theory]
    [InlineData("ModuleList<Linear> c = Makers.Make(2);", "its list is made by 'Makers.Make', and what another class creates cannot be copied under this one's names; make the list in one expression, or in a method of this class")]
    [InlineData("ModuleList<Linear> c = new(new List<Linear>(Makers.Make(2)).ToArray());", "its list is made by 'Makers.Make', and what another class creates cannot be copied under this one's names; make the list in one expression, or in a method of this class")]
    [InlineData("ModuleList<Linear> c = Make(); private static ModuleList<Linear> Make() => new(new Linear[Environment.ProcessorCount]);", "it is not known at compile time which modules it holds; make it from constants: in one expression, in a method of this class, or in the constructor")]
    [InlineData("Linear[] c; public Net() : base(\"net\") { c = [Linear(8, 8)]; RegisterComponents(); }", "TorchSharp does not register the modules in it; make it a ModuleList")]
    public void AListThatAStageCannotCreateIsReportedWithWhatWouldBeRight(string member, string reason)
    {
        PipelineModel model = Reading.Read(ModelSource.Net(Layers + "\n[Stage(0)] private readonly " + member, "return b.forward(a.forward(x));", after: Makers));
        Assert.Equal($"Layer 'c' cannot be created in a stage: {reason}", Assert.Single(model.Problems).Message);
    }

    [Theory]
    [InlineData("ModuleList<Linear> c = Make(2); private static ModuleList<Linear> Make(int count) => new(Enumerable.Range(0, count).Select(_ => Linear(8, 8)).ToArray());")]
    [InlineData("ModuleList<Linear> c = new(Enumerable.Range(0, 2).Select(_ => Makers.One()).ToArray());")]
    public void AListThatAStageCanCreateIsNot(string member) =>
        Assert.Empty(Reading.Read(ModelSource.Net(Layers + "\n[Stage(0)] private readonly " + member, "return b.forward(a.forward(x));", after: Makers)).Problems);

    [Theory]
    [InlineData("[Stage(0)] private readonly Linear c; private readonly int size; public Net() : base(\"net\") { size = 4; var n = size * 2; n++; n = 3; c = Linear(n, size); }")]
    [InlineData("[Stage(0)] private readonly Dropout c = Dropout(Rate); private const double Rate = 1 / 8.0;")]
    [InlineData("private readonly Tensor unused = ones(2);")]
    public void WhatAStageCanCreateIsNot(string members) => Assert.Empty(Reading.Read(Source("return b.forward(a.forward(x));", members)).Problems);

    [Theory]
    [InlineData("[Pipeline]\n[Input(8)]\n[[|Input(4)|]]")]
    [InlineData("[Pipeline]\n[[|Input(8, Name = \"y\")|]]")]
    [InlineData("[Pipeline]\n[[|Input(8, -1)|]]")]
    [InlineData("[Pipeline]\n[[|Input(8, 1.5)|]]")]
    [InlineData("[Pipeline]\n[Target]\n[[|Target(3)|]]")]
    public void AttributesThatDescribeNothingAreReported(string attributes) =>
        AssertProblem(ModelProblemKind.InputMismatch, ModelSource.Net(Layers, "return b.forward(a.forward(x));", attributes));

    [Theory]
    [InlineData("[Pipeline, Device(Memory = [|\"24 GB\"|])]")]
    [InlineData("[Pipeline, Device(Memory = [|\"-1 GiB\"|])]")]
    [InlineData("[Pipeline, Device(Memory = [|\"\"|])]")]
    public void MemoryThatIsNoSizeIsReported(string attributes) =>
        AssertProblem(ModelProblemKind.OptionOutOfRange, ModelSource.Net(Layers, "return b.forward(a.forward(x));", attributes));

    [Fact]
    public void ANumberWhereALayersOwnStageIsMeantIsReported() => AssertProblem(
        ModelProblemKind.OptionOutOfRange,
        ModelSource.Net("[Stage(0), Recompute(1)] private readonly Linear [|a|] = Linear(8, 8);\n[Stage(1), Recompute] private readonly Linear b = Linear(8, 8);", "return b.forward(a.forward(x));"));

    [Theory]
    [InlineData(ModelProblemKind.NotPartial, "public class [|Net|] : Module<Tensor, Tensor>")]
    [InlineData(ModelProblemKind.UnsupportedForm, "public partial class [|Net|]<T> : Module<Tensor, Tensor>")]
    [InlineData(ModelProblemKind.UnsupportedForm, "public abstract partial class [|Net|] : Module<Tensor, Tensor>")]
    [InlineData(ModelProblemKind.UnsupportedForm, "file partial class [|Net|] : Module<Tensor, Tensor>")]
    [InlineData(ModelProblemKind.UnsupportedForm, "public partial class [|Net|](int size) : Module<Tensor, Tensor>(\"net\" + size)")]
    [InlineData(ModelProblemKind.UnsupportedForm, "public partial class [|Net|] : Base")]
    public void FormsThatCannotBePartitionedAreReportedAtTheName(ModelProblemKind kind, string header) =>
        AssertProblem(kind, ModelSource.Net(Layers, "return b.forward(a.forward(x));", header: header, after: "public abstract class Base : Module<Tensor, Tensor> { protected Base() : base(\"base\") { } }"));

    [Theory]
    [InlineData("public Net(int size = 8) : base(\"net\") { } public Net(int size = 8, int classes = 4) : base(\"net\") { }")]
    [InlineData("public Net() : base(\"net\") { } Net();")]
    public void ConstructorsThatNewCannotChooseFromAreReportedAtTheName(string constructors) => AssertProblem(
        ModelProblemKind.UnsupportedForm,
        ModelSource.Net(Layers + "\n" + constructors, "return b.forward(a.forward(x));", header: "public partial class [|Net|] : Module<Tensor, Tensor>"));

    [Theory]
    [InlineData("public Net() : base(\"net\") { } public Net(int size = 8) : base(\"net\") { }")]
    [InlineData("public Net(int size = 8) : base(\"net\") { } public Net(int size, int classes) : base(\"net\") { }")]
    public void ConstructorsThatNewChoosesFromAreNot(string constructors) =>
        Assert.Empty(Reading.Read(ModelSource.Net(Layers + "\n" + constructors, "return b.forward(a.forward(x));")).Problems);

    [Theory]
    [InlineData("private Tensor [|Loss|](Tensor logits, Tensor labels) => logits;")]
    [InlineData("private static double [|Loss|](Tensor logits, Tensor labels) => 0;")]
    [InlineData("private static Tensor [|Loss|]() => ones(1);")]
    [InlineData("private static Tensor [|Loss|](Tensor logits, int label) => logits;")]
    public void ALossThatCannotBeCalledIsReportedAtItsName(string loss) =>
        AssertProblem(ModelProblemKind.LossMissing, ModelSource.Net(Layers, "return b.forward(a.forward(x));", loss: loss));

    [Fact]
    public void ALossMayReturnASumAndItsCount()
    {
        PipelineModel model = Reading.Read(ModelSource.Net(
            Layers,
            "return b.forward(a.forward(x));",
            loss: "private static (Tensor Sum, Tensor Count) Loss(Tensor logits, Tensor labels) => (cross_entropy(logits, labels, reduction: Reduction.Sum), labels.ge(0).count_nonzero());"));
        Assert.Empty(model.Problems);
        Assert.True(model.Class.IsLossCounted);
        Assert.Equal(ClassStatus.Sound, model.Class.Status);
    }

    [Fact]
    public void AMissingLossIsReportedAtTheClass() =>
        AssertProblem(ModelProblemKind.LossMissing, ModelSource.Net(Layers, "return b.forward(a.forward(x));", loss: "", header: "public partial class [|Net|] : Module<Tensor, Tensor>"));

    [Fact]
    public void ACompilersErrorIsLeftToTheCompiler()
    {
        PipelineModel model = Reading.Read(Source("x = a.forward(y);\n        return b.forward(x);"));
        Assert.Empty(model.Problems);
        Assert.Equal(ClassStatus.Broken, model.Class.Status);
    }

    private static string Source(string forward, string members = "") => ModelSource.Net(
        Layers + "\n" + members + """

                [Stage(0)] private readonly Dropout drop = Dropout(0.1);
                private readonly double known = 0.5;
                private double factor = 2;
                private readonly Tensor mask = ones(8);
                private Tensor Twice(Tensor t) => t * factor;
                private static Tensor Use(Module m, Tensor t) => t;
                private static Tensor Drop(Dropout m, Tensor t) => m.forward(t);
            """,
        forward,
        after: "file static class Hidden { public static Tensor Twice(Tensor t) => t * 2; public static Linear Make() => Linear(8, 8); }");

    private static void AssertProblem(ModelProblemKind kind, string marked)
    {
        int start = marked.IndexOf("[|", System.StringComparison.Ordinal);
        string source = marked.Replace("[|", "").Replace("|]", "");
        int end = marked.IndexOf("|]", System.StringComparison.Ordinal) - 2;
        ModelReading reading = Reading.ReadWithTrees(source);
        ModelProblem problem = Assert.Single(reading.Model.Problems);
        Assert.Equal((kind, source[start..end]), (problem.Kind, source.Substring(problem.Span.Start, problem.Span.Length)));
        Assert.Equal(start, reading.LocationOf(problem.Span).SourceSpan.Start);
        Assert.NotEqual(ClassStatus.Sound, problem.Severity == ProblemSeverity.Error ? reading.Model.Class.Status : ClassStatus.Broken);
        Assert.DoesNotContain("{", problem.Message);
        Assert.DoesNotContain("''", problem.Message.Replace("is ''", ""));
    }
}
