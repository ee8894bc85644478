using System;
using System.Linq;
using CsCheck;

namespace Dho2.Planning.Tests.Memory;

public class MemoryTests
{
    private const long Float = sizeof(float);

    /// <summary>A chain of two linear layers with relu between them, worked out by hand.</summary>
    [Fact]
    public void TheTermsOfAPerceptron()
    {
        Plan plan = Plan(new() { Base = BaseKind.Adam, Batch = 32, MicroBatches = 4, Schedule = Schedule.GPipe });
        long n0 = (10 * 20) + 20;
        long n1 = (20 * 5) + 5;

        Assert.Equal([n0 * Float, n1 * Float], Terms(plan, MemoryKind.Parameters));
        Assert.Equal([n0 * Float, n1 * Float], Terms(plan, MemoryKind.Gradients));
        Assert.Equal([2 * n0 * Float, 2 * n1 * Float], Terms(plan, MemoryKind.Optimizer));

        // Stage 0 keeps relu's result, which crosses as well: its input lies in the batch. Stage 1 keeps what came in and the
        // loss's log-softmax.
        Assert.Equal([4 * 8 * 20 * Float, 4 * 8 * (20 + 5) * Float], Terms(plan, MemoryKind.Activations));

        // The first layer's own result dies with the forward; the gradients at the result are larger on stage 0.
        Assert.Equal([2 * 8 * 20 * Float, 2 * 8 * 5 * Float], Terms(plan, MemoryKind.Temporary));
        Assert.Equal([(32 * 10 * Float) + (8 * 20 * Float), (32 * sizeof(long)) + (8 * 20 * Float)], Terms(plan, MemoryKind.Boundary));
        Assert.DoesNotContain(plan.Stages[0].Memory, t => t.Kind is MemoryKind.Admm or MemoryKind.Curvature or MemoryKind.Basis or MemoryKind.Graphs or MemoryKind.Copy);
    }

    /// <summary>What is computed has two bytes, what is trained four: parameters and gradients are there in both.</summary>
    [Fact]
    public void TheTermsOfAPerceptronInBfloat16()
    {
        PlanOverrides overrides = new()
        {
            Base = BaseKind.Adam,
            Batch = 32,
            MicroBatches = 4,
            Schedule = Schedule.GPipe,
            Replicas = 2,
            Curvature = new(3, 1, 400, 400, 0, 0.1, 3, CurvatureScope.Global),
            Admm = new(16, 0.1, 1, AdmmRule.Consensus),
        };
        Plan single = Plan(overrides);
        Plan plan = Plan(overrides with { DType = DType.BFloat16 });
        const long Two = sizeof(short);
        long[] n = [220, 105];

        Assert.Equal(n.Select(x => x * (Float + Two)), Terms(plan, MemoryKind.Parameters));
        Assert.Equal(n.Select(x => x * (Float + Two)), Terms(plan, MemoryKind.Gradients));
        foreach (MemoryKind kind in new[] { MemoryKind.Optimizer, MemoryKind.Curvature, MemoryKind.Basis, MemoryKind.Graphs, MemoryKind.Copy, MemoryKind.Admm })
        {
            Assert.Equal(Terms(single, kind), Terms(plan, kind));
        }

        // Stage 0 also keeps the rounded inputs, which lie beside the batch; the loss's log-softmax is float32.
        Assert.Equal([4 * 8 * (20 + 10) * Two, 4 * 8 * ((20 * Two) + (5 * Float))], Terms(plan, MemoryKind.Activations));

        // The scores, what the loss takes in their place, and the loss die with the forward.
        Assert.Equal([2 * 8 * 20 * Two, (8 * 5 * (Two + Float)) + Float], Terms(plan, MemoryKind.Temporary));
        Assert.Equal([(32 * 10 * Float) + (8 * 20 * Two), (32 * sizeof(long)) + (8 * 20 * Two)], Terms(plan, MemoryKind.Boundary));
    }

