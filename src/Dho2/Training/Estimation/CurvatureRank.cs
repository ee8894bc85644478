using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Dho2.Communication;
using Dho2.Curvature;
using Dho2.Pipelines;
using TorchSharp;

namespace Dho2;

/// <summary>
/// A rank that does not train: it estimates the curvature of one stage, together with the others of its kind, on
/// snapshots that the workers of that stage send, while those go on. Of the replicas' batches it makes one.
/// </summary>
internal sealed class CurvatureRank : IDisposable
{
    private readonly TrainingSetup setup;
    private readonly RankGrid grid;
    private readonly ICommunicator link;
    private readonly EstimateRun run;
    private readonly int buffers;
    private Subspace? previous;
    private long idleSince = Stopwatch.GetTimestamp();
    private ActivityTrace? trace;
    private int untraced;

    /// <summary>Builds the rank. All ranks of the world do so in step.</summary>
    /// <exception cref="InvalidOperationException">The ranks have different plans.</exception>
    public CurvatureRank(TrainingSetup setup, ICommunicator world)
    {
        this.setup = setup;
        TrainingRank.ComparePlans(setup, world);
        grid = new RankGrid(setup.Layout, world);
        link = grid.Link!;
        PipelineHessian hessian = EstimateRun.CreateHessian(setup, grid.Pipeline);
        buffers = hessian.BufferCount;
        ICommunicator? group = setup.Curvature!.Scope == CurvatureScope.Stage ? null : grid.Pipeline;
        run = new EstimateRun(setup, grid.Pipeline, hessian, new ShardedSpace(hessian.Segments, group, setup.DType, grid.Pipeline.Device));
    }

    /// <summary>Serves the workers until a call of the trainer is over.</summary>
    /// <returns>What the call came to.</returns>
    public double[] Serve()
    {
        while (true)
        {
            (CurvatureMessage message, double[] numbers) = link.ReceiveNumbers(0);
            switch (message)
            {
                case CurvatureMessage.Snapshot:
                    Estimate(numbers);
                    break;
                case CurvatureMessage.EndOfCall:
                    return numbers;
            }
        }
    }

    /// <summary>Keeps what the rank does in its next estimates.</summary>
    /// <param name="trace">Takes it; null for nothing of the kind.</param>
    /// <param name="estimates">So many estimates.</param>
    public void Trace(ActivityTrace? trace, int estimates)
    {
        grid.World.Activity.Trace = this.trace = trace;
        untraced = estimates;
    }

    public void Dispose()
    {
        grid.World.Activity.Trace = null;
        run.Dispose();
        previous?.Dispose();
        grid.Dispose();
    }

    private void Estimate(double[] header)
    {
        double idle = Stopwatch.GetElapsedTime(idleSince).TotalSeconds;
        bool isTraced = trace is not null && untraced-- > 0;
        if (isTraced)
        {
            trace!.Begin();
        }

        Note(TraceNames.Snapshot, (long)header[1]);
        CurvatureBatch batch = ReceiveSnapshot(header);
        Note(TraceNames.Estimate, batch.Step);
        while (!run.Advance())
        {
            // Workers that wait already see that it goes on.
            for (int worker = 0; worker < link.Size - 1; worker++)
            {
                link.SendNumbers(CurvatureMessage.AtWork, [], worker);
            }
        }

        batch.Release();
        Note(TraceNames.Result, batch.Step);
        EstimateResult result = run.Take();
        for (int worker = 0; worker < link.Size - 1; worker++)
        {
            link.SendNumbers(CurvatureMessage.Result, [idle, .. EstimateNumbers.Write(result)], worker);
            if (result.Vectors is not null)
            {
                link.Send(result.Vectors, worker);
            }
        }

        if (result.Own()?.Subspace is { } fresh)
        {
            previous?.Dispose();
            previous = fresh;
        }

        if (isTraced)
        {
            trace!.End();
        }

        idleSince = Stopwatch.GetTimestamp();
    }

    private void Note(string doing, long step) => grid.World.Activity.Enter(doing, grid.Place.Position, step);

    // Replica by replica its samples, the first also its parameters and buffers, which are the same on all.
    private CurvatureBatch ReceiveSnapshot(double[] header)
    {
        var inputs = new List<torch.Tensor[]>();
        var targets = new List<torch.Tensor[]>();
        var sizes = new List<int>();
        torch.Tensor[] stage = [];
        for (int worker = 0; worker < link.Size - 1; worker++)
        {
            double[] numbers = worker == 0 ? header : link.ReceiveNumbers(worker).Numbers;
            int[] own = [.. numbers.Skip(7).Select(size => (int)size)];
            inputs.Add(link.ReceiveTensors((int)numbers[5], worker));
            targets.Add(link.ReceiveTensors((int)numbers[6], worker));
            sizes.AddRange(own);
            if (worker == 0)
            {
                stage = link.ReceiveTensors(1 + buffers, worker);
                if (numbers[3] > 0)
                {
                    double[] eigenvalues = link.ReceiveNumbers(worker).Numbers;
                    previous?.Dispose();
                    previous = new Subspace(link.ReceiveTensors(1, worker)[0], eigenvalues, (int)numbers[4]);
                }
            }
        }

        var batch = new CurvatureBatch(
            new Batch(Join(inputs), Join(targets), sizes.Sum()), sizes, Step: (long)header[1], TotalSamples: (long)header[2]);
        run.Runs = (long)header[0];
        run.Begin(stage[0], stage[1..], batch, previous);
        Array.ForEach(stage, tensor => tensor.Dispose());
        return batch;
    }

    private static torch.Tensor[] Join(List<torch.Tensor[]> parts)
    {
        torch.Tensor[][] present = [.. parts.Where(part => part.Length > 0)];
        if (present.Length <= 1)
        {
            return present.Length == 0 ? [] : present[0];
        }

        torch.Tensor[] joined = [.. Enumerable.Range(0, present[0].Length).Select(i => torch.cat([.. present.Select(part => part[i])], 0).DetachFromDisposeScope())];
        Array.ForEach(present, part => Array.ForEach(part, tensor => tensor.Dispose()));
        return joined;
    }
}
