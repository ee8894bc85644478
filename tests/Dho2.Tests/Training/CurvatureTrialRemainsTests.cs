using System.Collections.Generic;
using Dho2.Pipelines;
using TorchSharp;
using static TorchSharp.torch;

namespace Dho2.Tests.Training;

/// <summary>What belongs to the whole process is after a trial as it was before.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class CurvatureTrialRemainsTests
{
    [Fact]
    public void WhatAModelDrawsFromTheDefaultGeneratorStaysTheSame()
    {
        PipelineDefinition chain = ChainModel.Define(1);
        PipelineDefinition definition = new()
        {
            DescriptionText = chain.DescriptionText,
            PlanHash = chain.PlanHash,
            Stages = chain.Stages,
            Unsplit = chain.Unsplit,
            Loss = (results, targets) => chain.Loss([results[0] * rand(1, dtype: ScalarType.Float64)], targets),
        };

        byte[] StateAfter(CurvatureTrial? trial)
        {
            byte[] state = [];
            random.manual_seed(7);
            CurvatureTrialTests.Fit(1, new() { Curvature = CurvatureTrialTests.Options with { Every = 6 } }, trial, epochs: 16, definition: definition, look: _ =>
            {
                using Tensor now = Generator.Default.get_state();
                state = now.data<byte>().ToArray();
            });
            return state;
        }

        Assert.Equal(StateAfter(null), StateAfter(CurvatureTrialTests.Often));
    }

    [Fact]
    public void ATrialLeavesNoTensorBehind()
    {
        // Before steps 45, 65 and 85, from the second new subspace on, there are as many tensors again; each trial takes four steps after its estimate.
        var live = new List<long>();
        CurvatureTrialTests.Run run = CurvatureTrialTests.Fit(
            1, new() { Curvature = CurvatureTrialTests.Options }, CurvatureTrialTests.Often, epochs: 84, prepare: trainer => trainer.StepCompleted += step =>
            {
                if (step.Result.Step is 44 or 64 or 84)
                {
                    LiveTensors.Settle();
                    live.Add(LiveTensors.Count);
                }
            });
        Assert.Equal(4, run.Compared.Count);
        Assert.Equal([live[0], live[0], live[0]], live);
    }
}

/// <summary>Tests beside which no others run: of what all of them share, such as the default generator and the number of tensors.</summary>
[CollectionDefinition(nameof(AloneInTheProcess), DisableParallelization = true)]
public sealed class AloneInTheProcess;
