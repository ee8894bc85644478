using System.Linq;
using Dho2.Data;
using Dho2.Pipelines;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Generators.Tests;

/// <summary>Shared parameters and values of many kinds train as in the unsplit model.</summary>
public sealed class SharedModelTests
{
    public static TheoryData<string> Names => new(SharedModels.Tied.Keys);

    [Theory]
    [MemberData(nameof(Names))]
    public void TiedParametersTrainAsOne(string name)
    {
        (string source, long parameters) = SharedModels.Tied[name];
        PipelineDefinition definition = new StageChain(Generation.Clean(source)).Definition;
        Plan plan = Planner.Plan(ModelDescriptionText.Parse(definition.DescriptionText)).Plan!;
        Assert.Equal(parameters, plan.Stages.Sum(stage => stage.Parameters!.Value.Sum(p => p.Count)));
        Assert.NotEmpty(definition.Ties);
        Assert.Equal(plan.Ties.Where(tie => tie.Mirrors.Count > 0).Select(tie => tie.Name), definition.Ties.Select(tie => tie.Name));
        using DisposeScope scope = NewDisposeScope();
        using var data = new TensorDataset(arange(8 * 5, dtype: int64).mul(7).remainder(11).view(8, 5), arange(8 * 5, dtype: int64).mul(3).remainder(11).view(8, 5));
        TrainingParity.Check(definition, data, batch: 4, microBatches: 2);
    }

    [Fact]
    public void InputsMasksIntegersShapesAndNumbersCrossTheCuts()
    {
        PipelineDefinition definition = new StageChain(Generation.Clean(SharedModels.ManyInputs)).Definition;
        Plan plan = Planner.Plan(ModelDescriptionText.Parse(definition.DescriptionText)).Plan!;
        Assert.Equal(4, plan.Stages.Count);
        Assert.All(plan.Cuts.SelectMany(cut => cut.Values), value => Assert.True(value.Type is not null || value.Name == "pooled" || CutScalars.Contains(value.TypeName), value.Name));
        Assert.Contains(plan.Cuts[0].Values, value => value is { Name: "mask", Type.DType: DType.Bool, Differentiable: false });
        Assert.Contains(plan.Cuts[0].Values, value => value is { Name: "ids", Type.DType: DType.Int64, Differentiable: false });
        using DisposeScope scope = NewDisposeScope();
        using var data = new TensorDataset(
            [
                linspace(0, 30, 8 * 5 * 4, float64).sin().view(8, 5, 4),
                arange(8 * 5, dtype: int64).mul(3).remainder(5).view(8, 5),
                arange(8 * 5, dtype: int64).remainder(3).eq(0).view(8, 5),
            ],
            [arange(8, dtype: int64).remainder(3)]);
        TrainingParity.Check(definition, data, batch: 4, microBatches: 2);
    }
}
