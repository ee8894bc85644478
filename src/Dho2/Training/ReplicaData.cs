using System;
using System.Collections.Generic;
using System.Linq;
using Dho2.Data;
using Dho2.Pipelines;

namespace Dho2;

/// <summary>
/// Where the replicas' samples come from: one data set that is dealt out to all of them without overlap, or one for each
/// replica. What is drawn depends on seed, epoch and step alone.
/// </summary>
internal sealed class ReplicaData
{
    private readonly IReadOnlyList<IDataset> sets;
    private readonly int replicas;
    private readonly int batch;
    private readonly long seed;

    private ReplicaData(IReadOnlyList<IDataset> sets, int replicas, int batch, long seed)
    {
        this.sets = sets;
        this.replicas = replicas;
        this.batch = batch;
        this.seed = seed;
        StepsPerEpoch = Samplers(batch, seed).Max(sampler => sampler.StepsPerEpoch);
    }

    /// <summary>One data set for all replicas.</summary>
    public static ReplicaData Dealt(IDataset data, int replicas, int batch, long seed) => new([data], replicas, batch, seed);

    /// <summary>A data set for each replica.</summary>
    /// <exception cref="ArgumentException">There are not as many data sets as replicas.</exception>
    public static ReplicaData Own(IReadOnlyList<IDataset> data, int replicas, int batch, long seed) => data.Count == replicas
        ? new(data, replicas, batch, seed)
        : throw new ArgumentException($"There are {data.Count} data sets for {replicas} replicas: each replica needs one.", nameof(data));

    /// <summary>Samples of an epoch, on all replicas.</summary>
    public long Count => sets.Sum(set => set.Count);

    /// <summary>Steps of an epoch: as many as the largest data set has; a replica whose own has ended goes on without samples.</summary>
    public long StepsPerEpoch { get; }

    /// <summary>Steps of what is left of an epoch.</summary>
    /// <param name="dealt">Samples that were dealt before, on all replicas.</param>
    /// <param name="steps">Steps that were made before.</param>
    public long StepsFrom(long dealt, long steps) => sets.Count < replicas || replicas == 1 ? Samplers(batch, seed)[0].StepsFrom(dealt) : StepsPerEpoch - steps;

    /// <summary>The data set that a replica reads.</summary>
    public IDataset Of(int replica) => sets[sets.Count == 1 ? 0 : replica];

    /// <summary>The steps of one epoch: for each step, the sample indices of each replica in its data set.</summary>
    /// <param name="epoch">The epoch.</param>
    /// <param name="dealtBefore">Samples that were dealt before, on all replicas, where a run goes on in mid-epoch.</param>
    /// <param name="stepsBefore">Steps that were made before.</param>
    public IEnumerable<long[][]> Epoch(int epoch, long dealtBefore = 0, long stepsBefore = 0)
    {
        if (sets.Count < replicas || replicas == 1)
        {
            foreach (long[][] dealt in Samplers(batch, seed)[0].Shuffled(epoch, dealtBefore))
            {
                yield return dealt;
            }

            yield break;
        }

        IEnumerator<long[][]>[] own = [.. Samplers(batch, seed).Select(sampler => sampler.Shuffled(epoch).Skip((int)stepsBefore).GetEnumerator())];
        for (long step = stepsBefore; step < StepsPerEpoch; step++)
        {
            yield return [.. own.Select(steps => steps.MoveNext() ? steps.Current[0] : [])];
        }
    }

    /// <summary>Samples of a replica for a curvature batch that is larger than a step's.</summary>
    public long[] DrawForCurvature(int replica, int wanted, long step)
    {
        EpochSampler[] samplers = Samplers(wanted, StageContext.SeedOf(seed, "curvature"));
        return sets.Count < replicas
            ? samplers[0].Shuffled((int)step).First()[replica]
            : samplers[replica].Shuffled((int)step).First()[0];
    }

    private EpochSampler[] Samplers(int samples, long from) => sets.Count < replicas
        ? [new EpochSampler(sets[0].Count, samples, replicas, from)]
        : [.. sets.Select((set, replica) => new EpochSampler(set.Count, samples, 1, replica == 0 ? from : StageContext.SeedOf(from, $"replica {replica}")))];
}
