using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using CsCheck;

namespace Dho2.Planning.Tests.Partitioning;

/// <summary>The partitioner against exhaustive search: every assignment of layers to stages, planned and priced as a whole.</summary>
public class PartitionerTests
{
    private static readonly Gen<(int[] Widths, int Stages)> AnyChain =
        Gen.Select(Gen.Int[2, 6].Select(power => 1 << (2 * power)).Array[5, 8], Gen.Int[2, 4]);

    [Fact]
    public void OnAChainItIsExact() => AnyChain.Sample(
        (widths, stages) =>
        {
            ModelDescription model = Chain(widths, stages);
            PartitionProposal proposal = StageChooser.Propose(model)!;
            Assert.Equal(stages, proposal.Count);
            long best = AllPartitions(model, stages).Min(SlowestOf);
            Assert.Equal(best, SlowestOf(With(model, proposal.Stages)));
            Assert.Equal(best, proposal.Slowest);
        },
        iter: 300);

    /// <summary>Branches and values that skip stages: exact among runs of neighbouring layers, whose cuts carry what is live.</summary>
    [Fact]
    public void WithSkipConnectionsItIsExactAmongRunsOfLayers() => Gen.Select(AnyChain, Gen.Int[0, 7].Array[3]).Sample(
        (chain, skips) =>
        {
            ModelDescription model = Chain(Enumerable.Repeat(chain.Widths[0], chain.Widths.Length).ToArray(), chain.Stages, skips);
            PartitionProposal proposal = StageChooser.Propose(model)!;
            long best = AllPartitions(model, chain.Stages).Min(SlowestOf);
            Assert.Equal(best, SlowestOf(With(model, proposal.Stages)));
        },
        iter: 200);

    [Fact]
    public void StagesThatWouldNotFitAreNotMade() => Gen.Select(AnyChain, Gen.Int[1, 100]).Sample(
        (chain, percent) =>
        {
            ModelDescription model = Chain(chain.Widths, chain.Stages);
            ModelDescription[] all = [.. AllPartitions(model, chain.Stages)];
            long least = all.Min(NeededBy);
            long most = all.Max(NeededBy);
            long device = least + ((most - least) * percent / 100);
            model = model with { Options = model.Options with { DeviceMemory = device } };
            ModelDescription[] fitting = [.. all.Where(m => NeededBy(m) <= device)];
            PartitionProposal proposal = StageChooser.Propose(model)!;
            Assert.True(NeededBy(With(model, proposal.Stages)) <= device);
            Assert.Equal(fitting.Min(SlowestOf), SlowestOf(With(model, proposal.Stages)));
        },
        iter: 100);

    /// <summary>A stage that recomputes has a third more to do, and gets less.</summary>
    [Fact]
    public void AStageThatRecomputesGetsFewerLayers()
    {
        ModelDescription model = Chain([64, 64, 64, 64, 64, 64, 64, 64, 64, 64], 2);
        model = model with { Options = model.Options with { Schedule = Schedule.GPipe } };
        Assert.Equal([4, 5], Sizes(RecomputeOptions.None));
        Assert.Equal([5, 4], Sizes(RecomputeOptions.Of(1)));
        Assert.Equal([4, 5], Sizes(RecomputeOptions.Of(0)));

        int[] Sizes(RecomputeOptions recompute)
        {
            PartitionProposal proposal = StageChooser.Propose(model with { Options = model.Options with { Recompute = recompute } })!;
            Assert.Equal(proposal.Slowest, SlowestOf(With(model with { Options = model.Options with { Recompute = recompute } }, proposal.Stages)));
            return [.. proposal.Stages.GroupBy(stage => stage).OrderBy(group => group.Key).Select(group => group.Count())];
        }
    }

    [Fact]
    public void AStageWithoutANumberIsChosenAndTheOthersStay()
    {
        ModelDescription model = Chain([64, 64, 64, 4096, 4096, 64], 0);
        model = model with
        {
            Layers = model.Layers.Select((layer, i) => layer with { Stage = i == 4 ? 2 : null, StageIsAutomatic = i != 4 }).ToEquatableArray(),
        };
        PlanResult result = Planner.Plan(model);
        Assert.False(result.HasErrors);
        int[] stages = Enumerable.Range(0, model.Layers.Count)
            .Select(layer => result.Plan!.Stages.Single(s => s.Layers.Contains(layer)).Index)
            .ToArray();
        Assert.Equal(3, result.Plan!.Stages.Count);
        Assert.Equal(2, stages[4]);
        Assert.Equal(stages.Order(), stages);

        // Structure follows from the attributes alone: a run's batch does not move a layer.
        Plan other = Planner.Plan(model, new() { Batch = 4096, MicroBatches = 2 }).Plan!;
        Assert.Equal(result.Plan.Stages.Select(s => s.Layers), other.Stages.Select(s => s.Layers));
    }

    [Theory]
    [InlineData(0, null, 2)]
    [InlineData(3, null, 3)]
    [InlineData(0, 1L << 40, 1)]
    public void TheNumberOfStagesFollowsFromTheAttributes(int stated, long? device, int expected)
    {
        ModelDescription model = Chain([64, 64, 64, 64, 64], stated);
        model = model with
        {
            Options = model.Options with { DeviceMemory = device },
            Layers = model.Layers.Select(layer => layer with { Stage = null, StageIsAutomatic = true }).ToEquatableArray(),
        };
        Assert.Equal(expected, Planner.Plan(model).Plan!.Stages.Count);
    }

