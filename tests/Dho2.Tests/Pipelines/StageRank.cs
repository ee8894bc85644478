using System;
using System.Linq;
using Dho2.Communication;
using Dho2.Pipelines;
using Dho2.Planning;
using static TorchSharp.torch;

namespace Dho2.Tests.Pipelines;

/// <summary>One rank of a pipeline over <see cref="BranchedModel"/>, with every so manieth of its stages.</summary>
internal sealed class StageRank : IDisposable
{
    private readonly Schedule schedule;
    private readonly StageLayout layout;
    private readonly int rank;
    private readonly BranchedModel.Stage[] stages;

    public StageRank(ICommunicator communicator, Schedule schedule, ScalarType dtype, long seed, int stagesPerRank = 1, bool recomputes = false)
    {
        this.schedule = schedule;
        layout = new StageLayout(communicator.Size, stagesPerRank);
        rank = communicator.Rank;
        Context = new StageContext(seed) { DType = dtype };
        stages = [.. layout.StagesOf(rank).Select(stage => BranchedModel.CreateStage(Context, stage, layout.Stages))];
        Flat = new FlatParameters([.. stages.SelectMany(stage => stage.Layers)], dtype, CPU);
        Executor = new PipelineExecutor(stages, Context, communicator, BranchedModel.Cuts(layout.Stages), BranchedModel.Loss)
        {
            Recomputed = recomputes ? [.. stages.Select(stage => new RecomputedStage(stage.Index))] : [],
            GradientsAdded = () => GradientsAdded?.Invoke(),
        };
    }

    public StageContext Context { get; }

    public BranchedModel.Stage Stage => stages[0];

    /// <summary>Called after every backward that has given parameters their gradients.</summary>
    public Action? GradientsAdded { get; set; }

    public FlatParameters Flat { get; }

    public PipelineExecutor Executor { get; }

    public double Step(Batch batch, int microBatches, long step)
    {
        int[] sizes = [.. MicroBatches.Split(batch.Samples, microBatches)];
        return Executor.Train(
            ScheduleBuilder.Build(schedule, layout.Stages, sizes.Length, layout.StagesPerRank)[rank], batch, sizes, step, batch.Samples);
    }

    public void Dispose()
    {
        Executor.Dispose();
        Flat.Dispose();
        Array.ForEach(stages, stage => stage.Dispose());
    }
}
