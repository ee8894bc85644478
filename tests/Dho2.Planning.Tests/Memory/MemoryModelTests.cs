using System.Collections.Generic;
using System.Linq;

namespace Dho2.Planning.Tests.Memory;

public class MemoryModelTests
{
    // Linear(10, 20), relu | Linear(20, 5): 220 and 105 parameters, 64 samples in 8 micro-batches of 8.
    private const int Float = 4;

    [Fact]
    public void ParametersGradientsAndStateFollowTheParameterCount()
    {
        Dictionary<MemoryKind, long?> first = MemoryOf(Model(BaseKind.Adam), 0);

        Assert.Equal(220 * Float, first[MemoryKind.Parameters]);
        Assert.Equal(220 * Float, first[MemoryKind.Gradients]);
        Assert.Equal(2 * 220 * Float, first[MemoryKind.Optimizer]);
        Assert.Equal(0, MemoryOf(Model(BaseKind.Sgd), 0)[MemoryKind.Optimizer]);
        Assert.Equal(105 * Float, MemoryOf(Model(BaseKind.HeavyBall), 1)[MemoryKind.Optimizer]);
        Assert.DoesNotContain(MemoryKind.Curvature, first.Keys);
        Assert.DoesNotContain(MemoryKind.Admm, first.Keys);
    }

    [Theory]
    [InlineData(Schedule.OneForwardOneBackward, 2)]
    [InlineData(Schedule.GPipe, 8)]
    public void ActivationsAreWhatIsSavedTimesWhatIsInFlight(Schedule schedule, int inFlight)
    {
        // The input for Linear, the result for relu; the latter is also what crosses the cut, and counts once.
        long perMicroBatch = 8 * (10 + 20) * Float;

        Assert.Equal(inFlight * perMicroBatch, MemoryOf(Model(BaseKind.Sgd, schedule), 0)[MemoryKind.Activations]);
    }

    [Fact]
    public void WhatDependsOnALossThatIsNotKnownIsUnknown()
    {
        Dictionary<MemoryKind, long?> last = MemoryOf(Model(BaseKind.Sgd), 1);

        Assert.Null(last[MemoryKind.Activations]);
        Assert.Equal(105 * Float, last[MemoryKind.Parameters]);
    }

    [Fact]
    public void CurvatureKeepsItsVectorsAndPaysForAnEstimate()
    {
        ModelDescription model = Model(BaseKind.HeavyBall);
        model = model with { Options = model.Options with { Curvature = new(2, 1, 100, 100, 0, 0.1, 3, CurvatureScope.Stage) } };

        Dictionary<MemoryKind, long?> first = MemoryOf(model, 0);

        // Three vectors and the rest of the momentum.
        Assert.Equal(4 * 220 * Float, first[MemoryKind.Curvature]);

        // A twin with gradients, three new vectors, twelve basis vectors (more than 2 ln 220) and a work vector, and at
        // least the graphs that a first backward needs, for all samples at once.
        long owned = (2 + 3 + 12 + 1) * 220 * Float;
        long graphs = 64 * (10 + 20) * Float;
        Assert.InRange(first[MemoryKind.Estimate]!.Value, owned + graphs, owned + (4 * graphs));
    }

    [Fact]
    public void AdmmKeepsConsensusAndDual()
    {
        ModelDescription model = Model(BaseKind.HeavyBall);
        model = model with { Options = model.Options with { Replicas = 2, Admm = new(16, 0.1, 1, AdmmRule.Consensus) } };

        Assert.Equal(2 * 220 * Float, MemoryOf(model, 0)[MemoryKind.Admm]);
    }

    [Fact]
    public void WiderElementsTakeTwice()
    {
        Plan plan = Planner.Plan(Model(BaseKind.HeavyBall), new PlanOverrides { DType = DType.Float64 }).Plan!;

        Assert.Equal(220 * 8, plan.Stages[0].Memory.Single(t => t.Kind == MemoryKind.Parameters).Bytes);
    }

    private static ModelDescription Model(BaseKind kind, Schedule schedule = Schedule.OneForwardOneBackward)
    {
        var m = new ModelBuilder();
        m.Options = m.Options with { Base = kind, Schedule = schedule };
        int x = m.Input("x", 10);
        int first = Linear(m, "first", 0, 10, 20);
        int second = Linear(m, "second", 1, 20, 5);
        return m.Return(m.Call(second, m.Operation("Tensor.relu", m.Call(first, x))));
    }

    private static int Linear(ModelBuilder m, string name, int stage, long inputs, long outputs) => m.Layer(
        name, stage, "Linear", null, Argument.OfInteger("inputSize", inputs), Argument.OfInteger("outputSize", outputs), Argument.OfBoolean("hasBias", true));

    private static Dictionary<MemoryKind, long?> MemoryOf(ModelDescription model, int stage) =>
        Planner.Plan(model).Plan!.Stages[stage].Memory.ToDictionary(t => t.Kind, t => t.Bytes);
}
