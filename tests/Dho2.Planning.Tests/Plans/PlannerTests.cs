using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using CsCheck;
using Dho2.Planning.Tests.Text;

namespace Dho2.Planning.Tests.Plans;

public class PlannerTests
{
    [Fact]
    public void OperationsFollowTheirLayersAndInputs()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int h = m.Operation("Tensor.relu", m.Call(a, x));
        int y = m.Operation("Tensor.relu", m.Call(b, h));

        Plan plan = Plan(m.Return(y));

        Assert.Equal([0, 1], plan.Stages[0].Operations);
        Assert.Equal([2, 3], plan.Stages[1].Operations);
        Assert.Equal([h], plan.Cuts.Single().Values.Select(v => v.Value));
        Assert.Equal([0], plan.Stages[0].Layers);
    }

    [Fact]
    public void ASkipOverSeveralCutsTravelsThroughEach()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int[] layers = Enumerable.Range(0, 4).Select(i => m.Layer("l" + i, i)).ToArray();
        int skip = m.Name("skip", m.Call(layers[0], x));
        int h1 = m.Name("h", m.Call(layers[1], skip));
        int h2 = m.Name("h", m.Call(layers[2], h1));
        int sum = m.Operation("operator +", m.Call(layers[3], h2), skip);

        Plan plan = Plan(m.Return(sum));

        Assert.Equal([skip], plan.Cuts[0].Values.Select(v => v.Value));
        Assert.Equal([skip, h1], plan.Cuts[1].Values.Select(v => v.Value));
        Assert.Equal([skip, h2], plan.Cuts[2].Values.Select(v => v.Value));
        Assert.Equal(["skip", "h"], plan.Cuts[2].Values.Select(v => v.Name));
    }

    [Fact]
    public void InputsAndEarlyResultsTravelToWhereTheyAreNeeded()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int mask = m.Input("mask", DType.Bool, 4);
        int a = m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int early = m.Call(a, x);
        int late = m.Call(b, early, mask);

        Plan plan = Plan(m.Return(early, late));

        Assert.Equal([("mask", false), ("aResult", true)], plan.Cuts[0].Values.Select(v => (v.Name, v.Differentiable)));
        Assert.Equal("(N, 4)", ShapeText.Of(plan.Cuts[0].Values[0].Type!.Shape));
    }

    [Fact]
    public void NamesAreUniqueAndALaterValueKeepsTheVariable()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int first = m.Name("x", m.Call(a, x));
        int second = m.Name("x", m.Call(a, first));
        int y = m.Operation("operator +", m.Call(b, second), first);

        Assert.Equal(["aResult", "x"], Plan(m.Return(m.Operation("operator +", y, second))).Cuts[0].Values.Select(v => v.Name));
    }

    [Fact]
    public void ScalarsMayCrossAndTuplesArePackedWhereTheyAreUsed()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int h = m.Call(a, x);
        int shape = m.Operation("Tensor.shape", "long[]", Argument.OfValue("this", h));
        int n = m.Operation("item", "long", Argument.OfValue("this", shape), Argument.OfInteger("index", 0));
        int pair = m.Operation("tuple", "(global::TorchSharp.torch.Tensor, long)", Argument.OfValue("0", h), Argument.OfValue("1", n));

        Plan plan = Plan(m.Return(m.Call(b, pair)));

        Assert.Equal([(h, ModelBuilder.Tensor, true), (n, "long", false)], plan.Cuts[0].Values.Select(v => (v.Value, v.TypeName, v.Differentiable)));
        Assert.Equal([0, 1, 2], plan.Stages[0].Operations);
    }

    [Fact]
    public void AnArrayOfTensorsCannotCross()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int parts = m.Operation("opaque", ModelBuilder.Tensor + "[]", Argument.OfValue("this", m.Call(a, x)));

        PlanResult result = Planner.Plan(m.Return(m.Call(b, parts)));

        Assert.Null(result.Plan);
        PlanProblem problem = Assert.Single(result.Problems, p => p.Kind == ProblemKind.ValueCannotCross);
        Assert.Equal(new PlanSite(SiteKind.Operation, 1), problem.Site);
    }

    [Fact]
    public void AnOperationMovesWhereFewerBytesCross()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 100);
        m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int wide = m.Operation("Tensor.repeat", ModelBuilder.Tensor, Argument.OfValue("this", x), Integers("sizes", 1, 4));
        int narrow = m.Operation("Tensor.narrow", ModelBuilder.Tensor, Argument.OfValue("this", x), Argument.OfInteger("dim", 1), Argument.OfInteger("start", 0), Argument.OfInteger("length", 10));

        Plan plan = Plan(m.Return(m.Call(b, wide, narrow)));

        // Repeating makes more bytes than it takes; taking a part makes fewer, and the whole crosses anyway.
        Assert.Empty(plan.Stages[0].Operations);
        Assert.Equal([x], plan.Cuts[0].Values.Select(v => v.Value));
    }

    [Fact]
    public void AnOperationJoinsItsStatementWhereNothingIsLost()
    {
        // x = relu(x); then, in one statement, b(x.view(x.shape[0], -1)).
        var m = new ModelBuilder();
        int x = m.Operation("Tensor.relu", m.Input("x", 4, 5));
        m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int shape = m.Operation("Tensor.shape", "long[]", Argument.OfValue("this", x));
        int n = m.Operation("item", "long", Argument.OfValue("this", shape), Argument.OfInteger("index", 0));
        int flat = m.Operation("Tensor.view", ModelBuilder.Tensor, Argument.OfValue("this", x), Argument.OfList("shape", new[] { Argument.OfValue("", n), Argument.OfInteger("", -1) }.ToEquatableArray()));
        ModelDescription model = m.Return(m.Call(b, flat));

        Assert.Equal([flat], Plan(model).Cuts[0].Values.Select(v => v.Value));
        ModelDescription joined = model with { Operations = model.Operations.Select((o, i) => i == 0 ? o : o with { Statement = 4 }).ToEquatableArray() };
        Assert.Equal([x], Plan(joined).Cuts[0].Values.Select(v => v.Value));
    }

    [Fact]
    public void AConstantIsMadeWhereItIsFirstUsed()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int one = m.Operation("constant", ModelBuilder.Tensor);
        int two = m.Operation("operator +", one, one);
        int y = m.Operation("operator +", m.Call(b, m.Call(a, x)), two);
        Assert.Equal([0, 1, 3, 4], Plan(m.Return(y)).Stages[1].Operations);
    }

    [Fact]
    public void AStatementThatCannotBeCutStaysTogether()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 0);
        int b = m.Layer("b", 1);
        int h = m.Call(a, x);
        int unused = m.Call(b, h);
        m.BeginWhole(h, unused);
        int inside = m.Operation("opaque", h);
        int outcome = m.Operation("opaque", inside);
        m.EndWhole();

        Plan plan = Plan(m.Return(outcome));

        Assert.Equal([1, 2, 3], plan.Stages[1].Operations);
    }

    [Fact]
    public void AStatementThatCannotBeCutOverTwoStagesIsAProblemAtTheStatement()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 0);
        int b = m.Layer("b", 1);
        m.BeginWhole(x);
        int y = m.Call(b, m.Call(a, x));
        m.EndWhole();

        PlanProblem problem = Assert.Single(Planner.Plan(m.Return(y)).Problems, p => p.Severity == ProblemSeverity.Error);

        Assert.Equal(new PlanSite(SiteKind.Statement, 0), problem.Site);
        Assert.Contains("'a' on stage 0, 'b' on stage 1", problem.Message);
    }

    [Fact]
    public void ALaterStageThatFeedsAnEarlierOneIsAProblemAtTheOperation()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 1);
        int b = m.Layer("b", 0);

        PlanResult result = Planner.Plan(m.Return(m.Call(b, m.Operation("Tensor.relu", m.Call(a, x)))));

        PlanProblem problem = Assert.Single(result.Problems, p => p.Severity == ProblemSeverity.Error);
        Assert.Null(result.Plan);
        Assert.Equal(ProblemKind.LaterStageFeedsEarlier, problem.Kind);
        Assert.Equal(new PlanSite(SiteKind.Operation, 2), problem.Site);
        Assert.StartsWith("'b' on stage 0 uses the result of 'relu', which is on the later stage 1", problem.Message);
    }

    [Fact]
    public void StageNumbersHaveNoGapsAndEveryLayerHasOne()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        m.Layer("a", 0);
        m.Layer("b", null);
        m.Layer("c", 2);
        m.Layer("d", -3);

        PlanResult result = Planner.Plan(m.Return(x));

        Assert.Equal(
            [(ProblemKind.LayerWithoutStage, 1), (ProblemKind.StageOutOfRange, 3), (ProblemKind.StageGap, 2)],
            result.Problems.Where(p => p.Severity == ProblemSeverity.Error).Select(p => (p.Kind, p.Site.Index)));
        Assert.Contains("Stage 1 has no layer although stage 2 has one ('c')", result.Problems[2].Message);
    }

    [Fact]
    public void WrongNumbersAreNamedAndDoNotTakeThePlanAway()
    {
        var m = new ModelBuilder { Options = new(0, Schedule.GPipe, BaseKind.Adam, 0, -1, 0, new(-1, -1, 0, -1, -1, double.NaN, 0.5, CurvatureScope.Global), new(0, 0, 1.5, AdmmRule.Consensus)) };
        int x = m.Input("x", 4);

        PlanResult result = Planner.Plan(m.Return(m.Call(m.Layer("a", 0), x)), new() { DType = DType.Int64 });

        Assert.NotNull(result.Plan);
        Assert.Equal(
            ["Batch", "MicroBatches", "Replicas", "Device.Memory", "The element type", "Curvature.Rank", "Curvature.Smallest", "Curvature.Every", "Curvature.Warmup", "Curvature.Batch", "Curvature.Alpha", "Curvature.MaxScale", "Admm.Period", "Admm.Sigma"],
            result.Problems.Where(p => p.Kind == ProblemKind.NumberOutOfRange).Select(p => p.Arguments[0]));
        Assert.Single(result.Problems, p => p.Kind == ProblemKind.RelaxationHigh);
    }

    [Fact]
    public void OverridesChangeNumbersAndTheHashButNotTheStructure()
    {
        ModelDescription model = Chain(3);
        Plan plan = Plan(model);
        Plan other = Planner.Plan(model, new() { Batch = 10, MicroBatches = 4, Schedule = Schedule.GPipe, Base = BaseKind.Adam, DType = DType.Float64 }).Plan!;

        Assert.Equal([3, 3, 2, 2], other.MicroBatches);
        Assert.Equal(BaseKind.Adam, other.Options.Base);
        Assert.Equal(ScheduleBuilder.Build(Schedule.GPipe, 3, 4), other.Schedule);
        Assert.Equal(plan.Stages.Select(s => s.Operations), other.Stages.Select(s => s.Operations));
        Assert.NotEqual(plan.Hash, other.Hash);
        Assert.Equal(plan, Planner.Plan(ModelDescriptionText.Parse(ModelDescriptionText.Write(model)), new()).Plan);
    }

    [Fact]
    public void TheHashIsOfTheWholePlan()
    {
        ModelDescription model = Chain(3);
        string hash = Plan(model).Hash;
        Assert.Matches("^[0-9a-f]{64}$", hash);
        Assert.Equal(hash, Plan(model).Hash);
        Assert.NotEqual(hash, Plan(model with { MetadataName = "Other" }).Hash);
        Assert.NotEqual(hash, Plan(model with { Options = model.Options with { Batch = 65 } }).Hash);
        Assert.NotEqual(hash, Plan(model with { Layers = model.Layers.Select(l => l with { CurvatureRank = 3 }).ToEquatableArray() }).Hash);
    }

    [Fact]
    public void AStagesRankIsTheLargestOfItsLayersElseTheCurvatures()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        int a = m.Layer("a", 0, rank: 3);
        m.Layer("b", 0, rank: 20);
        m.Layer("c", 1);
        m.Layer("d", 2, rank: 0);
        ModelDescription model = m.Return(m.Call(a, x));
        PlanOverrides Ranks(CurvatureScope scope) => new() { Curvature = new(10, 0, 400, 400, 0, 0.1, 3, scope) };

        Assert.Equal([0, 0, 0], Plan(model).Stages.Select(s => s.CurvatureRank));
        Assert.Equal([20, 10, 0], Planner.Plan(model, Ranks(CurvatureScope.Stage)).Plan!.Stages.Select(s => s.CurvatureRank));
        Assert.Equal([20, 20, 20], Planner.Plan(model, Ranks(CurvatureScope.Global)).Plan!.Stages.Select(s => s.CurvatureRank));
    }

    [Fact]
    public void OddDescriptionsGiveProblemsAndNoException() =>
        RandomDescriptions.Model.Sample(model => Planner.Plan(model) is { } result && (result.Plan is not null || result.HasErrors));

    [Fact]
    public void RandomGraphsMoveValuesForwardOnly() => RandomGraph.Sample(model =>
    {
        PlanResult result = Planner.Plan(model);
        if (result.Plan is not { } plan)
        {
            Assert.Contains(result.Problems, p => p.Kind is ProblemKind.LaterStageFeedsEarlier or ProblemKind.StageGap);
            return;
        }

        Assert.Equal(Enumerable.Range(0, model.Operations.Count), plan.Stages.SelectMany(s => s.Operations).Order());
        var here = new HashSet<int>(Enumerable.Range(0, model.Inputs.Count));
        foreach (StagePlan stage in plan.Stages)
        {
            foreach (int operation in stage.Operations)
            {
                Assert.All(model.Operations[operation].Arguments, a => Assert.Contains(a.Value, here));
                here.Add(model.Inputs.Count + operation);
            }

            if (stage.Index < plan.Cuts.Count)
            {
                CutPlan cut = plan.Cuts[stage.Index];
                Assert.All(cut.Values, v => Assert.Contains(v.Value, here));
                Assert.Equal(cut.Values.Count, cut.Values.Select(v => v.Name).Distinct().Count());
                here = cut.Values.Select(v => v.Value).ToHashSet();
            }
        }

        Assert.All(model.Results, r => Assert.Contains(r, here));
    });

    [Fact]
    public void CancellationIsHonoured() =>
        Assert.Throws<OperationCanceledException>(() => Planner.Plan(Chain(2), cancellation: new CancellationToken(canceled: true)));

    /// <summary>Models of random operations over random earlier values; layers mostly, but not always, in stage order.</summary>
    private static readonly Gen<ModelDescription> RandomGraph =
        Gen.Select(Gen.Int[1, 4], Gen.Int[1, 12], Gen.Int[0, 1_000_000].Array[40], Gen.Int[0, 9]).Select((stages, count, random, disorder) =>
        {
            var m = new ModelBuilder();
            m.Input("x", 4);
            m.Input("y", 3);
            for (int s = 0; s < stages; s++)
            {
                m.Layer("l" + s, s);
            }

            int Pick(int i, int values) => disorder == 0 ? random[i] % values : Math.Max(0, values - 1 - (random[i] % 4));
            for (int i = 0; i < count; i++)
            {
                int a = Pick(3 * i, 2 + i);
                _ = random[(3 * i) + 1] % 3 == 0
                    ? m.Call(disorder == 0 ? random[(3 * i) + 2] % stages : i * stages / count, a)
                    : m.Operation("f", a, Pick((3 * i) + 2, 2 + i));
            }

            return m.Return(1 + count, random[39] % (2 + count));
        });

    private static Argument Integers(string name, params long[] values) =>
        Argument.OfList(name, values.Select(v => Argument.OfInteger("", v)).ToEquatableArray());

    private static ModelDescription Chain(int stages)
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 4);
        for (int s = 0; s < stages; s++)
        {
            x = m.Call(m.Layer("l" + s, s), x);
        }

        return m.Return(x);
    }

    private static Plan Plan(ModelDescription model)
    {
        PlanResult result = Planner.Plan(model);
        Assert.False(result.HasErrors, string.Join("\n", result.Problems.Select(p => p.Message)));
        return result.Plan!;
    }
}
