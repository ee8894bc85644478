using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Pipelines;
using Dho2.Planning;
using Dho2.Tests.Curvature;

namespace Dho2.Tests.Training;

/// <summary>What a generator would hand over for a <see cref="HandModel"/> over whose cuts one tensor goes.</summary>
internal static class HandDefinition
{
    public static PipelineDefinition Of(HandModel model, int stages)
    {
        int blocks = model.Blocks.Count;
        const string tensorType = "global::TorchSharp.torch.Tensor";
        ModelDescription description = new(
            "Hand",
            "Tests.Hand",
            new(2, Schedule.OneForwardOneBackward, BaseKind.HeavyBall, 1, 16, null, null, null),
            new[] { new InputDescription("x", null, DType.Float32) }.ToEquatableArray(),
            new[] { new InputDescription("y", default(EquatableArray<DimensionDescription>), DType.Int64) }.ToEquatableArray(),
            Enumerable.Range(0, blocks).Select(b => new LayerDescription($"block{b}", "unknown", "global::Block", default, StageOf(b), null, null)).ToEquatableArray(),
            Enumerable.Range(0, blocks).Select(b => new Operation("layer", new[] { Argument.OfValue("input", b) }.ToEquatableArray(), b, b, tensorType)).ToEquatableArray(),
            Enumerable.Range(0, blocks).Select(_ => new StatementDescription(default, default, Pieces: true)).ToEquatableArray(),
            new[] { blocks }.ToEquatableArray());
        return new PipelineDefinition
        {
            DescriptionText = ModelDescriptionText.Write(description),
            PlanHash = Planner.Plan(description).Plan!.Hash,
            Stages = [.. Enumerable.Range(0, stages).Select(s => (Func<StageContext, IPipelineStage>)(c => model.Stage(c, s, stages)))],
            Loss = model.Loss,
            Ties = model.Ties(stages),
            Unsplit = _ => throw new NotSupportedException("One stage is the model in one piece."),
        };

        int StageOf(int block) => Enumerable.Range(0, stages).Last(s => model.FirstBlock(s, stages) <= block);
    }
}
