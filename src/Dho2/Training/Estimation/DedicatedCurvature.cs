using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Optimizers;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>
/// A worker whose curvature is estimated by a rank of its own beside it: hands out a snapshot, goes on with the eigenpairs
/// that it has, and takes over new ones a fixed number of steps later, whenever they came.
/// </summary>
internal sealed class DedicatedCurvature : CurvatureWork
{
    private readonly ICommunicator link;
    private readonly int estimator;
    private readonly int delay;
    private readonly int place;
    private readonly int places;
    private readonly TrafficForecast traffic;
    private bool awaited;
    private bool sendPrevious;

    /// <summary>Creates the worker's end.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="grid">The rank's groups; stay the caller's.</param>
    /// <param name="optimizer">The optimizer that takes the eigenpairs.</param>
    /// <param name="traffic">Is told what is sent.</param>
    public DedicatedCurvature(TrainingSetup setup, RankGrid grid, HybridOptimizer optimizer, TrafficForecast traffic)
        : base(optimizer)
    {
        this.traffic = traffic;
        place = grid.Place.Position;
        places = grid.Pipeline.Size;
        link = grid.Link!;
        estimator = link.Size - 1;
        delay = setup.Plan.Curvature!.Delay;
    }

    /// <inheritdoc/>
    protected override long Started { get; set; }

    /// <inheritdoc/>
    protected override bool IsEstimating => awaited;

    /// <inheritdoc/>
    public override void AfterStep() => KeepAlive();

    /// <inheritdoc/>
    public override void KeepAlive()
    {
        if (link.Rank == 0)
        {
            Tell(CurvatureMessage.AtWork, []);
        }
    }

    /// <inheritdoc/>
    public override void EndCall(IReadOnlyList<double> numbers)
    {
        if (link.Rank == 0)
        {
            Tell(CurvatureMessage.EndOfCall, numbers);
        }
    }

    /// <inheritdoc/>
    public override void Finish()
    {
        if (awaited)
        {
            Await();
        }
    }

    /// <inheritdoc/>
    protected override void Begin(FlatParameters flat, CurvatureBatch batch)
    {
        awaited = true;
        Subspace? previous = sendPrevious ? Optimizer.Subspace : null;

        // A step's batch may hold what other stages need.
        IReadOnlyList<torch.Tensor> inputs = place == 0 ? batch.Samples.Inputs : [], targets = place == places - 1 ? batch.Samples.Targets : [];
        Tell(
            CurvatureMessage.Snapshot,
            [
                Started, batch.Step, batch.TotalSamples, previous?.Count ?? 0, previous?.Smallest ?? 0,
                inputs.Count, targets.Count, .. batch.Sizes.Select(size => (double)size),
            ]);
        link.SendCopies([.. inputs, .. targets], estimator);
        if (link.Rank == 0)
        {
            link.SendCopies([flat.Values, .. flat.Buffers.Select(b => b.Buffer)], estimator);
            if (previous is not null)
            {
                Tell(CurvatureMessage.Snapshot, previous.Eigenvalues);
                link.SendCopies([previous.Vectors], estimator);
            }
        }

        bool isFirst = link.Rank == 0;
        traffic.HandedOver(
            batch.Samples.Samples, isFirst, isFirst && previous is not null ? previous.Vectors.numel() * previous.Vectors.element_size() : 0);
        sendPrevious = false;
        Started++;
    }

    /// <inheritdoc/>
    protected override void WaitFor(long step)
    {
        if (awaited && step >= EffectStep(delay))
        {
            Await();
        }
    }

    // The rank beside this one does not know the eigenpairs of a state that was set here.
    /// <inheritdoc/>
    protected override void Restored() => sendPrevious = true;

    private void Tell(CurvatureMessage message, IReadOnlyList<double> numbers)
    {
        link.SendNumbers(message, numbers, estimator);
        traffic.Told(numbers.Count);
    }

    private void Await()
    {
        long start = Stopwatch.GetTimestamp();
        double[] numbers;
        for ((CurvatureMessage message, numbers) = link.ReceiveNumbers(estimator);
            message != CurvatureMessage.Result;
            (message, numbers) = link.ReceiveNumbers(estimator))
        {
        }

        EstimateResult result = EstimateNumbers.Read(numbers.AsSpan(1), () => link.ReceiveTensors(1, estimator)[0]);
        awaited = false;
        Hold(result, delay, Stopwatch.GetElapsedTime(start), TimeSpan.FromSeconds(numbers[0]));
    }
}