    [Fact]
    public void OneForwardOneBackwardKeepsFewerMicroBatchesOnLaterStages()
    {
        Plan gpipe = Plan(new() { Batch = 32, MicroBatches = 8, Schedule = Schedule.GPipe });
        Plan alternating = Plan(new() { Batch = 32, MicroBatches = 8 });

        Assert.Equal(Terms(gpipe, MemoryKind.Activations)[0] / 8 * 2, Terms(alternating, MemoryKind.Activations)[0]);
        Assert.Equal(Terms(gpipe, MemoryKind.Activations)[1] / 8, Terms(alternating, MemoryKind.Activations)[1]);
    }

    /// <summary>The perceptron of <see cref="TheTermsOfAPerceptron"/>, whose stages keep only what came in.</summary>
    [Fact]
    public void WhereActivationsAreRecomputedOneMicroBatchHasThem()
    {
        PlanOverrides kept = new() { Batch = 32, MicroBatches = 4, Schedule = Schedule.GPipe };
        Plan plan = Plan(kept with { Recompute = RecomputeOptions.Everywhere });

        // What comes in to stage 0 lies in the batch.
        Assert.All(plan.Stages, stage => Assert.True(stage.Recomputes));
        Assert.Equal([0, 4 * 8 * 20 * Float], Terms(plan, MemoryKind.SavedInputs));
        Assert.Equal([8 * 20 * Float, 8 * 5 * Float], Terms(plan, MemoryKind.Activations));
        Assert.Equal(Terms(Plan(kept), MemoryKind.Temporary), Terms(plan, MemoryKind.Temporary));
        Assert.True(plan.Stages[1].KnownBytes < Plan(kept).Stages[1].KnownBytes);

        Plan second = Plan(kept with { Recompute = RecomputeOptions.Of(1) });
        Assert.Equal([false, true], second.Stages.Select(stage => stage.Recomputes));
        Assert.Equal(Plan(kept).Stages[0].Memory, second.Stages[0].Memory);
        Assert.Equal(plan.Stages[1].Memory, second.Stages[1].Memory);
    }