    [Fact]
    public void AsManyStagesAreMadeAsTheMemoryNeeds()
    {
        ModelDescription model = Chain(Enumerable.Repeat(1024, 9).ToArray(), 0);

        // Eight layers of 4.2 MB, three vectors of each: three layers fit, four do not.
        model = model with
        {
            Options = model.Options with { DeviceMemory = 48_000_000 },
            Layers = model.Layers.Select(layer => layer with { Stage = null, StageIsAutomatic = true }).ToEquatableArray(),
        };
        PlanResult result = Planner.Plan(model);
        Assert.Equal(3, result.Plan!.Stages.Count);
        Assert.DoesNotContain(result.Problems, p => p.Kind == ProblemKind.StageDoesNotFit);
    }

    /// <summary>A loop with one nought too many makes a thousand layers: every run of them would be looked at, for hours.</summary>
    [Fact]
    public void OfVeryManyLayersNeighboursStayTogether()
    {
        ModelDescription model = Chain([.. Enumerable.Repeat(64, 1500)], 4);
        model = model with { Options = model.Options with { DeviceMemory = NeededBy(model) / 2 } };
        PartitionProposal proposal = StageChooser.Propose(model)!;
        Assert.Equal(4, proposal.Count);
        Assert.Equal(proposal.Stages.Order(), proposal.Stages);
        int[] counts = [.. proposal.Stages.GroupBy(stage => stage).Select(stage => stage.Count())];
        Assert.InRange(counts.Max() - counts.Min(), 0, 2 * 1500 / BlockChain.MostBlocks * 4);
    }

    [Fact]
    public void WhatIsKnownIsNotSearchedAgain()
    {
        ModelDescription model = Chain([512, 256, 512, 256, 512, 1024], 3);
        PartitionProposal first = StageChooser.Propose(model)!;
        ModelDescription same = Chain([512, 256, 512, 256, 512, 1024], 3);
        Assert.NotSame(model, same);
        Assert.Same(first, StageChooser.Propose(same));
    }

    [Fact]
    public void ASearchCanBeCancelled()
    {
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();
        Assert.Throws<OperationCanceledException>(() => StageChooser.Propose(Chain(Enumerable.Repeat(32, 40).ToArray(), 4), cancellation.Token));
    }

    [Fact]
    public void AnUnbalancedPartitionIsReportedWithWhatItCosts()
    {
        ModelDescription model = Chain([4096, 4096, 4096, 4096, 4096], 2, batch: 4096);
        PlanProblem problem = Assert.Single(Planner.Plan(With(model, [0, 1, 1, 1])).Problems, p => p.Kind == ProblemKind.StagesUnbalanced);
        Assert.Matches("^Stage 1 takes 7[0-9] % of the time of all 2 stages, so a step takes about 1\\.[34][0-9]* times as long as with the partition 0: 'l0' to 'l1', 1: 'l2' to 'l3'$", problem.Message);
        Assert.DoesNotContain(Planner.Plan(With(model, [0, 0, 1, 1])).Problems, p => p.Kind == ProblemKind.StagesUnbalanced);

        // What a step would gain is not worth a change.
        Assert.DoesNotContain(
            Planner.Plan(With(Chain([64, 64, 64, 64, 64], 2), [0, 1, 1, 1])).Problems, p => p.Kind == ProblemKind.StagesUnbalanced);
    }

    private static long NeededBy(ModelDescription model) => Planner.Plan(model).Plan!.Stages.Max(s => s.KnownBytes);

    private static long SlowestOf(ModelDescription model) =>
        OperationTimes.OfStages(Planner.Plan(model).Plan!, ShapeInference.Infer(model), model.Options.Profile)!.Max();

    private static ModelDescription With(ModelDescription model, IReadOnlyList<int> stages) => model with
    {
        Layers = model.Layers.Select((layer, i) => layer with { Stage = stages[i] }).ToEquatableArray(),
    };

    private static IEnumerable<ModelDescription> AllPartitions(ModelDescription model, int stages)
    {
        foreach (int[] starts in Choices(1, model.Layers.Count - 1, stages - 1))
        {
            yield return With(model, Enumerable.Range(0, model.Layers.Count).Select(layer => starts.Count(start => start <= layer)).ToArray());
        }
    }

    private static IEnumerable<int[]> Choices(int from, int to, int count)
    {
        if (count == 0)
        {
            return [[]];
        }

        return Enumerable.Range(from, Math.Max(0, to - from + 1)).SelectMany(first => Choices(first + 1, to, count - 1).Select(rest => rest.Prepend(first).ToArray()));
    }

    /// <summary>Linear layers with relu between; <paramref name="skips"/> adds the result of a layer to that of a later one.</summary>
    private static ModelDescription Chain(int[] widths, int stages, int[]? skips = null, int batch = 512)
    {
        var m = new ModelBuilder { Options = new(4, Schedule.OneForwardOneBackward, BaseKind.HeavyBall, 1, batch, null, null, null, Stages: stages) };
        int x = m.Input("x", widths[0]);
        var results = new List<int>();
        for (int i = 0; i + 1 < widths.Length; i++)
        {
            int layer = m.Layer($"l{i}", Math.Min(i, Math.Max(0, stages - 1)), "Linear", null, Argument.OfInteger("inputSize", widths[i]), Argument.OfInteger("outputSize", widths[i + 1]));
            x = m.Operation("Tensor.relu", m.Call(layer, x));
            if (skips is not null && skips.Contains(i) && i > 1)
            {
                x = m.Operation("operator +", ModelBuilder.Tensor, Argument.OfValue("left", x), Argument.OfValue("right", results[(i * 5) % (i - 1)]));
            }

            results.Add(x);
        }

        return m.Return(x);
    }
}
