using System.Linq;
using Dho2.Data;
using Dho2.Planning;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Generators.Tests;

/// <summary>Models of many layers, split over four stages: modeled, planned, generated, compiled, and trained as the unsplit model.</summary>
public sealed class LargeModelTests
{
    [Fact]
    public void AResNetOf110LayersTrainsOverFourStages()
    {
        var chain = new StageChain(Generation.Clean(LargeModels.ResNet110));
        ModelDescription model = ModelDescriptionText.Parse(chain.Definition.DescriptionText);
        Plan plan = Planner.Plan(model).Plan!;
        Assert.Equal(54, model.Layers.Count(layer => layer.Name.StartsWith("blocks.", System.StringComparison.Ordinal)));
        Assert.Equal(4, plan.Stages.Count);
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal(
            chain.Definition.Unsplit(1).named_parameters().Select(p => $"{p.name} {string.Join("x", p.parameter.shape)}").Order(),
            plan.Stages.SelectMany(stage => stage.Parameters!.Value).Select(p => $"{p.Name} {string.Join("x", p.Shape)}").Order());
        using var data = new TensorDataset(linspace(0, 40, 8 * 3 * 8 * 8, float64).sin().view(8, 3, 8, 8), arange(8, dtype: int64).remainder(10));
        TrainingParity.Check(chain.Definition, data, batch: 4, microBatches: 2);
    }

    [Theory]
    [MemberData(nameof(Gpts))]
    public void AGptOfTwelveBlocksTrainsOverFourStages(string source)
    {
        var chain = new StageChain(Generation.Clean(source));
        ModelDescription model = ModelDescriptionText.Parse(chain.Definition.DescriptionText);
        Plan plan = Planner.Plan(model).Plan!;
        Assert.Equal([5, 3, 3, 5], plan.Stages.Select(stage => stage.Layers.Count));
        Assert.All(plan.Cuts, cut => Assert.Equal("float32 (N, T, 8)", string.Join("; ", cut.Values.Select(v => $"float32 ({string.Join(", ", v.Type!.Shape)})"))));
        using DisposeScope scope = NewDisposeScope();
        using var data = new TensorDataset(arange(8 * 5, dtype: int64).mul(7).remainder(11).view(8, 5), arange(8 * 5, dtype: int64).mul(3).remainder(11).view(8, 5));
        TrainingParity.Check(chain.Definition, data, batch: 4, microBatches: 2);
    }

    public static TheoryData<string> Gpts => new(
        LargeModels.Gpt12,
        LargeModels.Gpt(
            "private readonly Block[] blocks = Make(Depth);",
            "for (int i = 0; i < Depth; i++)\n        {\n            var y = blocks[i].forward(x);\n            x = y;\n        }",
            "private static Block[] Make(int count)\n    {\n        var made = new Block[count];\n        for (int i = 0; i < count; i++)\n        {\n            made[i] = new Block(Width, 2);\n        }\n\n        return made;\n    }"));
}