    /// <summary>What works in place leaves to the second forward what came in; the statistics of a batch norm are put back after it.</summary>
    [Theory]
    [InlineData("ReLU", true, 8 * 20 * Float)]
    [InlineData("ReLU", false, 0)]
    [InlineData("BatchNorm1d", false, (2 * 20 * Float) + sizeof(long))]
    public void TwoForwardsNeedCopiesOfWhatTheyChange(string kind, bool inPlace, long expected)
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 10);
        int a = m.Layer("a", 0, "Linear", null, Argument.OfInteger("inputSize", 10), Argument.OfInteger("outputSize", 20));
        int b = m.Layer("b", 1, kind, null, kind == "ReLU" ? Argument.OfBoolean("inplace", inPlace) : Argument.OfInteger("num_features", 20));
        int c = m.Layer("c", 1, "Linear", null, Argument.OfInteger("inputSize", 20), Argument.OfInteger("outputSize", 5));
        ModelDescription model = WithLoss(m.Return(m.Call(c, m.Call(b, m.Call(a, x)))));
        PlanOverrides kept = new() { Batch = 32, MicroBatches = 4, Schedule = Schedule.GPipe };
        long without = Temporary(kept);
        Assert.Equal(expected, Temporary(kept with { Recompute = RecomputeOptions.Of(1) }) - without);

        long Temporary(PlanOverrides overrides) =>
            Planner.Plan(model, overrides).Plan!.Stages[1].Memory.Single(t => t.Kind == MemoryKind.Temporary).Bytes!.Value;
    }

    /// <summary>With one micro-batch in flight its activations are there in any case.</summary>
    [Fact]
    public void ActivationsAreNotRecomputedWhereThatSavesNothing()
    {
        PlanOverrides overrides = new() { MicroBatches = 4, Recompute = RecomputeOptions.Everywhere };
        Assert.Equal([true, false], Plan(overrides).Stages.Select(stage => stage.Recomputes));
        Assert.Equal([false, false], Plan(overrides with { MicroBatches = 1 }).Stages.Select(stage => stage.Recomputes));
        Assert.Equal([true, true], Plan(overrides with { MicroBatches = 1, Schedule = Schedule.Interleaved }).Stages.Select(stage => stage.Recomputes));
    }

    [Fact]
    public void ALayersMarkHoldsForItsStageUnlessARunSaysOtherwise()
    {
        ModelDescription model = Perceptron();
        model = model with { Layers = model.Layers.Select((layer, i) => layer with { Recomputes = i == 1 }).ToEquatableArray() };
        PlanOverrides gpipe = new() { Schedule = Schedule.GPipe };
        Assert.Equal([false, true], Planner.Plan(model, gpipe).Plan!.Stages.Select(stage => stage.Recomputes));
        Assert.Equal([false, false], Planner.Plan(model, gpipe with { Recompute = RecomputeOptions.None }).Plan!.Stages.Select(stage => stage.Recomputes));
        Assert.Equal([true, false], Planner.Plan(model, gpipe with { Recompute = RecomputeOptions.Of(0) }).Plan!.Stages.Select(stage => stage.Recomputes));
        Assert.NotEqual(Planner.Plan(model, gpipe).Plan!.Hash, Planner.Plan(Perceptron(), gpipe).Plan!.Hash);
    }

    [Fact]
    public void AStageThatThereIsNotCannotRecompute()
    {
        PlanProblem problem = Assert.Single(Planner.Plan(Perceptron(), new() { Recompute = RecomputeOptions.Of(1, 2) }).Problems, p => p.Kind == ProblemKind.NumberOutOfRange);
        Assert.Equal(["Recompute", "2", "from 0 to 1, as there are 2 stages"], problem.Arguments);
    }

    [Fact]
    public void CurvatureKeepsItsVectorsAndAnEstimateABasis()
    {
        var curvature = new CurvatureOptions(3, 1, 400, 400, 0, 0.1, 3, CurvatureScope.Global);
        Plan plan = Plan(new() { Batch = 32, MicroBatches = 4, Curvature = curvature });
        long[] n = [220, 105];
        long order = 16;
        long activations0 = 32 * 20 * Float;
        long activations1 = 32 * (20 + 5) * Float;

        Assert.Equal(n.Select(x => (3 + 1 + 1) * x * Float), Terms(plan, MemoryKind.Curvature));

        // Basis and a work row; the new vectors; the twin and its product.
        Assert.Equal(n.Select(x => x * Float * (order + 1 + 4)), Terms(plan, MemoryKind.Basis));
        Assert.Equal(n.Select(x => x * Float * 2), Terms(plan, MemoryKind.Copy));

        // The graphs of both sweeps, with the gradients at the cut, at the last layer's result, at the loss's input and, for each
        // of four micro-batches, of the parameters; the first layer's own is needed by no data. Before the last stage the tangents of two micro-batches of four, on it
        // the cut's of one. A sweep holds, of one micro-batch, two gradients around an operation and derivatives of what others
        // kept: on stage 0 of relu's result at the first layer; on stage 1 of what came in at the log-softmax, whose formula has
        // three results beside its two gradients, and two of the loss itself. The parameters' derivatives wait as well.
        long cut = 32 * 20 * Float;
        long sweep0 = (activations0 / 4) + (2 * 8 * 20 * Float) + (n[0] * Float);
        long sweep1 = (8 * (20 + (5 * 5)) * Float) + (2 * Float) + (n[1] * Float);
        Assert.Equal(
            [
                activations0 + cut + (4 * n[0] * Float) + (activations0 / 2) + sweep0,
                activations1 + (2 * 32 * 5 * Float) + cut + (4 * n[1] * Float) + (cut / 4) + sweep1,
            ],
            Terms(plan, MemoryKind.Graphs));
    }

    [Theory]
    [InlineData("Tanh", true)]
    [InlineData("LayerNorm", false)]
    [InlineData("Unheard", false)]
    public void TangentsAreReusedBeforeTheLastStageWhereThirdDerivativesAreKnown(string kind, bool expected)
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 10);
        int a = m.Layer("a", 0, kind, null, Argument.OfInteger("normalized_shape", 10));
        int b = m.Layer("b", 1, "Linear", null, Argument.OfInteger("inputSize", 10), Argument.OfInteger("outputSize", 5));
        var curvature = new CurvatureOptions(3, 1, 400, 400, 0, 0.1, 3, CurvatureScope.Global);
        Plan plan = Planner.Plan(m.Return(m.Call(b, m.Call(a, x))), new() { Batch = 32, Curvature = curvature }).Plan!;
        Assert.Equal([expected, false], plan.Curvature!.Stages.Select(s => s.ReusesTangents));
    }

    [Fact]
    public void AStageWithoutARankOnlyLendsItsSweeps()
    {
        var curvature = new CurvatureOptions(3, 0, 400, 400, 0, 0.1, 3, CurvatureScope.Stage);
        ModelDescription model = Perceptron();
        model = model with { Layers = model.Layers.Select(l => l.Name == "b" ? l with { CurvatureRank = 0 } : l).ToEquatableArray() };
        Plan plan = Planner.Plan(model, new() { Curvature = curvature }).Plan!;

        Assert.Equal(0, Terms(plan, MemoryKind.Curvature)[1]);
        Assert.Equal(2 * 105 * Float, Terms(plan, MemoryKind.Basis)[1]);
        Assert.True(Terms(plan, MemoryKind.Graphs)[1] > 0);
        Assert.True(Terms(plan, MemoryKind.Curvature)[0] > 0);
    }

    [Fact]
    public void GraphsAreBuiltAnewForEveryProductWhereAllOfThemDoNotFit()
    {
        var curvature = new CurvatureOptions(3, 1, 400, 400, 0, 0.1, 3, CurvatureScope.Global);
        PlanOverrides overrides = new() { Batch = 2048, MicroBatches = 16, Curvature = curvature };
        Plan roomy = Plan(overrides);
        Assert.True(roomy.Curvature!.RetainsGraphs);

        // Two stages hold the graphs of two micro-batches at a time instead of sixteen.
        long graphs = (2048 * 20 * 2 * Float) + (16 * 220 * Float);
        long saved = graphs - (graphs * 2 / 16);
        Plan tight = Plan(overrides with { DeviceMemory = roomy.Stages.Max(s => s.KnownBytes) - 1 });
        Assert.False(tight.Curvature!.RetainsGraphs);
        Assert.Equal(Terms(roomy, MemoryKind.Graphs)[0] - saved, Terms(tight, MemoryKind.Graphs)[0]);
        Assert.NotEqual(Plan(overrides).Hash, tight.Hash);
    }

    [Fact]
    public void EstimatesBesideTrainingAddToItsPeak()
    {
        var curvature = new CurvatureOptions(3, 1, 400, 400, 0, 0.1, 3, CurvatureScope.Global);
        PlanOverrides overrides = new() { Batch = 32, MicroBatches = 4, Curvature = curvature };
        StagePlan amortized = Plan(overrides with { Curvature = curvature with { Mode = CurvatureMode.Amortized } }).Stages[0];
        Assert.Equal(amortized.Memory.Sum(t => t.Bytes), amortized.PeakBytes);
        Assert.Null(amortized.DedicatedBytes);

        // A worker sends its parameters and keeps new vectors beside the old ones; the other rank has what blocking
        // estimates take, the vectors, and the graphs of both replicas.
        Plan blocking = Plan(overrides);
        Plan dedicated = Plan(overrides with { Replicas = 2, Curvature = curvature with { Mode = CurvatureMode.Dedicated } });
        long vector = 220 * Float;
        Assert.Equal(4 * vector, Terms(dedicated, MemoryKind.Basis)[0]);
        Assert.Equal(vector, Terms(dedicated, MemoryKind.Copy)[0]);
        long estimate = Terms(blocking, MemoryKind.Basis)[0] + Terms(blocking, MemoryKind.Graphs)[0] + Terms(blocking, MemoryKind.Copy)[0];
        Assert.Equal(estimate + (4 * vector) + (32 * 20 * 2 * Float) + (4 * vector), dedicated.Stages[0].DedicatedBytes);
    }

    [Theory]
    [InlineData(1, 0, 0, 35)]
    [InlineData(2, 0, 0, 68)]
    [InlineData(1, 64, 0, 68)]
    [InlineData(1, 0, 7, 7)]
    public void TheDelayOfDedicatedRanksFollowsFromTheCosts(int replicas, int batch, int stated, int expected)
    {
        // 16 products of two gradients, one and a half for the graphs, and one step more.
        var curvature = new CurvatureOptions(3, 1, 400, 400, batch, 0.1, 3, CurvatureScope.Global, Mode: CurvatureMode.Dedicated, Delay: stated);
        Plan plan = Plan(new() { Batch = 32, MicroBatches = 4, Replicas = replicas, Curvature = curvature });
        Assert.Equal(expected, plan.Curvature!.Delay);
        Assert.Equal(16, plan.Curvature.Stages[0].Order);
        Assert.Equal(6 * plan.Stages.Sum(s => s.ForwardOperations) * (batch == 0 ? 1 : 2), plan.Curvature.Stages[0].ProductOperations);
        Assert.Equal(0, Plan(new() { Curvature = curvature with { Mode = CurvatureMode.Amortized } }).Curvature!.Delay);
    }

    [Fact]
    public void ReplicasUnderAdmmKeepTwoVectorsMore()
    {
        var admm = new AdmmOptions(16, 0.1, 1, AdmmRule.Consensus);
        Assert.Equal([220 * 2 * Float, 105 * 2 * Float], Terms(Plan(new() { Admm = admm, Replicas = 2 }), MemoryKind.Admm));
        Assert.Empty(Terms(Plan(new() { Admm = admm }), MemoryKind.Admm));
    }

    [Fact]
    public void DoublePrecisionDoublesWhatTheModelOwns()
    {
        Plan single = Plan(new());
        Plan twice = Plan(new() { DType = DType.Float64 });
        foreach (MemoryKind kind in new[] { MemoryKind.Parameters, MemoryKind.Gradients, MemoryKind.Optimizer, MemoryKind.Activations, MemoryKind.Temporary })
        {
            Assert.Equal(Terms(single, kind).Select(b => 2 * b), Terms(twice, kind));
        }
    }

    [Fact]
    public void WhatIsUnknownStaysUnknownAndTheRestIsALowerBound()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 10);
        int a = m.Layer("a", 0, "Linear", null, Argument.OfInteger("inputSize", 10), Argument.OfInteger("outputSize", 20));
        int odd = m.Layer("odd", 1);
        Plan plan = Planner.Plan(m.Return(m.Call(odd, m.Call(a, x)))).Plan!;

        Assert.NotNull(plan.Stages[0].PeakBytes);
        Assert.Null(plan.Stages[1].PeakBytes);
        Assert.Null(plan.Stages[1].Memory.Single(t => t.Kind == MemoryKind.Parameters).Bytes);
        Assert.Equal(64 / 8 * 20 * Float, plan.Stages[1].KnownBytes);
    }

    [Fact]
    public void ThePeakTakesTheLargerOfStepAndEstimate()
    {
        StagePlan stage = Plan(new() { Curvature = new CurvatureOptions(3, 0, 400, 400, 0, 0.1, 3, CurvatureScope.Global) }).Stages[0];
        long Bytes(MemoryKind kind) => stage.Memory.Single(t => t.Kind == kind).Bytes!.Value;
        long lasting = Bytes(MemoryKind.Parameters) + Bytes(MemoryKind.Gradients) + Bytes(MemoryKind.Optimizer) + Bytes(MemoryKind.Curvature) + Bytes(MemoryKind.Copy) + Bytes(MemoryKind.Boundary);
        Assert.Equal(lasting + Math.Max(Bytes(MemoryKind.Basis) + Bytes(MemoryKind.Graphs), Bytes(MemoryKind.Activations) + Bytes(MemoryKind.Temporary)), stage.PeakBytes);
    }

    /// <summary>The runtime runs estimates to the smallest whole number that is at least 2 ln n.</summary>
    [Fact]
    public void TheOrderOfEstimatesIsTheRuntimes() => Gen.OneOf(Gen.Long[1, 10_000], Gen.Long[1, 100_000_000_000]).Sample(size =>
        LanczosOrder.LeastFor(size) == (int)Math.Ceiling(2 * Math.Log(size)));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1 KiB")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(3_328_599_654, "3.1 GiB")]
    [InlineData(123_456_789, "118 MiB")]
    [InlineData(long.MaxValue, "8 EiB")]
    public void BytesReadWell(long bytes, string expected) => Assert.Equal(expected, PlanReport.FormatBytes(bytes));

    [Fact]
    public void TheReportHasARowForEachStage()
    {
        ModelDescription model = Perceptron();
        PlanReport report = PlanReport.Of(Plan(new() { MicroBatches = 3 }), model);

        Assert.Equal([["a"], ["b"]], report.Stages.Select(s => s.Layers.ToArray()));
        Assert.Equal([220, 105], report.Stages.Select(s => s.Parameters!.Value));
        Assert.Equal(["relu: float32 (N, 20)"], report.Stages[0].SentOn.Select(s => s.Replace("reluResult", "relu")));
        Assert.Empty(report.Stages[1].SentOn);
        Assert.Equal(250_000, report.BubblePartsPerMillion);
    }

    private static long[] Terms(Plan plan, MemoryKind kind) =>
        plan.Stages.SelectMany(s => s.Memory).Where(t => t.Kind == kind).Select(t => t.Bytes!.Value).ToArray();

    private static Plan Plan(PlanOverrides overrides)
    {
        PlanResult result = Planner.Plan(Perceptron(), overrides);
        Assert.False(result.HasErrors, string.Join("; ", result.Problems.Select(p => p.Message)));
        return result.Plan!;
    }

    private static ModelDescription Perceptron()
    {
        var m = new ModelBuilder();
        int x = m.Input("x", 10);
        int a = m.Layer("a", 0, "Linear", null, Argument.OfInteger("inputSize", 10), Argument.OfInteger("outputSize", 20));
        int b = m.Layer("b", 1, "Linear", null, Argument.OfInteger("inputSize", 20), Argument.OfInteger("outputSize", 5));
        int h = m.Operation("Tensor.relu", m.Call(a, x));
        return WithLoss(m.Return(m.Call(b, h)));
    }

    private static ModelDescription WithLoss(ModelDescription model) => model with
    {
        Targets = new[] { new InputDescription("labels", EquatableArray<DimensionDescription>.Empty, DType.Int64) }.ToEquatableArray(),
        Loss = CrossEntropy(),
    };

    private static ModuleBody CrossEntropy()
    {
        EquatableArray<Argument> arguments = new[] { Argument.OfValue("input", 0), Argument.OfValue("target", 1) }.ToEquatableArray();
        var operation = new Operation("TorchSharp.torch.nn.functional.cross_entropy", arguments, -1, -1, ModelBuilder.Tensor);
        return new(2, default, new[] { operation }.ToEquatableArray(), new[] { 2 }.ToEquatableArray());
    }
}
