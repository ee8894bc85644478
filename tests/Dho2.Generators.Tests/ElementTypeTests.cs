using System.Linq;
using Dho2.Modeling.Tests;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Generators.Tests;

/// <summary>A model whose attribute asks for bfloat16 is the one that an override makes of it.</summary>
[Collection(nameof(TrainingParityTests))]
public sealed class ElementTypeTests
{
    [Fact]
    public void TheAttributeAndTheOverrideAreTheSame()
    {
        using DisposeScope scope = NewDisposeScope();
        PipelineDefinition attribute = Define(", DType = DType.BFloat16"), plain = Define("");
        Assert.NotEqual(plain.PlanHash, attribute.PlanHash);
        (double[] fromAttribute, Plan plan) = Train(attribute, new());
        (double[] fromOverride, Plan other) = Train(plain, new() { DType = DType.BFloat16 });
        Assert.Equal(fromOverride, fromAttribute);
        Assert.Equal(other.Stages, plan.Stages);
        Assert.Equal(DType.BFloat16, Assert.Single(Assert.Single(plan.Cuts).Values).Type!.DType);

        // And an override leads back.
        Assert.Equal(Train(plain, new()).Losses, Train(attribute, new() { DType = DType.Float32 }).Losses);
    }

    private static PipelineDefinition Define(string more) => new StageChain(Generation.Clean(ModelSource.Net(
        layers: """
                [Stage(0)] private readonly Linear inner = Linear(6, 10);
                [Stage(0)] private readonly BatchNorm1d norm = BatchNorm1d(10);
                [Stage(1)] private readonly Linear head = Linear(10, 3);
            """,
        forward: "return head.forward(tanh(norm.forward(inner.forward(x))));",
        attributes: $"[Pipeline(MicroBatches = 2{more})]\n[Input(6, Batch = 8)]\n[Target]"))).Definition;

    private static (double[] Losses, Plan Plan) Train(PipelineDefinition definition, PlanOverrides overrides)
    {
        using var world = World.Join();
        using var trainer = new Trainer(definition, world, new TrainingOptions { LearningRate = 0.1, Overrides = overrides });
        var batch = new Batch([linspace(0, 9, 48).sin().view(8, 6)], [arange(8, dtype: int64).remainder(3)]);
        return ([.. Enumerable.Range(0, 4).Select(_ => trainer.TrainStep(batch).Loss)], trainer.Plan);
    }
}
