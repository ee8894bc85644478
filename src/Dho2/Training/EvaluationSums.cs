using System;
using System.Collections.Generic;
using Dho2.Communication;
using TorchSharp;

namespace Dho2;

/// <summary>Adds up losses and hits of one rank, and then over all ranks.</summary>
internal sealed class EvaluationSums
{
    private double loss;
    private double weight;
    private long samples;
    private long classified;
    private long labelled;
    private long hits;

    /// <summary>Adds a micro-batch.</summary>
    /// <param name="results">The model's results.</param>
    /// <param name="targets">The targets.</param>
    /// <param name="meanLoss">The mean loss.</param>
    /// <param name="lossCount">What it is the mean over: samples, or what the loss counts.</param>
    public void Add(IReadOnlyList<torch.Tensor> results, IReadOnlyList<torch.Tensor> targets, double meanLoss, double lossCount)
    {
        long count = results[0].shape[0];
        loss += meanLoss * lossCount;
        weight += lossCount;
        samples += count;
        if (results[0].dim() == 2 && targets.Count > 0 && targets[0].dim() == 1 && targets[0].dtype == torch.ScalarType.Int64)
        {
            using torch.Tensor best = results[0].argmax(1);
            using torch.Tensor equal = best.eq(targets[0]);
            using torch.Tensor sum = equal.count_nonzero();
            using torch.Tensor known = targets[0].ge(0);
            using torch.Tensor labels = known.count_nonzero();
            classified += count;
            labelled += labels.item<long>();
            hits += sum.item<long>();
        }
    }

    /// <summary>The result over all ranks.</summary>
    public Evaluation Reduce(ICommunicator world)
    {
        Span<double> sums = [loss, weight, samples, classified, labelled, hits];
        world.AllReduce(sums);
        return new Evaluation(sums[0] / sums[1], sums[3] == sums[2] && sums[4] > 0 ? sums[5] / sums[4] : null, (long)sums[2]);
    }
}
