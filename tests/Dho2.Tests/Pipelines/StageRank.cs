using System;
using Dho2.Communication;
using Dho2.Pipelines;
using Dho2.Planning;
using static TorchSharp.torch;

namespace Dho2.Tests.Pipelines;

/// <summary>One rank of a pipeline over <see cref="BranchedModel"/>.</summary>
internal sealed class StageRank : IDisposable
{
    private readonly Schedule schedule;
    private readonly int stages;

    public StageRank(ICommunicator communicator, Schedule schedule, ScalarType dtype, long seed)
    {
        this.schedule = schedule;
        stages = communicator.Size;
        Context = new StageContext(seed) { DType = dtype };
        Stage = BranchedModel.CreateStage(Context, communicator.Rank, stages);
        Flat = new FlatParameters(Stage.Layers, dtype, CPU);
        Executor = new PipelineExecutor(Stage, Context, communicator, BranchedModel.Cuts(stages), BranchedModel.Loss);
    }

    public StageContext Context { get; }

    public BranchedModel.Stage Stage { get; }

    public FlatParameters Flat { get; }

    public PipelineExecutor Executor { get; }

    public double Step(Batch batch, int microBatches, long step)
    {
        int[] sizes = [.. MicroBatches.Split(batch.Samples, microBatches)];
        return Executor.Train(ScheduleBuilder.Build(schedule, stages, sizes.Length)[Stage.Index], batch, sizes, step, batch.Samples);
    }

    public void Dispose()
    {
        Executor.Dispose();
        Flat.Dispose();
        Stage.Dispose();
    }
}
